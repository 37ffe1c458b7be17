"""Scenario `recorded`: everything that was recorded is done, in an order that respects the record."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mmrace import scenarios
from mmrace.installed import run_one
from mmrace.kernel.mm import migrate
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.noise import PROFILES
from mmrace.runtime.record import Record
from mmrace.scenarios.recorded import ACTORS, CLOSE_US, DEEDS, meets, waits_for
from mmrace.scenarios.workload import KINDS, Workload, packaged
from tests.scenarios.staged import spelled_out
from tests.scenarios.workloads import TINY, drawn, tiny

WORKLOADS = [*(Workload.load(name) for name in packaged()), tiny(), *(drawn(seed) for seed in range(6))]
KEPT = 0.9
"""Share of the pairs whose order a run must keep: real meetings may swap, and few actions are that close."""

PERFORMED = ("dirty", "writeback", "migrate", "commit")
"""A reclaim may find its page locked by a neighbour, and be over: that is no rule of the record."""


def before(workload: Workload, j: int, k: int) -> bool:
    """Say whether action j had ended so long before k began that they must not swap."""
    return workload.actions[j].end_us + CLOSE_US < workload.actions[k].begin_us


def spec(workload: str, engine: str = "gate", noise: str = "off", **changed: int | str) -> RunSpec:
    params = spelled_out("recorded", **{"pages": 12, "buffers": 4, "words": 2, "pagevec": 4, **changed})
    return RunSpec("recorded", params, engine=engine, noise=noise, seed=5, workload=workload)


def run(which: RunSpec) -> tuple[RunResult, Record]:
    result = run_one(which, keep_record=True)
    assert (result.verdict, result.findings) == ("PASS", [])
    assert result.record is not None
    return result, result.record


def notes(record: Record, kind: str) -> list[tuple[int, int]]:
    """Return (step, action) of a workload's notes of one kind."""
    return [(step, facts[0]) for step, (_, op, name, facts) in enumerate(record.events) if op == NOTE and name == kind]


@pytest.fixture
def tiny_file(tmp_path: Path) -> str:
    """Give the path of the tiny workload."""
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    return str(path)


# -- who waits for whom ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_waiting_is_acyclic(workload: Workload) -> None:
    assert all(j < k for k in range(len(workload.actions)) for j in waits_for(workload, k))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_no_action_waits_for_one_that_it_met(workload: Workload) -> None:
    for k, action in enumerate(workload.actions):
        for j in waits_for(workload, k):
            assert before(workload, j, k)
            assert workload.actions[j].do != action.do


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_waiting_covers_every_earlier_action_of_every_other_kind(workload: Workload) -> None:
    """Each kind is performed in order, so that to wait for its last one is to wait for all."""
    for k, action in enumerate(workload.actions):
        last = {workload.actions[j].do: j for j in waits_for(workload, k)}
        for j in range(k):
            kind = workload.actions[j].do
            if kind != action.do and before(workload, j, k):
                assert last[kind] >= j


def test_each_kind_has_a_deed_and_one_actor() -> None:
    assert set(DEEDS) == set(KINDS)
    assert sorted(ACTORS.values()) == sorted(KINDS)


def test_a_migration_meets_the_reads_of_its_page_that_overlap_it() -> None:
    workload = tiny()
    met = {k: meets(workload, k) for k in range(len(workload.actions)) if meets(workload, k)}
    assert met == {len(workload.actions) - 1: [len(workload.actions) - 2]}


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_meeting_is_with_earlier_reads_of_the_same_page(workload: Workload) -> None:
    for k, action in enumerate(workload.actions):
        for j in meets(workload, k):
            other = workload.actions[j]
            assert j < k and (action.do, other.do) == ("migrate", "read") and other.page == action.page
            assert not other.end_us < action.begin_us


