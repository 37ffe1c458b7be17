"""Crash: whenever the machine stops, recovery shows what was committed, and what fsync promised.

The judge, with the recovery of the kernel model, and its inodes: it is the one that knows how these are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmrace.kernel.fs import ext3
from mmrace.kernel.jbd import recovery
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.protocol import crash
from mmrace.runtime.record import Record

NAME = crash.NAME


def judge(record: Record) -> Judgement:
    """Crash at every moment of a record, and recover."""
    return crash.judge_with(record, recover, ext3._blocks_mapped)


def recover(
    image: Mapping[int, Sequence[Any]], first: int, last: int, superblock: int | None
) -> tuple[Mapping[int, Sequence[Any]], int]:
    """Return what the blocks are after recovery of the log [first, last), and the transaction that it begins with."""
    blocks, info = recovery.journal_recover(image, recovery.LogArea(first, last, superblock))
    return blocks, info.start_transaction
