"""The clock of a record: ops take a tick of their CPU, sleeps last, and nothing else counts."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime import clock
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from tests.runtime.engines import Outcome, Setup, box, fiber, free, gate, random_walk

LANES: dict[int, tuple[str, str, str, str]] = {2: ("Box", "box:0", "x", "")}


def record(homes: list[int | None], *events: tuple[Any, ...]) -> Record:
    """Write a record by hand: of each event the task, and the ticks of a sleep that begins or None for an op."""
    rows = []
    for task, ticks in events:
        rows.append((task, NOTE, "sleep", (ticks, "")) if ticks else (task, 2 << SHIFT | Kind.READ, 0, None))
    tasks = [{"id": i, "name": f"t{i}", "cpu": cpu, "daemon": False} for i, cpu in enumerate(homes)]
    return Record({}, rows, table=LANES, tasks=tasks)


OP = None


def test_ops_of_one_cpu_follow_each_other_and_those_of_two_share_a_tick() -> None:
    assert clock.times(record([0, 0], (0, OP), (1, OP), (0, OP))) == [0, 1, 2]
    assert clock.times(record([0, 1], (0, OP), (1, OP), (0, OP), (1, OP))) == [0, 0, 1, 1]


def test_nothing_comes_before_what_stands_above_it() -> None:
    """The second CPU was idle meanwhile: what it does now is not of the past."""
    assert clock.times(record([0, 1], (0, OP), (0, OP), (0, OP), (1, OP), (1, OP))) == [0, 1, 2, 2, 3]


def test_a_sleep_lasts_and_the_others_fill_it() -> None:
    alone = record([0], (0, OP), (0, 10), (0, OP), (0, OP))
    assert clock.times(alone) == [0, 0, 10, 11]
    filled = record([0, 1], (0, OP), (0, 3), (1, OP), (1, OP), (1, OP), (1, OP), (0, OP), (1, OP))
    assert clock.times(filled) == [0, 0, 0, 1, 2, 3, 3, 4]


def test_a_sleep_that_was_ended_early_takes_its_time_all_the_same() -> None:
    """As under a strategy that knows no clock: then all had been idle."""
    assert clock.times(record([0, 1], (0, 10), (1, OP), (0, OP), (1, OP))) == [0, 0, 10, 10]


def test_what_a_device_does_takes_no_time_but_its_sleeps_do() -> None:
    assert clock.times(record([0, None], (0, OP), (1, OP), (1, OP), (0, OP))) == [0, 0, 0, 1]
    assert clock.times(record([0, None], (0, OP), (1, 5), (0, OP), (1, OP), (0, OP))) == [0, 0, 1, 5, 5]


def _sleeper() -> None:
    shared = box()

    def play(ticks: int) -> None:
        for _ in range(3):
            rt.sleep(ticks, "a while")
            shared.x += 1

    rt.spawn(play, 5, cpu=0)
    rt.spawn(play, 9, cpu=1)
    rt.join_others()


def test_a_sleep_is_a_note_and_a_point_like_that_of_schedule(run: Setup) -> None:
    outcome = run(_sleeper)
    assert sorted(outcome.notes("sleep")) == [(5, "a while")] * 3 + [(9, "a while")] * 3
    for number in (1, 2):
        mine = [event for event in outcome.record.events if event[0] == number]
        for i, event in enumerate(mine):
            if event[1] == NOTE:
                assert mine[i + 1][1] & 63 == Kind.YIELD
                assert mine[i + 1][2:] == (None, None)


def test_gate_and_fiber_give_the_same_record_and_the_same_times() -> None:
    outcomes: list[Outcome] = [on(_sleeper, random_walk(7), seed=7) for on in (gate, fiber)]
    first, second = (list(outcome.record.plain()) for outcome in outcomes)
    assert first == second
    assert clock.times(outcomes[0].record) == clock.times(outcomes[1].record)


def test_times_are_the_same_from_a_file(tmp_path: Any) -> None:
    outcome = fiber(_sleeper, random_walk(3), seed=3)
    outcome.record.write(tmp_path / "run.jsonl")
    assert clock.times(Record.read(tmp_path / "run.jsonl")) == clock.times(outcome.record)


def test_times_never_fall_and_no_tick_of_a_cpu_is_used_twice() -> None:
    for seed in range(20):
        found = fiber(_sleeper, random_walk(seed), seed=seed).record
        times = clock.times(found)
        assert times == sorted(times)
        used = [
            (found.tasks[event[0]]["cpu"], tick)
            for event, tick in zip(found.events, times, strict=True)
            if event[1] != NOTE and found.tasks[event[0]]["cpu"] is not None
        ]
        assert len(used) == len(set(used))


@pytest.mark.parametrize("ticks", [0, -1, 1.5, None])
def test_a_sleep_of_no_ticks_is_an_error_that_says_what_was_expected(ticks: Any) -> None:
    with pytest.raises(UsageError, match="ticks >= 1"):
        gate(lambda: rt.sleep(ticks, "nothing"))


def test_a_sleep_in_atomic_context_is_a_violation() -> None:
    def main() -> None:
        shared = box()
        rt.spin_lock(shared.spin)
        rt.sleep(5)

    outcome = gate(main, raising=False)
    assert outcome.how == "violation"
    assert outcome.detail["rule"] == "sleep in atomic context"


def test_free_threads_sleep_too() -> None:
    assert free(_sleeper).how == "finished"
