"""Strategy `timed`: the order that a machine would have, by the clock of the record."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import pytest

from mmrace import runtime as rt
from mmrace.runtime import clock
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE
from mmrace.strategies import registry
from tests.runtime.engines import Outcome, box, fiber, gate
from tests.strategies.programs import sampler, stream


def timed(main: Callable[[], object], seed: int = 0, turn: int = 40, on: Callable[..., Outcome] = fiber) -> Outcome:
    """Run a program at a machine's pace."""
    return on(main, sampler(f"timed:turn={turn}").strategy(stream(seed), None), seed=seed)


def done(outcome: Outcome) -> list[str]:
    """Return the facts of the notes "done", in order."""
    return [str(facts[0]) for facts in outcome.notes("done")]


def _sleep(name: str, *ticks: int) -> None:
    for part in ticks:
        rt.sleep(part)
    rt.note("done", name)


def test_sleeps_end_in_the_order_of_their_times() -> None:
    def main() -> None:
        for name, ticks in (("long", 900), ("short", 100), ("middle", 500)):
            rt.spawn(_sleep, name, ticks, name=name, cpu=None)
        rt.join_others()

    assert {tuple(done(timed(main, seed))) for seed in range(20)} == {("short", "middle", "long")}


def test_who_computes_does_so_while_another_sleeps_and_no_longer() -> None:
    """Of a thousand ops those that fit into a sleep of three hundred ticks come before its end."""

    def compute() -> None:
        shared = box()
        for i in range(1000):
            shared.x = i

    def main() -> None:
        rt.spawn(compute, name="compute", cpu=1)
        rt.spawn(_sleep, "sleeper", 300, name="sleeper", cpu=0)
        rt.join_others()

    record = timed(main).record
    at = next(i for i, event in enumerate(record.events) if event[1] == NOTE and event[2] == "done")
    ops = sum(event[1] != NOTE and record.task_name(event[0]) == "compute" for event in record.events[:at])
    assert 290 <= ops <= 320


def test_the_clock_jumps_where_nobody_else_can_go_on() -> None:
    def main() -> None:
        rt.spawn(_sleep, "alone", 10**9, name="alone", cpu=0)
        rt.join_others()

    outcome = timed(main)
    assert len(outcome.record.events) < 20
    assert clock.times(outcome.record)[-1] >= 10**9


def test_cpus_work_side_by_side_and_tasks_of_one_have_turns() -> None:
    def play(number: int) -> None:
        shared = box(number)
        for i in range(400):
            shared.x = i

    def main() -> None:
        for number, cpu in enumerate((0, 0, 1)):
            rt.spawn(play, number, name=f"t{number}", cpu=cpu)
        rt.join_others()

    record = timed(main, turn=40).record
    ops = [event for event in record.events if event[1] != NOTE]
    names = [record.task_name(event[0]) for event in ops]
    ends = {name: len(names) - names[::-1].index(name) for name in ("t0", "t1", "t2")}
    assert ends["t2"] < min(ends["t0"], ends["t1"])  # it had a CPU to itself
    turns = [len(list(run)) for who, run in groupby(name for name in names if name in ("t0", "t1"))]
    assert 20 <= max(turns) <= 70
    assert 10 <= len(turns) <= 40


def test_nobody_goes_on_before_its_time() -> None:
    """A sleep that others fill ends at its tick or after, never by a jump: whoever could come first did."""

    def play(ticks: int) -> None:
        shared = box(ticks)
        for i in range(20):
            shared.x = i
            rt.sleep(ticks)

    def main() -> None:
        for number, ticks in enumerate((7, 13, 29)):
            rt.spawn(play, ticks, cpu=number % 2)
        rt.spawn(play, 101, cpu=None)
        rt.join_others()

    for seed in range(10):
        record = timed(main, seed, turn=10).record
        homes = [task["cpu"] for task in record.tasks]
        now = clock.Clock()
        step = 0
        for event in record.events:
            if event[1] != NOTE:
                mask, step = record.masks[step], step + 1
                able = [task for task in range(len(homes)) if mask >> task & 1]
                assert now.start(event[0], homes[event[0]]) == min(now.start(task, homes[task]) for task in able)
            now.take(event, homes[event[0]])


def test_a_seed_gives_one_schedule_on_both_engines_and_other_seeds_give_others() -> None:
    def play(number: int) -> None:
        shared = box(number)
        for i in range(100):
            shared.x = i

    def main() -> None:
        for number in range(4):
            rt.spawn(play, number, cpu=number % 2)
        rt.join_others()

    runs = [[list(timed(main, seed, on=on).record.plain()) for on in (gate, fiber)] for seed in range(4)]
    assert all(first == second for first, second in runs)
    assert runs[0] != runs[1]


def test_a_turn_of_no_ops_is_refused() -> None:
    with pytest.raises(UsageError, match="a turn >= 1"):
        registry.check("timed:turn=0")
