"""Classes: one number for all linear orders of the same steps, and the usual estimates of what was not seen."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.gate import GateEngine
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.enumerate import Enumerate
from mmrace.strategies.order.classes import ClassDigest, Classes
from mmrace.strategies.order.dependence import READ, TAKE, WRITE
from tests.runtime.engines import Box, box, random_walk

Actor = Callable[[Box], object]


def program(*actors: Actor) -> Callable[[], None]:
    """Make a program of actors on one box; the set-up and the end are not explored."""

    def main() -> None:
        with rt.fixed_order():
            shared = box()
            for i, actor in enumerate(actors):
                rt.spawn(actor, shared, name=f"t{i}", cpu=i)
        rt.join_others()
        with rt.fixed_order():
            rt.schedule()

    return main


def digests(main: Callable[[], None]) -> dict[int, int]:
    """Enumerate every interleaving; return class -> how many."""
    found: dict[int, int] = defaultdict(int)
    search = Enumerate()
    while (strategy := search.next()) is not None:
        engine = FiberEngine(strategy, ncpus=4)
        digest = ClassDigest(engine)
        engine.run(main)
        search.learn(engine)
        assert engine.error is None
        found[digest.value()] += 1
    return found


def reduced(main: Callable[[], None]) -> int:
    """Return how many classes partial-order reduction finds."""
    search = Dpor()
    while (strategy := search.next()) is not None:
        engine = FiberEngine(strategy, ncpus=4)
        engine.run(main)
        search.learn(engine)
    return search.counts.classes


def x_twice(shared: Box) -> None:
    shared.x = 1
    shared.x = 2


def y_twice(shared: Box) -> None:
    shared.y = 1
    shared.y = 2


def reads(shared: Box) -> None:
    assert shared.x >= 0 and shared.y >= 0


def locks(shared: Box) -> None:
    rt.spin_lock(shared.spin)
    shared.x += 1
    rt.spin_unlock(shared.spin)


def stores_flags(shared: Box) -> None:
    """One step that meets every bit of the word."""
    shared.flags.store(0)


@pytest.mark.parametrize(
    ("actors", "classes"),
    [
        ((x_twice, y_twice), 1),
        ((x_twice, x_twice), 6),
        ((reads, reads), 1),
        ((x_twice, reads), 3),
        ((locks, locks), 2),
        ((stores_flags, stores_flags), 2),
        ((stores_flags, stores_flags, lambda _: None), 2),
    ],
    ids=lambda part: "-".join(actor.__name__ for actor in part) if isinstance(part, tuple) else str(part),
)
def test_as_many_numbers_as_classes(actors: tuple[Actor, ...], classes: int) -> None:
    found = digests(program(*actors))
    assert len(found) == classes
    assert classes > 1 or sum(found.values()) > 1
    assert reduced(program(*actors)) == classes


def test_gate_and_fiber_give_a_run_the_same_number() -> None:
    numbers = set()
    for make in (GateEngine, FiberEngine):
        engine: Controlled = make(random_walk(7), ncpus=4)
        digest = ClassDigest(engine)
        engine.run(program(locks, x_twice, reads))
        numbers.add(digest.value())
    assert len(numbers) == 1


def step(number: int, *footprint: tuple[int, int]) -> tuple[int, list[tuple[int, int]]]:
    """Make a step by hand: its task and what it meets."""
    return number, list(footprint)


def number_of(steps: list[tuple[int, list[tuple[int, int]]]]) -> int:
    """Return the number of a run of steps made by hand."""
    names, mine = [11, 22, 33], [0, 0, 0]
    past: dict[int, list[int]] = {}
    return sum(ClassDigest._step(task, footprint, 0, names, mine, past) for task, footprint in steps)


@pytest.mark.parametrize(
    "met",
    [
        [(1, WRITE), (2, WRITE)],  # two lanes that one step wrote have the same past
        [(1, WRITE), (1, WRITE)],  # an op and its side effect on one lane
        [(1, WRITE), (1, READ)],
        [(1, READ), (1, WRITE)],
        [(1, READ), (1, TAKE)],
    ],
    ids=str,
)
def test_dependent_steps_of_several_lanes_or_modes_do_not_cancel_out(met: list[tuple[int, int]]) -> None:
    one, other = step(0, *met), step(1, *met)
    assert number_of([one, other]) != number_of([other, one])
    reader = step(2, (1, READ))
    numbers = {number_of(list(order)) for order in itertools.permutations([one, other, reader])}
    assert len(numbers) == 6


def test_independent_steps_have_one_number_in_every_order() -> None:
    steps = [step(0, (1, READ), (2, WRITE)), step(1, (1, READ), (3, WRITE)), step(2, (1, READ))]
    assert len({number_of(list(order)) for order in itertools.permutations(steps)}) == 1


# -- estimates ---------------------------------------------------------------------------------------------------


def counted(*times: int) -> Classes:
    """Count classes 0, 1, ... so many times each."""
    classes = Classes()
    for number, n in enumerate(times):
        for _ in range(n):
            classes.add(number)
    return classes


def test_good_and_turing_and_chao_on_counts_made_by_hand() -> None:
    classes = counted(5, 2, 2, 1, 1, 1)
    assert (classes.runs, classes.distinct, classes.once()) == (12, 6, 3)
    assert classes.unseen_mass() == pytest.approx(3 / 12)
    assert classes.total_estimate() == pytest.approx(6 + 3 * 2 / (2 * (2 + 1)))


def test_nothing_is_unseen_where_every_class_came_again() -> None:
    classes = counted(3, 2, 4)
    assert (classes.unseen_mass(), classes.total_estimate()) == (0.0, 3.0)


def test_before_the_first_run_everything_is_unseen() -> None:
    assert (Classes().unseen_mass(), Classes().total_estimate()) == (1.0, 0.0)


def test_growth_is_noted_at_powers_of_two() -> None:
    assert counted(1, 1, 1, 6).growth == [(1, 1), (2, 2), (4, 4), (8, 4)]
