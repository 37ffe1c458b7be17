"""SURW: all orders of the accesses to the drawn lane with equal chances, whatever else the tasks do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import NOTE, SHIFT
from mmrace.runtime.strategy import Strategy
from mmrace.strategies.contract import Draw, LaneUse, Profile
from mmrace.strategies.random_walk import RandomWalk
from mmrace.strategies.surw import NO_LANE, VALVE_STEPS, Surw, draw_lane
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_uneven
from tests.strategies.programs import Order, Plan, Program, R, W, cells, lane_of_cell, play, profile, run, stream

RUNS = 2000
OTHER = 1  # a cell that is not looked at


def on_cell(main: Program, shown: Profile, runs: int = RUNS) -> Counter[Order]:
    """Count the orders of the accesses to cell 0."""
    lane = lane_of_cell(0)
    counts: Counter[Order] = Counter()
    for seed in range(runs):
        engine = run(main, Surw(stream("surw", seed), shown))
        assert engine.end["how"] == "finished"
        numbers = [event[0] for event in engine.events if event[1] != NOTE and event[1] >> SHIFT == lane]
        counts[tuple(int(engine.tasks[number].name[1:]) for number in numbers)] += 1
    return counts


def profile_of_cell(plan: Plan) -> Profile:
    """Profile a plan: only cell 0 is interesting."""
    by_task = {f"t{i}": sum(cell == 0 for cell, _ in ops) for i, ops in enumerate(plan)}
    accesses = sum(by_task.values())
    lane = LaneUse(tuple(task for task, n in by_task.items() if n), accesses, accesses, by_task)
    return profile({f"t{i}": len(ops) for i, ops in enumerate(plan)}, lanes={lane_of_cell(0): lane})


def only(plan: Plan) -> list[Order]:
    """List the orders of the accesses to cell 0."""
    return exact.all_orders(tuple(tuple(op for op in ops if op[0] == 0) for ops in plan))


PLANS: dict[str, Plan] = {
    "alone": ((W(), W(), W()), (W(), W())),
    "one does much before": ((*(R(OTHER),) * 25, W(), W()), (W(), W())),
    "one does much between": ((W(), *(R(OTHER),) * 25, W()), (R(), W(), R(OTHER))),
    "one to three": ((W(),), (W(), R(OTHER), W(), W(), *(R(OTHER),) * 9)),
    "three tasks": ((W(), *(R(OTHER),) * 9), (R(OTHER), W()), (W(), W())),
    "a task without": ((W(), W()), (W(),), (R(OTHER),) * 9),
}


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_surw_draws_every_order_of_the_accesses_with_the_same_chance(plan: Plan) -> None:
    assert as_uneven(on_cell(play(plan), profile_of_cell(plan)), exact.uniform(only(plan))) > FALSE_ALARM


def test_an_intended_parent_hands_its_turn_on_to_its_child() -> None:
    """t0 has no access itself, but starts t2, which has two: three orders with t1's only one."""

    def main() -> None:
        words = cells().words

        def parent() -> None:
            for _ in range(3):
                words.read(OTHER)
            rt.spawn(child, name="t2")
            words.read(OTHER)

        def child() -> None:
            words.write(0, 1)
            words.write(0, 2)

        rt.spawn(parent, name="t0")
        rt.spawn(words.write, 0, 3, name="t1")

    lane = LaneUse(("t1", "t2"), 3, 3, {"t1": 1, "t2": 2})
    shown = profile({"t0": 4, "t1": 1, "t2": 2}, {"t2": "t0"}, lanes={lane_of_cell(0): lane})
    expected = exact.uniform(set(permutations((1, 2, 2))))
    assert as_uneven(on_cell(main, shown), expected) > FALSE_ALARM


def test_a_child_takes_its_accesses_from_its_parent() -> None:
    def main() -> None:
        words = cells().words

        def parent() -> None:
            rt.spawn(child, name="t1")
            words.write(0, 1)
            words.write(0, 2)

        def child() -> None:
            words.write(0, 3)
            words.write(0, 4)

        rt.spawn(parent, name="t0")

    lane = LaneUse(("t0", "t1"), 4, 4, {"t0": 2, "t1": 2})
    shown = profile({"t0": 2, "t1": 2}, {"t1": "t0"}, lanes={lane_of_cell(0): lane})
    assert as_uneven(on_cell(main, shown), exact.uniform(set(permutations((0, 0, 1, 1))))) > FALSE_ALARM


@pytest.mark.slow
def test_surw_counts_accesses_that_were_done_while_they_were_the_only_ones() -> None:
    alone = 10

    def main() -> None:
        made = cells()

        def first() -> None:
            rt.spin_lock(made.lock)
            rt.spawn(second, name="t1", cpu=1)
            for _ in range(alone):
                made.words.write(0, 1)
            rt.spin_unlock(made.lock)
            made.words.write(0, 2)
            made.words.write(0, 3)

        def second() -> None:
            rt.spin_lock(made.lock)
            rt.spin_unlock(made.lock)
            made.words.write(0, 4)
            made.words.write(0, 5)

        rt.spawn(first, name="t0")

    lane = LaneUse(("t0", "t1"), alone + 4, alone + 4, {"t0": alone + 2, "t1": 2})
    counts = on_cell(main, profile({}, lanes={lane_of_cell(0): lane}))
    expected = exact.uniform((0,) * alone + order for order in set(permutations((0, 0, 1, 1))))
    assert as_uneven(counts, expected) > FALSE_ALARM


