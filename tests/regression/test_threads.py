"""No thread outlives its run, whatever the run came to: the pool keeps them, idle, and all can be ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime import live, pool
from mmrace.runtime.errors import UsageError
from mmrace.runtime.noise import PROFILES
from mmrace.scenarios.scenario import Scenario
from tests.history.hunted import HUNTED, spec_of
from tests.scenarios.staged import gate_spec

TURNS = 1_000_000
"""Turns that a test gives its threads to get back to the pool: the last act of a run is done by one of them."""

ENDLESS = 1_000
"""Rounds: no run gets through, however late the watchdog of `free` looks."""

PASSING = gate_spec("four", 3, pages=2, rounds=1)


def threads_left() -> set[threading.Thread]:
    """End every idle thread of the pool; return those that are left of it."""
    for _ in range(TURNS):
        if pool.drain() == 0:
            break
        os.sched_yield()
    return {thread for thread in threading.enumerate() if thread.name.startswith("mmrace-")}


def passed(verdict: str) -> None:
    assert verdict == "PASS"


def failed(verdict: str) -> None:
    assert verdict == "FAIL"


def unknown(verdict: str) -> None:
    assert verdict == "UNKNOWN"


def ends(spec: RunSpec, then: Callable[[str], None]) -> None:
    """Do a run; assert its verdict, and that it leaves the process as it was."""
    foreign = {thread for thread in threading.enumerate() if not thread.name.startswith("mmrace-")}
    then(run_one(spec).verdict)
    assert live.engine is live.NO_ENGINE
    assert not threads_left()
    assert {thread for thread in threading.enumerate() if thread.name != "mmrace.watch"} <= foreign


@pytest.mark.slow
@pytest.mark.repeat(3)
@pytest.mark.parametrize("noise", PROFILES)
def test_no_thread_is_left_after_a_free_run(noise: str) -> None:
    ends(replace(PASSING, engine="free", noise=noise), passed)


def test_no_thread_is_left_after_a_gate_run() -> None:
    ends(PASSING, passed)


@pytest.mark.parametrize("name", ["double-put", "forgotten-wake", "commit-no-flush"])
def test_no_thread_is_left_after_a_violation_or_a_deadlock(name: str) -> None:
    ends(spec_of(name, HUNTED[name][0]), failed)


@pytest.mark.slow
@pytest.mark.repeat(3)
@pytest.mark.parametrize("noise", PROFILES)
def test_no_thread_is_left_after_a_double_put_on_real_threads(noise: str) -> None:
    ends(replace(spec_of("double-put", 1), engine="free", noise=noise), lambda verdict: None)


@pytest.mark.parametrize("engine", ["free", "gate"])
def test_no_thread_is_left_after_a_run_that_was_cut(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr(Scenario, "steps", lambda *_: 4_000)
    monkeypatch.setattr("mmrace.runtime.watchdog.WATCH_SECONDS", 0.001)
    monkeypatch.setattr("mmrace.runtime.watchdog.UNFAIR_OPS_MAX", 0)
    ends(replace(gate_spec("four", 1, rounds=ENDLESS, migrations=10 * ENDLESS), engine=engine), unknown)


def test_no_thread_is_made_for_a_wrong_spec() -> None:
    assert not threads_left()
    with pytest.raises(UsageError):
        run_one(replace(PASSING, program="five"))
    assert pool.pool_size() == 0


def test_threads_are_kept_between_runs_and_not_one_for_each() -> None:
    assert not threads_left()
    tasks = []
    for seed in range(6):
        record = run_one(replace(PASSING, engine="free", seed=seed), keep_record=True).record
        assert record is not None
        tasks.append(len(record.tasks))
    assert 0 < pool.pool_size() <= 2 * max(tasks)  # those of a run, and of the one before that are not back yet
