"""The cast that has an fsync and a journal's thread: it holds, its promise is judged, and a broken one is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, writer
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import Journal
from mmrace.oracles.general.judgement import Verdict
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.param import Value
from mmrace.scenarios.build import settle
from tests.oracles.protocol.planted import findings, rules
from tests.scenarios.staged import gate_spec, on_disk, play

SHAPES: tuple[dict[str, Value], ...] = (
    {"metadata": 1},
    {"metadata": 1, "credits": 3, "burst": 2, "mode": "MIGRATE_SYNC_LIGHT", "direct": 0},
    {"data": "journal", "pages": 2},
    {"data": "writeback", "metadata": 1, "cpus": 2, "irq": "any"},
)


LOGS: tuple[dict[str, Value], ...] = (
    {"metadata": 1, "device": 1, "credits": 3, "log": 12},
    {"metadata": 1, "device": 1, "credits": 3, "log": 12, "mode": "MIGRATE_SYNC", "batch": 8},
    {"metadata": 1, "data": "journal", "pages": 2, "credits": 3, "log": 20},
)


@pytest.mark.slow
def test_log_fills_holds_and_gets_where_it_is_meant_to() -> None:
    marks: set[str] = set()
    for seed in range(24):
        shape = {"rounds": 4, "idle": 20, "migrations": 3, **LOGS[seed % len(LOGS)]}
        result = run_one(replace(gate_spec("log-fills", seed, **shape), engine="fiber"))
        assert result.verdict == Verdict.PASS, result
        marks |= set(result.marks)
    wanted = {
        "journal_start: log full",
        "checkpoint: tail moved",
        "checkpoint: wrote a batch home",
        "checkpoint: waited for its own write",
        "checkpoint: buffer in a transaction",
    }
    assert wanted <= marks, wanted - marks


@pytest.mark.slow
def test_fsync_commits_holds_and_gets_where_it_is_meant_to() -> None:
    marks: set[str] = set()
    for seed in range(40):
        shape = {"rounds": 3, "idle": 40, "migrations": 3, **SHAPES[seed % len(SHAPES)]}
        result = run_one(replace(gate_spec("fsync-commits", seed, **shape), engine="fiber"))
        assert result.verdict == Verdict.PASS, result
        marks |= set(result.marks)
    wanted = {"log_wait_commit: slept", "kjournald: slept", "journal_start: transaction full", "fsync: forced a commit"}
    assert wanted <= marks


def test_kjournald_is_a_daemon_that_does_the_commits_and_is_at_rest_in_the_snapshots() -> None:
    record = run_one(replace(gate_spec("fsync-commits", 3, metadata=1), engine="fiber"), keep_record=True).record
    assert record is not None
    (kjournald,) = [row["id"] for row in record.tasks if row["daemon"]]
    assert record.task_name(kjournald) == "kjournald"
    commits = {task for task, op, kind, _ in record.events if op == NOTE and kind == "commit-begin"}
    assert commits == {kjournald}
    for snapshot in record.final.values():
        assert snapshot["locks_held"] == []
        assert snapshot["journals"][0]["committing"] is None


def test_the_committer_asks_kjournald_where_it_runs() -> None:
    def body(stage: Stage) -> list[bool]:
        journal_.journal_start_thread(stage.journal, 1)
        asked = [committer.commit_running(stage)]
        writer.write_block(stage, 0)
        asked.append(committer.commit_running(stage))
        settle(stage)
        return asked

    played = play(body)
    assert played.value == [False, True]
    assert on_disk(played.stage, 0) == [1, 1]
    assert rt.peek(played.stage.journal, "j_running_transaction") is None


def _no_wait(journal: Journal, tid: int) -> int:
    """BUGGY: whoever asked for a commit is told at once that it is done."""
    return 0


@pytest.mark.slow
def test_durability_oracle_catches_an_fsync_that_does_not_wait_for_its_commit() -> None:
    shape: dict[str, Value] = {"data": "journal", "rounds": 3}
    found = findings("fsync-commits", {"jbd.journal:log_wait_commit": _no_wait}, shape)
    assert rules(found)["durability", "fsync before the medium"]


def test_a_set_up_that_fills_transactions_has_them_committed() -> None:
    """It slept for ever: there was no kjournald yet."""
    params: dict[str, Value] = {"dirtied": 4, "idle": 5, "rounds": 1, "pages": 2}
    result = run_one(gate_spec("log-fills", **params))
    assert result.verdict == Verdict.PASS, result.findings