def test_surw_goes_on_when_the_task_whose_turn_it_is_is_blocked() -> None:
    def main() -> None:
        made = cells()

        def body() -> None:
            rt.mutex_lock(lock.mutex)
            made.words.write(0, 1)
            made.words.write(0, 2)
            rt.mutex_unlock(lock.mutex)

        lock = Locked("locked")
        for number in range(3):
            rt.spawn(body, name=f"t{number}")

    by_task = dict.fromkeys(("t0", "t1", "t2"), 2)
    shown = profile({}, lanes={lane_of_cell(0): LaneUse(tuple(by_task), 6, 6, by_task)})
    counts = on_cell(main, shown, 500)
    assert set(counts) == {(a, a, b, b, c, c) for a, b, c in permutations(range(3))}


class Locked(rt.Struct):
    """A sleeping lock."""

    mutex = rt.mutex()


@pytest.mark.parametrize("known", [0, 1], ids=["no access", "one access"])
def test_surw_goes_on_past_its_profile(known: int) -> None:
    plan: Plan = ((W(), W()), (W(), W()))
    by_task = {"t0": known, "t1": known}
    shown = profile({}, lanes={lane_of_cell(0): LaneUse(("t0", "t1"), 4, 4, by_task)})
    assert set(on_cell(play(plan), shown, 500)) == set(only(plan))


LONG = 50_000  # ops: the bound of a run that may spin


class Flagged(rt.Struct):
    """A cell, and a flag that a task spins on."""

    x: rt.Field[int] = rt.shared(0)
    flag: rt.Field[int] = rt.shared(0)


def spins(gives_way: bool) -> Program:
    """t0 spins until t1, which has an access of the same lane to do before, sets the flag."""

    def main() -> None:
        shared = Flagged("flagged")

        def waits() -> None:
            while not shared.flag:
                if gives_way:
                    rt.schedule()
            shared.x = 1

        def sets() -> None:
            shared.x = 2
            shared.flag = 1

        rt.spawn(waits, name="t0", cpu=None)
        rt.spawn(sets, name="t1", cpu=None)

    return main


def lengths(main: Program, make: Callable[[Draw], Strategy], runs: int) -> list[int]:
    """Return how many ops each run had."""
    return [len(run(main, make(stream("spins", seed)), trimmed=False, steps_max=LONG).masks) for seed in range(runs)]


def on_x(draw: Draw) -> Surw:
    """Return SURW on the lane of `x`."""
    lane = LaneUse(("t0", "t1"), 2, 2, {"t0": 1, "t1": 1})
    found: list[int] = []
    run(lambda: found.append(Flagged("flagged").base), RandomWalk(stream(0)))
    return Surw(draw, profile({}, lanes={found[0]: lane}))


def test_nobody_is_held_for_a_task_that_yields() -> None:
    """A run ends with a chance of a fourth or more each time that t0 yields: 400 ops have one below 1e-9."""
    ours, walk = lengths(spins(True), on_x, 200), lengths(spins(True), RandomWalk, 200)
    assert max(ours) < 400
    assert sum(ours) < 1.5 * sum(walk)


def test_nobody_is_held_for_a_task_longer_than_to_the_valve() -> None:
    """Each valve draws anew whose turn it is: that it is t0 that spins has a chance of one half, 32 times 3e-10."""
    assert max(lengths(spins(False), on_x, 20)) < 32 * VALVE_STEPS < LONG


def grid(n: int) -> Iterator[float]:
    """Yield the middles of n equal parts of [0, 1)."""
    return ((i + 0.5) / n for i in range(n))


def test_the_lane_is_drawn_by_accesses_among_shared_and_written_ones() -> None:
    lanes = {
        10: LaneUse(("a",), 100, 100, {"a": 100}),  # one task
        11: LaneUse(("a", "b"), 100, 0, {"a": 50, "b": 50}),  # only read
        12: LaneUse(("a", "b"), 3, 1, {"a": 2, "b": 1}),
        13: LaneUse(("a", "b", "c"), 7, 7, {"a": 5, "b": 1, "c": 1}),
    }
    counts = Counter(draw_lane(lambda x=x: x, profile({}, lanes=lanes)) for x in grid(100))  # type: ignore[misc]
    assert counts == {12: 30, 13: 70}


def test_without_a_shared_lane_surw_still_runs() -> None:
    plan: Plan = ((R(),) * 2, (R(),) * 2)
    assert draw_lane(lambda: 0.5, profile({})) == NO_LANE
    assert set(on_cell(play(plan), profile({}), 500)) == set(exact.all_orders(plan))