# -- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", packaged())
def test_a_run_performs_what_was_recorded_and_keeps_its_order(name: str) -> None:
    result, record = run(spec(name))
    workload = Workload.load(name)
    for kind, recorded in workload.counts().items():
        assert result.counters[f"workload.{kind}.recorded"] == recorded
        if kind in PERFORMED:
            assert result.counters[f"workload.{kind}.performed"] == recorded, kind
    assert result.counters["commits"] >= workload.counts()["commit"]
    actions = len(workload.actions)
    assert result.counters["workload.pairs"] == actions * (actions - 1) // 2
    assert result.counters["workload.pairs_kept"] > KEPT * result.counters["workload.pairs"]
    assert sorted(k for _, k in notes(record, "workload-begin")) == list(range(actions))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["gate", "free"])
def test_what_was_far_apart_never_swaps(engine: str) -> None:
    name = packaged()[0]
    workload = Workload.load(name)
    _, record = run(spec(name, engine))
    begun = {k: step for step, k in notes(record, "workload-begin")}
    ended = {k: step for step, k in notes(record, "workload-end")}
    for k, step in begun.items():
        for j in range(k):
            if before(workload, j, k):
                assert ended.get(j, begun[j]) < step, (j, k)


@pytest.mark.slow
def test_synchronous_migrations_wait_for_pages_that_a_read_has_locked() -> None:
    """The packaged workload has seven such meetings: in most runs at least one goes on to a forced pass."""
    runs = [run_one(replace(spec(packaged()[0], "fiber", passes=10), seed=seed)) for seed in range(6)]
    assert [result.verdict for result in runs] == ["PASS"] * len(runs)
    assert sum("migrate: slept for the page lock" in result.marks for result in runs) >= len(runs) // 2


def test_the_recorded_workload_runs_with_as_many_passes_as_the_kernel() -> None:
    assert scenarios.get("recorded").merged({})["passes"] == migrate.PASSES == 10


def test_each_actor_performs_its_own_kind_in_the_recorded_order() -> None:
    name = packaged()[0]
    workload = Workload.load(name)
    _, record = run(spec(name))
    by_task: dict[str, list[int]] = {}
    for task, op, kind, facts in record.events:
        if op == NOTE and kind == "workload-begin":
            by_task.setdefault(record.task_name(task), []).append(facts[0])
    for actor, kind in ACTORS.items():
        assert by_task[actor] == [k for k, action in enumerate(workload.actions) if action.do == kind]


@pytest.mark.slow
@pytest.mark.parametrize("noise", PROFILES)
def test_free_runs_perform_a_workload_in_every_noise(tiny_file: str, noise: str) -> None:
    result, record = run(spec(tiny_file, "free", noise, pages=2, buffers=2, pagevec=1))
    assert result.counters["workload.dirty.performed"] == 2
    assert result.counters["workload.commit.performed"] == 1
    assert len(notes(record, "workload-begin")) == len(TINY["actions"])


@pytest.mark.parametrize("absent", list(ACTORS))
def test_nobody_waits_for_an_actor_that_was_left_out(tiny_file: str, absent: str) -> None:
    _, record = run(spec(tiny_file, pages=2, buffers=2, without=absent))
    done = {TINY["actions"][k]["do"] for _, k in notes(record, "workload-begin")}
    assert done == set(KINDS) - {ACTORS[absent]}


def test_a_dirtying_writes_each_recorded_buffer(tiny_file: str) -> None:
    _, record = run(spec(tiny_file, pages=2, buffers=2))
    written = [facts[1] for _, op, kind, facts in record.events if op == NOTE and kind == "write-end"]
    assert written == [0, 1, 3]
    versions = [facts[2] for _, op, kind, facts in record.events if op == NOTE and kind == "write-end"]
    assert all(a < b for a, b in pairwise(versions))


def test_a_migration_is_tried_in_the_recorded_mode(tiny_file: str) -> None:
    _, record = run(spec(tiny_file, pages=2, buffers=2))
    modes = [facts[1] for _, op, kind, facts in record.events if op == NOTE and kind == "migrate-begin"]
    assert set(modes) == {"MIGRATE_ASYNC", "MIGRATE_SYNC"}
