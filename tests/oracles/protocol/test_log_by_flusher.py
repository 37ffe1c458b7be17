"""Blocks of the log that share a page with inodes: the flusher of the device may write them before the commit does.

It finds them dirty while the commit composes them, and the commit writes them again, or finds the commit block clean
and written.  That is 3.3, and neither durability nor crash has anything against it.
"""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, flusher, writer
from mmrace.actors.stage import Stage
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd import commit
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.mm.page_writeback import SyncMode
from mmrace.oracles.protocol import durability
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.scenarios import crash
from mmrace.scenarios.build import sync
from mmrace.scenarios.snapshot import snapshot
from tests.oracles.verdicts import passed
from tests.scenarios.staged import play

HALF, WHOLE = "half a descriptor", "a descriptor"
BUFFERS = 8
"""Eight blocks in a page: all four of inodes, and the first four of the log."""

_write_metadata_buffer = journal_.journal_write_metadata_buffer
_start_journal_io = commit._start_journal_io
_sync_dirty_buffer = buffer.sync_dirty_buffer


def _flush(stage: Stage, mode: SyncMode) -> None:
    """Flush the device, whose first page has a dirty block beside those of the log."""
    other = buffer.__bread(stage.device, 3, "ext3")
    assert other is not None
    buffer.mark_buffer_dirty(other)
    buffer.__brelse(other, "ext3")
    rt.spawn(flusher.flush_device, stage, mode, name="flusher", cpu=1)
    rt.join_others()


def _record(monkeypatch: pytest.MonkeyPatch, mode: SyncMode, where: str) -> Record:
    """Let the flusher come when a commit has composed half of its descriptor, all of it, or its commit block."""

    def body(stage: Stage) -> None:
        def copy(*of: Any) -> Any:
            _flush(stage, mode)
            return _write_metadata_buffer(*of)

        def start(wbuf: list[BufferHead]) -> None:
            _flush(stage, mode)
            _start_journal_io(wbuf)

        def sync_dirty(bh: BufferHead, rw: int = 0) -> int:
            _flush(stage, mode)
            return _sync_dirty_buffer(bh, rw)

        writer.write_block(stage, 0)
        if where == HALF:
            monkeypatch.setattr(journal_, "journal_write_metadata_buffer", copy)
        elif where == WHOLE:
            monkeypatch.setattr(commit, "_start_journal_io", start)
        else:
            monkeypatch.setattr(buffer, "sync_dirty_buffer", sync_dirty)
        committer.commit_running(stage)
        stage.final["quiescent"] = snapshot(stage)
        sync(stage)
        stage.final["synced"] = snapshot(stage)

    return play(body, metadata=1, buffers=BUFFERS, pagevec=14).record


def _log_blocks_by_flusher(record: Record) -> list[int]:
    begun = [
        (record.task_name(task), facts)
        for task, op, kind, facts in record.events
        if op == NOTE and kind == "io-begin" and facts[0] == "write"
    ]
    return [facts[1] for who, facts in begun if who == "flusher" and facts[1] != 3]


@pytest.mark.parametrize("mode", list(SyncMode))
@pytest.mark.parametrize("where", [HALF, WHOLE, "commit block"])
def test_a_log_block_that_the_flusher_writes_first_is_no_finding(
    where: str, mode: SyncMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = _record(monkeypatch, mode, where)
    assert _log_blocks_by_flusher(record)
    passed(durability.judge(record))
    passed(crash.judge(record))
