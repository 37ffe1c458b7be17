"""The three ways to treat data, each played by small casts: what differs between them, and that all of them hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, writer
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.fs.ext3 import DataMode
from mmrace.kernel.jbd.jbd import LIST_FIELDS, JList
from mmrace.kernel.mm import swap
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.oracles.general.judgement import Verdict
from tests.scenarios.staged import cached, gate_spec, on_disk, play, ring, unwritten

MODES = [mode.value for mode in DataMode]
JOURNAL = DataMode.JOURNAL.value


def filed(stage: Stage) -> str:
    """Name the list of the running transaction that holds the one buffer that was written, "" if none does."""
    running = rt.peek(stage.journal, "j_running_transaction")
    return next((jlist.name for jlist in list(JList)[1:] if rt.peek(running, LIST_FIELDS[jlist])), "")


@pytest.mark.parametrize(
    ("data", "where", "home"),
    [("ordered", "BJ_SyncData", True), ("writeback", "", False), ("journal", "BJ_Metadata", False)],
)
def test_a_commit_writes_data_home_in_ordered_mode_only(data: str, where: str, home: bool) -> None:
    def body(stage: Stage) -> str:
        writer.write_block(stage, 0)
        on_list = filed(stage)
        committer.commit_running(stage)
        return on_list

    played = play(body, data=data)
    assert played.value == where
    assert on_disk(played.stage, 0) == ([1, 1] if home else unwritten(played.stage, 0))


def test_a_journalled_page_moves_only_once_the_journal_lets_go_of_it() -> None:
    def body(stage: Stage) -> list[bool]:
        moved = []
        for deed in (lambda: writer.write_block(stage, 0), lambda: committer.commit_running(stage)):
            deed()
            swap.lru_add_drain_all(stage.machine)
            old = cached(stage)
            migrator.migrate_some(stage, migrator.isolate_index(stage, 0), MigrateMode.MIGRATE_SYNC)
            swap.lru_add_drain_all(stage.machine)
            moved.append(cached(stage) is not old)
        return moved

    played = play(body, data=JOURNAL, passes=10, direct=0)
    # Journal-dirty: refused. Committed and dirty: written home by the migration itself, then stripped and moved.
    assert played.value == [False, True]
    assert ring(played.stage) == [] and on_disk(played.stage, 0) == [1, 1]


CASTS = ["async-vs-commit", "sync-vs-commit", "migrate-vs-writeback", "four"]


@pytest.mark.slow
@pytest.mark.parametrize("data", MODES)
@pytest.mark.parametrize("cast", CASTS)
def test_every_cast_holds_in_every_mode(cast: str, data: str) -> None:
    marks: set[str] = set()
    for seed in range(20):
        shape = {"metadata": seed % 2, "pages": 1 + seed % 3, "rounds": 4, "idle": 40, "migrations": 4, "burst": 2}
        spec = replace(gate_spec(cast, seed, **shape, data=data), engine="fiber")
        result = run_one(spec)
        assert result.verdict == Verdict.PASS, result
        marks |= set(result.marks)
    if data == JOURNAL and cast != "migrate-vs-writeback":
        assert {"ext3: dirty buffer taken over", "fallback: releasepage failed"} <= marks
