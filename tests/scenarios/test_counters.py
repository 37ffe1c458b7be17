"""Counts of a run: from its notes alone, on records by hand, on live ones and on those from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmrace.installed import run_one
from mmrace.runs.counters import ops_and_switches
from mmrace.runs.spec import RunSpec
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.record import Event, Record
from mmrace.scenarios.counters import counters
from mmrace.scenarios.workload import packaged
from tests.scenarios.staged import gate_spec, spelled_out

READ = 5 << SHIFT | int(Kind.READ)


def note(kind: str, *facts: Any) -> Event:
    return (0, NOTE, kind, facts)


def op(task: int = 0) -> Event:
    return (task, READ, None, None)


def count(*events: Event) -> dict[str, int]:
    """Count a record of these events; what every record has is left out where it is zero."""
    record = Record({}, list(events), table={}, tasks=[])
    ops, switches = ops_and_switches(record)
    found = {"ops": ops, "switches": switches}
    return {**{name: n for name, n in found.items() if n}, **counters(record)}


def migrated(rc: str, reason: str) -> Event:
    return note("migrate-end", "page:0", "page:1", "MIGRATE_ASYNC", rc, reason)


def test_nothing_done_is_counted_as_nothing() -> None:
    assert count() == {}
    assert ops_and_switches(Record({}, [], table={}, tasks=[])) == (0, 0)


def test_notes_are_no_ops() -> None:
    assert count(op(), note("round", "reader", 0), op()) == {"ops": 2}


def test_switches_are_changes_of_task_between_ops() -> None:
    assert count(op(0), op(0), op(1), note("round", "reader", 0), op(1), op(0)) == {"ops": 5, "switches": 2}


def test_a_migration_is_tried_and_then_moved_or_refused_for_its_reason() -> None:
    found = count(migrated("0", "moved"), migrated("-EAGAIN", "buffer-lock"), migrated("-EAGAIN", "page-lock"))
    assert found == {
        "migrations.tried": 3,
        "migrations.moved": 1,
        "migrations.refused.buffer-lock": 1,
        "migrations.refused.page-lock": 1,
    }


def test_a_page_that_was_freed_meanwhile_did_not_move() -> None:
    assert count(migrated("0", "freed")) == {"migrations.tried": 1, "migrations.freed": 1}


def test_a_migration_that_did_not_end_is_not_counted() -> None:
    assert count(note("migrate-begin", "page:0", "MIGRATE_ASYNC")) == {}


@pytest.mark.parametrize(("kind", "name"), [("commit-end", "commits"), ("writeback-end", "writebacks")])
def test_commits_and_writebacks_are_counted_by_their_ends(kind: str, name: str) -> None:
    begin = kind.replace("end", "begin")
    assert count(note(begin, 1), note(kind, 1), note(begin, 2)) == {name: 1}


def test_reclaims_are_counted_by_their_outcome() -> None:
    events = [note("reclaim", "page:0", "freed", "clean"), note("reclaim", "page:1", "kept", "refcount")]
    assert count(*events, events[0]) == {"reclaims.freed": 2, "reclaims.kept": 1}


def test_a_workload_is_counted_by_kind_and_by_pairs_in_order() -> None:
    events = [note("workload-recorded", "dirty", 2), note("workload-recorded", "commit", 1)]
    for k, kind in ((1, "commit"), (0, "dirty"), (2, "dirty")):
        events += [note("workload-begin", k), note("workload-end", k, kind)]
    found = count(*events, note("workload-pairs", 3))
    assert found == {
        "workload.dirty.recorded": 2,
        "workload.commit.recorded": 1,
        "workload.dirty.performed": 2,
        "workload.commit.performed": 1,
        "workload.pairs": 3,
        "workload.pairs_kept": 2,
    }


def test_a_workload_of_a_run_that_did_not_conclude_has_no_pairs() -> None:
    assert count(note("workload-begin", 0), note("workload-begin", 1)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["gate", "free"])
@pytest.mark.parametrize("scenario", ["four", "recorded"])
def test_counts_are_the_same_from_memory_and_from_the_file(tmp_path: Path, scenario: str, engine: str) -> None:
    workload = packaged()[0] if scenario == "recorded" else None
    params = spelled_out(scenario, pages=12, buffers=4) if workload else spelled_out(scenario, pages=2)
    result = run_one(RunSpec(scenario, params, engine=engine, seed=2, workload=workload), keep_record=True)
    assert result.record is not None
    result.record.write(tmp_path / "run.jsonl")
    live = counters(result.record)
    assert counters(Record.read(tmp_path / "run.jsonl")) == live
    assert (result.ops, result.switches) == ops_and_switches(result.record)
    assert result.counters == live


def test_what_was_tried_is_what_moved_and_what_was_refused() -> None:
    for seed in range(5):
        found = run_one(gate_spec("four", seed, pages=2, idle=20, migrations=6)).counters
        refusals = sum(n for name, n in found.items() if name.startswith("migrations.refused."))
        assert found.get("migrations.tried", 0) == found.get("migrations.moved", 0) + refusals
