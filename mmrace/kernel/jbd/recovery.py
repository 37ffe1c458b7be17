"""Recovery: what a mount after a crash makes of the blocks that the device then holds.

Three passes over the log, from its tail on while the sequences match: scan finds the last transaction with a commit
block, revoke collects the newest revoke record of each block, replay writes each copy to its home block, unless the
block was revoked at that sequence or a later one.
Invariant: a pure function of the blocks; no op, no point.  A log without a superblock, or whose superblock was not
written yet, begins at its first block, with the first transaction that there was.
Not modelled: errors of reading, features, version 1 superblocks; the log is not marked clean afterwards.
Source: fs/jbd/recovery.c, fs/jbd/revoke.c, v3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from mmrace.kernel.jbd import jbd

Image: TypeAlias = Mapping[int, Sequence[int]]
"""What the device holds: block -> words.  A block that is not in it was never written, and holds zeros."""

FIRST_SEQUENCE = 1
"""The tid of a journal's first transaction."""


class Pass(Enum):
    """What a walk over the log is for."""

    PASS_SCAN = 0
    PASS_REVOKE = 1
    PASS_REPLAY = 2


@dataclass(frozen=True, slots=True)
class LogArea:
    """The log's blocks, [first, last) of the device.  `superblock`: the block that tells where the log begins, if any.

    What recovery needs of the kernel's journal_t.
    """

    first: int
    last: int
    superblock: int | None = None


@dataclass(slots=True)
class RecoveryInfo:
    """What recovery found: transactions [start, end), and what it made of them.

    `homes`: home block -> sequence of the copy that was written there last.  `revoked`: block -> newest sequence at
    which it was revoked.
    """

    start_transaction: int = 0
    end_transaction: int = 0
    nr_replays: int = 0
    nr_revoke_hits: int = 0
    homes: dict[int, int] = field(default_factory=dict)
    revoked: dict[int, int] = field(default_factory=dict)


def journal_recover(image: Image, log: LogArea) -> tuple[dict[int, tuple[int, ...]], RecoveryInfo]:
    """Return the blocks as they are after recovery, and what it did.  Raises ValueError if two passes disagree.

    Point: never.  Source: fs/jbd/recovery.c, v3.3.
    """
    blocks = {blocknr: tuple(words) for blocknr, words in image.items()}
    info = RecoveryInfo()
    start, sequence = _load_superblock(blocks, log)
    if not start:
        return blocks, info
    for pass_ in Pass:
        do_one_pass(blocks, log, start, sequence, info, pass_)
    return blocks, info


def _load_superblock(blocks: Image, log: LogArea) -> tuple[int, int]:
    """Return where the log begins and with which transaction; block 0 if it is clean.

    Part of journal_recover.  Source: journal_get_superblock in fs/jbd/journal.c, v3.3.
    """
    if log.superblock is None or log.superblock not in blocks:
        return log.first, FIRST_SEQUENCE
    header = _header(blocks, log.superblock)
    if header is None or header[0] != jbd.JFS_SUPERBLOCK_V2:
        return 0, 0
    _, sequence, tags = header
    return (tags[0][0] if tags else 0), sequence


def _header(blocks: Image, blocknr: int) -> tuple[int, int, tuple[tuple[int, int], ...]] | None:
    """Return what a block says that the journal wrote for itself; None if it is no such block."""
    words = blocks.get(blocknr, ())
    if len(words) < 2 or words[0] != jbd.JFS_MAGIC_NUMBER:
        return None
    return jbd.read_log_header(words[1])


def _wrap(log: LogArea, blocknr: int) -> int:
    """Go on at the log's first block after its last.  Source: wrap in fs/jbd/recovery.c, v3.3."""
    return blocknr - (log.last - log.first) if blocknr >= log.last else blocknr


def do_one_pass(
    blocks: dict[int, tuple[int, ...]], log: LogArea, start: int, sequence: int, info: RecoveryInfo, pass_: Pass
) -> None:
    """Walk the log once from its tail; in the last pass, write the copies home.

    Raises ValueError if it comes to another end than the scan.  Source: fs/jbd/recovery.c, v3.3.
    """
    next_commit_ID, next_log_block = sequence, start
    if pass_ is Pass.PASS_SCAN:
        info.start_transaction = next_commit_ID
    # Each turn reads one block more, and what a whole round of the log would show again has an old sequence: the bound
    # is for a log of garbage.
    for _ in range(log.last - log.first):
        if pass_ is not Pass.PASS_SCAN and next_commit_ID >= info.end_transaction:
            break
        header = _header(blocks, next_log_block)
        if header is None or header[1] != next_commit_ID:
            break
        next_log_block = _wrap(log, next_log_block + 1)
        blocktype, _, tags = header
        if blocktype == jbd.JFS_DESCRIPTOR_BLOCK:
            for blocknr, flags in tags:
                if pass_ is Pass.PASS_REPLAY:
                    _replay_block(blocks, info, blocknr, flags, next_commit_ID, blocks.get(next_log_block, ()))
                next_log_block = _wrap(log, next_log_block + 1)
        elif blocktype == jbd.JFS_COMMIT_BLOCK:
            next_commit_ID += 1
        elif blocktype == jbd.JFS_REVOKE_BLOCK:
            if pass_ is Pass.PASS_REVOKE:
                scan_revoke_records(info, tags, next_commit_ID)
        else:
            break
    if pass_ is Pass.PASS_SCAN:
        info.end_transaction = next_commit_ID
    elif next_commit_ID != info.end_transaction:
        raise ValueError(
            f"expected the log to end before transaction {info.end_transaction}, as the scan found it, got "
            f"{next_commit_ID!r} in {pass_.name}: a copy was written into the log"
        )


def _replay_block(
    blocks: dict[int, tuple[int, ...]],
    info: RecoveryInfo,
    blocknr: int,
    flags: int,
    sequence: int,
    copy: tuple[int, ...],
) -> None:
    """Write one copy to its home block, with its magic if that was taken out; a revoked one is skipped.

    Part of do_one_pass.  Source: fs/jbd/recovery.c, v3.3.
    """
    if journal_test_revoke(info, blocknr, sequence):
        info.nr_revoke_hits += 1
        return
    if flags & jbd.JFS_FLAG_ESCAPE:
        copy = (jbd.JFS_MAGIC_NUMBER, *copy[1:])
    blocks[blocknr] = copy
    info.homes[blocknr] = sequence
    info.nr_replays += 1


def scan_revoke_records(info: RecoveryInfo, tags: tuple[tuple[int, int], ...], sequence: int) -> None:
    """Note the blocks that a revoke block names, each with the newest sequence.  Source: fs/jbd/recovery.c, v3.3."""
    for blocknr, _ in tags:
        info.revoked[blocknr] = max(sequence, info.revoked.get(blocknr, sequence))


def journal_test_revoke(info: RecoveryInfo, blocknr: int, sequence: int) -> bool:
    """Say whether a block was revoked in that transaction or a later one.  Source: fs/jbd/revoke.c, v3.3."""
    return info.revoked.get(blocknr, 0) >= sequence
