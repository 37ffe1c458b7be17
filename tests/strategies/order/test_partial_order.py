"""PartialOrder: clocks, races and who could begin the other order, of steps written by hand and of runs."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from mmrace import runtime as rt
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.strategy import RoundRobin
from mmrace.strategies.order.dependence import COUNT_UP, DROP, GRAB, READ, TAKE, TOUCH, WRITE, Footprint, Footprints
from mmrace.strategies.order.partial_order import PartialOrder, Race
from tests.runtime.engines import random_walk
from tests.strategies.dpor_drawn import FAMILIES, drawn
from tests.strategies.order.shapes import shape

X, Y, LOCK, QUEUE = 1, 2, 3, 4
A, B, C = 1, 2, 3  # tasks

Step = tuple[int, Kind, object, object, Footprint]
MODE = {Kind.READ: READ, Kind.WRITE: WRITE, Kind.ACQUIRE: TAKE, Kind.RELEASE: DROP, Kind.TRY: GRAB, Kind.GET: COUNT_UP}


def step(task: int, kind: Kind, lane: int = 0, a: object = None, b: object = None) -> Step:
    """Return a step in the mode of its kind; of a kind that meets nobody without a footprint."""
    return task, kind, a, b, [(lane, MODE[kind])] if kind in MODE else []


def built(steps: Iterable[Step], order: PartialOrder | None = None) -> tuple[PartialOrder, list[list[Race]]]:
    """Add steps to an order; return it and the races of each."""
    order = PartialOrder() if order is None else order
    races = []
    for task, kind, a, b, footprint in steps:
        lane = footprint[0][0] if footprint else QUEUE
        races.append(order.add((task, lane << SHIFT | kind, a, b), footprint))
    return order, races


def before(order: PartialOrder, one: int, other: int) -> bool:
    """Say whether step `one` happens before step `other`."""
    return bool(order.clock[other] >> one & 1)


def plain(races: Iterable[Race]) -> list[tuple[int, tuple[int, ...]]]:
    """Return (first step, initials) of each."""
    return [(race.first, race.initials) for race in races]


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_step_follows_its_tasks_steps_and_what_it_depends_on() -> None:
    order, _ = built([step(A, Kind.WRITE, X), step(B, Kind.READ, Y), step(B, Kind.READ, X), step(A, Kind.READ, Y)])
    assert [order.clock[i] for i in range(4)] == [0b0001, 0b0010, 0b0111, 0b1001]


def test_reads_commute_and_gets_do() -> None:
    for kind in (Kind.READ, Kind.GET):
        order, races = built([step(A, kind, X), step(B, kind, X)])
        assert not before(order, 0, 1) and not races[1]


def test_what_let_a_task_go_on_happens_before_and_is_no_race() -> None:
    order, races = built([
        step(A, Kind.SPAWN, a=B), step(B, Kind.BEGIN), step(B, Kind.QUEUE), step(A, Kind.WAKE, QUEUE, 1, (B,)),
        step(B, Kind.SLEEP), step(B, Kind.EXIT), step(A, Kind.JOIN, a=B),
    ])  # fmt: skip
    assert before(order, 0, 1) and before(order, 3, 4) and before(order, 5, 6)
    assert not any(races)


def test_a_sleeper_follows_the_wake_of_its_own_queue_only() -> None:
    wakes = [(A, QUEUE), (C, QUEUE + 1)]
    order = PartialOrder()
    for task, lane in wakes:
        order.add((task, lane << SHIFT | Kind.WAKE, 1, (B,)), [])
    order.add((B, QUEUE << SHIFT | Kind.SLEEP, None, None), [])
    assert before(order, 0, 2) and not before(order, 1, 2)


def test_a_join_of_all_others_follows_all_ends_but_those_of_daemons() -> None:
    order = PartialOrder()
    order.daemons = {C}
    built([step(B, Kind.EXIT), step(C, Kind.EXIT), step(A, Kind.JOIN, a=None)], order)
    assert before(order, 0, 2) and not before(order, 1, 2)


def test_an_acquire_that_waited_follows_the_release() -> None:
    order, _ = built(
        [step(A, Kind.ACQUIRE, LOCK), step(A, Kind.WRITE, X), step(A, Kind.RELEASE, LOCK), step(B, Kind.ACQUIRE, LOCK)]
    )
    assert order.clock[3] == 0b1111


# -- races -------------------------------------------------------------------------------------------------------------


def test_only_a_race_that_nothing_comes_between_is_one() -> None:
    _, races = built([step(A, Kind.WRITE, X), step(B, Kind.WRITE, X), step(C, Kind.WRITE, X)])
    assert [plain(found) for found in races] == [[], [(0, (B,))], [(1, (C,))]]


def test_an_acquire_races_with_the_acquire_before_and_not_with_the_release() -> None:
    _, races = built([step(A, Kind.ACQUIRE, LOCK), step(A, Kind.RELEASE, LOCK), step(B, Kind.ACQUIRE, LOCK)])
    assert plain(races[2]) == [(0, (B,))]


def test_an_acquire_races_with_the_acquire_before_though_another_task_released() -> None:
    _, races = built([step(A, Kind.ACQUIRE, LOCK), step(B, Kind.RELEASE, LOCK), step(C, Kind.ACQUIRE, LOCK)])
    assert plain(races[2]) == [(0, (C,))]


def test_an_acquire_does_not_race_with_its_own_tasks_acquire_that_another_task_ended() -> None:
    steps = [step(A, Kind.ACQUIRE, LOCK), step(B, Kind.RELEASE, LOCK)] * 2
    _, races = built([*steps, step(A, Kind.ACQUIRE, LOCK)])
    assert plain(races[2]) == plain(races[4]) == []


def test_a_try_races_with_the_release() -> None:
    _, races = built([step(A, Kind.ACQUIRE, LOCK), step(A, Kind.RELEASE, LOCK), step(B, Kind.TRY, LOCK)])
    assert plain(races[2]) == [(1, (B,))]


def test_an_acquire_races_with_the_try_that_got_the_lock_whatever_was_stored_since() -> None:
    order, _ = built([step(A, Kind.TRY, LOCK)])
    order.add((A, LOCK << SHIFT | Kind.STORE, 0, 0), [(LOCK, WRITE)])
    _, races = built([step(A, Kind.RELEASE, LOCK), step(B, Kind.ACQUIRE, LOCK)], order)
    assert plain(races[1]) == [(0, (B,))]


def test_who_waits_at_the_end_races_with_the_holder_behind_a_try() -> None:
    order, _ = built([step(A, Kind.ACQUIRE, LOCK), step(A, Kind.SPAWN, a=B), step(B, Kind.BEGIN)])
    order.add((B, LOCK << SHIFT | Kind.TRY, False, None), [(LOCK, READ)])
    assert plain(order.would_race(C, [(LOCK, TAKE)])) == [(0, (C,))]


def test_who_waits_for_its_cpu_does_not_begin_what_follows_another_step() -> None:
    order, _ = built([])
    order.add((A, 9 << SHIFT | Kind.PREEMPT, "disable", None), [(-1, TAKE)])
    built([step(B, Kind.READ, X)], order)
    found = order.would_race(C, [(X, WRITE), (-1, TOUCH)])
    assert plain(found) == [(1, (C,)), (0, (B,))]  # C's write comes after B's read in that order


def test_initials_are_those_whom_nothing_precedes_in_the_other_order() -> None:
    _, races = built([step(A, Kind.WRITE, X), step(B, Kind.WRITE, Y), step(C, Kind.READ, Y), step(C, Kind.READ, X)])
    assert plain(races[3]) == [(0, (B,))]
    _, races = built([step(A, Kind.WRITE, X), step(B, Kind.WRITE, Y), step(C, Kind.READ, X)])
    assert plain(races[2]) == [(0, (B, C))]


# -- of runs -----------------------------------------------------------------------------------------------------------


def steps_of(family: str, seed: int) -> list[tuple[tuple[object, ...], Footprint]]:
    """Return the steps of a random run of a random program, with their footprints."""
    run = FiberEngine(random_walk(seed), ncpus=4, steps_max=2000)
    watched = Footprints(run, frozenset(), {})
    run.run(drawn(family, seed))
    if run.error is not None:
        raise run.error
    events = [event for event in run.events if event[1] != NOTE]
    return [(event, watched.of(event, number, False)) for number, event in enumerate(events)]


def ordered(steps: Iterable[tuple[tuple[object, ...], Footprint]]) -> PartialOrder:
    """Return the partial order of some steps."""
    order = PartialOrder()
    for event, footprint in steps:
        order.add(event, footprint)
    return order


def copied(order: PartialOrder) -> tuple[object, ...]:
    """Return all that an order holds, without what is empty."""
    return (
        list(order.task), list(order.clock), list(order.footprint),
        {task: list(steps) for task, steps in order.of_task.items() if steps},
        {lane: list(steps) for lane, steps in order.lanes.items() if steps},
        {key: list(steps) for key, steps in order._edges.items() if steps},
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_cut_and_added_again_is_as_fresh(family: str) -> None:
    for seed in range(4):
        steps = steps_of(family, seed)
        fresh, races = PartialOrder(), []
        states = [copied(fresh)]
        for event, footprint in steps:
            races.append(fresh.add(event, footprint))
            states.append(copied(fresh))
        rng = random.Random(seed)
        for _ in range(3):
            at = rng.randrange(len(steps) + 1)
            fresh.cut(at)
            assert copied(fresh) == states[at]
            assert [fresh.add(event, footprint) for event, footprint in steps[at:]] == races[at:]
            assert copied(fresh) == states[-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_clocks_are_closed_and_races_are_between_tasks(family: str) -> None:
    for seed in range(4):
        order = PartialOrder()
        for place, (event, footprint) in enumerate(steps_of(family, seed)):
            for race in order.add(event, footprint):
                assert race.first < race.second == place
                assert order.task[race.first] != race.task == event[0]
                assert order.task[race.first] not in race.initials and race.initials
            for earlier in range(place):
                if before(order, earlier, place):
                    assert order.clock[earlier] & ~order.clock[place] == 0


def test_the_order_of_independent_steps_does_not_matter() -> None:
    for seed in range(20):
        steps = steps_of("plain", seed)
        order = ordered(steps)
        rng = random.Random(seed)
        swapped = 0
        while swapped < 4:
            at = rng.randrange(len(steps) - 1)
            if not before(order, at, at + 1):
                steps[at], steps[at + 1] = steps[at + 1], steps[at]
                swapped += 1
                other = ordered(steps)
                assert shape(other) == shape(order)
                order = other


def test_the_order_of_dependent_steps_matters() -> None:
    one, _ = built([step(A, Kind.WRITE, X), step(B, Kind.WRITE, X)])
    other, _ = built([step(B, Kind.WRITE, X), step(A, Kind.WRITE, X)])
    assert shape(one) != shape(other)


def test_a_program_that_ends_atomic_lets_its_cpu_go() -> None:
    def ends() -> None:
        rt.preempt_disable()

    def main() -> None:
        with rt.fixed_order():
            for number in range(2):
                rt.spawn(ends, name=f"t{number}", cpu=1)
        rt.join_others()

    run = FiberEngine(RoundRobin(20), ncpus=2)
    watched = Footprints(run, frozenset((1,)), {})
    run.run(main)
    order = PartialOrder()
    events = [event for event in run.events if event[1] != NOTE]
    for number, event in enumerate(events):
        order.add(event, watched.of(event, number, False))
    ends_at = [i for i, event in enumerate(events) if event[1] & 63 == Kind.EXIT]
    second = [i for i, event in enumerate(events) if event[1] & 63 == Kind.PREEMPT][1]
    assert ends_at[0] < second and before(order, ends_at[0], second)
