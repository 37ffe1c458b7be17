"""Profiles count what could have come in another order: PCT's points, and the accesses that SURW draws from."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import permutations

import pytest

from mmrace import runtime as rt
from mmrace.runs import profile
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.play import play
from mmrace.runs.profile import OPS_ENOUGH, measure, profile_of
from mmrace.runs.spec import RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.kinds import ACQUIRE, KIND_MASK, NOTE, RELEASE, SHIFT, SLEEP
from mmrace.strategies.contract import LaneUse, Profile
from mmrace.strategies.random_walk import RandomWalk
from mmrace.strategies.surw import Surw
from tests.programs import late_change
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_few, as_uneven
from tests.strategies.programs import Program, run, stream

RUNS = 2000
WRITES = 20  # of the long task, before it reads twice and after its fellow's only op could come


class Shared(rt.Struct):
    """What tasks share, and something that is one task's own."""

    x: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()
    own = rt.mutex()


def measured(main: Program, seed: int = 0) -> Profile:
    """Return the profile of one random walk."""
    return measure(run(main, RandomWalk(stream("measured", seed)), trimmed=False, ncpus=4))


def lane_of(main: Program, part: str) -> int:
    """Return the lane of a part of the only `Shared` that a program makes."""
    engine = run(main, RandomWalk(stream("lane")), trimmed=False, ncpus=4)
    [first] = [base for base, owner in engine.objects if isinstance(owner, Shared)]
    return first + next(row.first for row in Shared.plan if row.field == part)


def test_a_profile_has_fewer_runs_where_each_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [0]

    def two() -> None:
        made[0] += 1
        shared = Shared("shared")
        for _ in range(2):
            rt.spawn(rt.mutex_lock, shared.lock)

    for enough, runs in ((OPS_ENOUGH, 6), (1, 2)):
        monkeypatch.setattr(profile, "OPS_ENOUGH", enough)
        monkeypatch.setattr(profile, "_profiles", {})
        maker = FunctionMaker(here={"two": two})
        made[0] = 0
        profile_of(maker.program(RunSpec("two", maker="function", engine="fiber")))
        assert made[0] == runs


def test_a_change_late_in_a_long_task_is_found_as_often_as_the_bound_promises() -> None:
    """The long task's ops are all points, however soon the short one was through in the walks that were profiled."""
    maker = FunctionMaker(here={"late": late_change.main})
    first = RunSpec("late", maker="function", engine="fiber", strategy="pct:depth=2")
    program = maker.program(first)
    k = profile_of(program).points
    assert k == WRITES + 2 + 1
    found = 0
    for seed in range(RUNS):
        spec = RunSpec("late", maker="function", engine="fiber", strategy="pct:depth=2", seed=seed)
        with play(program, spec, strategy_for(program, spec)) as played:
            found += played.how == "violation"
    assert as_few(found, RUNS, Fraction(1, 2 * k)) > FALSE_ALARM


def test_what_is_before_the_first_spawn_and_after_the_last_join_is_no_point() -> None:
    def main() -> None:
        shared = Shared("shared")
        shared.x = 1
        task = rt.spawn(rt.mutex_lock, shared.lock, cpu=1)
        shared.x = 2
        rt.join(task)
        shared.x = 3

    assert measured(main).points == 2


def test_the_points_are_the_most_that_any_profiled_run_had() -> None:
    """A task does a lot if it is first, which only some of the runs show."""

    def main() -> None:
        shared = Shared("shared")

        def first() -> None:
            for _ in range(1 if shared.x else 50):
                rt.mutex_lock(shared.own)
                rt.mutex_unlock(shared.own)

        def second() -> None:
            shared.x = 1

        rt.spawn(second, cpu=1)
        rt.spawn(first, cpu=2)

    maker = FunctionMaker(here={"long": main})
    program = maker.program(RunSpec("long", maker="function"))
    assert {measured(main, seed).points for seed in range(20)} == {4, 102}
    assert profile_of(program).points == 102


def test_no_lane_of_a_task_and_no_lane_of_one_task_is_drawn() -> None:
    """Ten tasks, each with a lock of its own, of which two share another."""

    def main() -> None:
        shared = Shared("shared")

        def body(number: int) -> None:
            mine = Shared(f"own.{number}")
            rt.mutex_lock(mine.own)
            rt.mutex_unlock(mine.own)
            if number < 2:
                rt.mutex_lock(shared.lock)
                rt.mutex_unlock(shared.lock)

        for number in range(10):
            rt.spawn(body, number, cpu=None)
        rt.join_others()

    [use] = measured(main).lanes.values()
    assert use == LaneUse(("main.0", "main.1"), 2, 2, {"main.0": 1, "main.1": 1}, 1 << RELEASE | 1 << SLEEP)


def test_accesses_that_spawn_and_join_put_in_order_do_not_count() -> None:
    """Main writes before its task is born and after it is joined: nothing is left to be ordered."""

    def main() -> None:
        shared = Shared("shared")
        shared.x = 1
        task = rt.spawn(lambda: setattr(shared, "x", 2), cpu=1)
        rt.join(task)
        shared.x = 3

    assert measured(main).lanes == {}


def test_releases_count_where_somebody_tries() -> None:
    def main() -> None:
        shared = Shared("shared")

        def takes() -> None:
            rt.mutex_lock(shared.lock)
            rt.mutex_unlock(shared.lock)

        def tries() -> None:
            if rt.mutex_trylock(shared.lock):
                rt.mutex_unlock(shared.lock)

        rt.spawn(takes, name="takes", cpu=1)
        rt.spawn(tries, name="tries", cpu=2)

    use = measured(main).lanes[lane_of(main, "lock")]
    assert use.by_task["takes"] == 2 and not use.forced >> RELEASE & 1


def test_surw_draws_every_order_of_the_acquires_of_a_lock_with_the_same_chance() -> None:
    plan = {"t0": 1, "t1": 3}

    def main() -> None:
        shared = Shared("shared")

        def body(times: int) -> None:
            for _ in range(times):
                rt.mutex_lock(shared.lock)
                rt.mutex_unlock(shared.lock)

        for name, times in plan.items():
            rt.spawn(body, times, name=name, cpu=None)

    shown, lane = measured(main), lane_of(main, "lock")
    assert shown.lanes[lane].by_task == plan
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(RUNS):
        engine = run(main, Surw(stream("acquires", seed), shown), trimmed=False, ncpus=4)
        acquires = [e for e in engine.events if e[1] != NOTE and e[1] >> SHIFT == lane and e[1] & KIND_MASK == ACQUIRE]
        counts[tuple(int(engine.tasks[event[0]].name[1:]) for event in acquires)] += 1
    assert as_uneven(counts, exact.uniform(set(permutations((0, 1, 1, 1))))) > FALSE_ALARM
