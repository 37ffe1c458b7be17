"""Content and durability on an inode's block: a change through the address of before the page moved is lost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.actors import migrator
from mmrace.actors.stage import Stage
from mmrace.kernel.fs import block_dev, buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import transaction
from mmrace.kernel.mm import filemap, migrate, swap, vmscan
from mmrace.kernel.mm.migrate import MIGRATE_SYNC
from mmrace.oracles.protocol import content, durability
from mmrace.runtime.record import Record
from mmrace.scenarios.build import sync
from mmrace.scenarios.snapshot import snapshot
from tests.oracles.verdicts import caught, passed
from tests.scenarios.staged import play, until

_aops = block_dev.def_blk_aops


def _movable_aops() -> Any:
    """BUGGY: pages of the device move with their buffers, and nobody looks at b_count."""
    return dataclasses.replace(_aops(), migratepage=migrate.buffer_migrate_page)


def _changes(stage: Stage, bh: BufferHead, ready: list[bool], go: list[bool]) -> None:
    """Change the inode, as a write does; the second half once it may."""
    handle = transaction.journal_start(stage.journal, 2)
    transaction.journal_get_write_access(handle, bh)
    ready.append(True)
    until(lambda: bool(go))
    ext3.ext3_do_update_inode(handle, stage.inode, bh)
    transaction.journal_stop(handle)


def _migrates(stage: Stage) -> None:
    swap.lru_add_drain_all(stage.machine)
    page = filemap.find_get_page(stage.device.bd_inode.i_mapping, 0)
    assert page is not None and vmscan.isolate_lru_page(page) == 0
    stage.machine.zone.account("NR_ISOLATED", 1)
    swap.put_page(page, "lookup")
    migrator.migrate_some(stage, [page], MIGRATE_SYNC)


def _record(changes: int) -> Record:
    """Let a migration of the inode's page and a change of it wait for the buffer lock, in this order."""

    def body(stage: Stage) -> None:
        bh = ext3.ext3_get_inode_loc(stage.inode)
        assert bh is not None
        swap.lru_add_drain_all(stage.machine)
        ready: list[bool] = []
        go: list[bool] = []
        queue = bh.b_state.queue(BufferState.BH_Lock)
        rt.spawn(_changes, stage, bh, ready, go, name="writer", cpu=1)
        until(lambda: bool(ready))
        buffer.lock_buffer(bh)
        mover = rt.spawn(_migrates, stage, name="migrator", cpu=2)
        until(lambda: mover.done or queue.entries)
        waiting = len(queue.entries)
        go.append(True)
        until(lambda: len(queue.entries) > waiting)
        buffer.unlock_buffer(bh)
        rt.join_others()
        for _ in range(changes - 1):
            _changes(stage, bh, [], [True])
        buffer.__brelse(bh, "ext3")
        stage.final["quiescent"] = snapshot(stage)
        sync(stage)
        stage.final["synced"] = snapshot(stage)

    return play(body, metadata=1, pagevec=14, direct=0, passes=10).record


def test_content_oracle_passes_on_a_change_that_a_refused_migration_met() -> None:
    record = _record(changes=2)
    passed(content.judge(record))
    passed(durability.judge(record))


def test_content_oracle_catches_a_change_that_is_lost_with_the_old_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_dev, "def_blk_aops", _movable_aops)
    finding = caught(content.judge(_record(changes=1)), "stale after sync")
    assert (finding.facts["inode"], finding.facts["seen_by"]) == ("inodes", "page cache")


def test_content_oracle_catches_the_next_change_when_it_reads_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_dev, "def_blk_aops", _movable_aops)
    found = content.judge(_record(changes=2)).findings
    assert [finding.rule for finding in found] == ["stale"] and found[0].facts["inode"] == "inodes"


def test_durability_oracle_catches_a_log_without_the_lost_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_dev, "def_blk_aops", _movable_aops)
    finding = caught(durability.judge(_record(changes=1)), "log copy")
    assert "stale" in finding.title
