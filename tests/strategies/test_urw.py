"""URW: all interleavings with equal chances, where nothing blocks and the profile is right."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import factorial

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import KIND_MASK, NOTE
from mmrace.strategies.urw import subtrees
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_uneven
from tests.strategies.programs import Plan, Program, R, W, cells, order_of, orders, profile, run, sampler, stream

RUNS = 2000

TWO_BY_THREE: Plan = ((W(),) * 3, (R(),) * 3)
THREE_BY_TWO: Plan = ((W(),) * 2, (R(1),) * 2, (W(2),) * 2)
LOPSIDED: Plan = ((W(),) * 6, (R(),) * 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "count"),
    [(TWO_BY_THREE, factorial(6) // 6**2), (THREE_BY_TWO, factorial(6) // 2**3), (LOPSIDED, 28)],
    ids=["2x3", "3x2", "6+2"],
)
def test_urw_draws_every_interleaving_with_the_same_chance(plan: Plan, count: int) -> None:
    every = exact.all_orders(plan)
    assert len(every) == count
    assert as_uneven(orders("urw", plan, RUNS), exact.uniform(every)) > FALSE_ALARM


def test_random_walk_is_not_uniform_so_the_test_above_can_fail() -> None:
    every = exact.all_orders(TWO_BY_THREE)
    assert as_uneven(orders("random", TWO_BY_THREE, RUNS), exact.uniform(every)) < FALSE_ALARM


def families() -> None:
    """Main starts two tasks of one op each; begin, spawn and exit are ops like any other."""
    words = cells().words
    for number in range(2):
        rt.spawn(words.write, number, 1, name=f"t{number}")


def test_urw_is_uniform_where_tasks_are_spawned_on_the_way() -> None:
    # Orders of a tree: n! / product of subtree sizes.  Main: begin 10, spawn 9, spawn 5, exit 1; children 3, 2, 1.
    every = factorial(10) // (10 * 9 * 5 * 1 * 6 * 6)
    shown = profile({"main": 4, "t0": 3, "t1": 3}, {"t0": "main", "t1": "main"})
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(3000):
        engine = run(families, sampler("urw").strategy(stream("tree", seed), shown), trimmed=False)
        counts[tuple(event[0] for event in engine.events if event[1] != NOTE)] += 1
    assert len(counts) == every == 224
    assert as_uneven(counts, dict.fromkeys(counts, Fraction(1, every))) > FALSE_ALARM


def alone_first(alone: int) -> Program:
    """t0 does some ops while t1 waits for its lock; then both do two."""

    def main() -> None:
        made = cells()

        def first() -> None:
            rt.spin_lock(made.lock)
            rt.spawn(second, name="t1", cpu=1)
            for _ in range(alone):
                made.words.read(0)
            rt.spin_unlock(made.lock)
            made.words.write(1, 1)
            made.words.write(1, 1)

        def second() -> None:
            rt.spin_lock(made.lock)
            rt.spin_unlock(made.lock)
            made.words.write(1, 2)

        rt.spawn(first, name="t0")

    return main


def test_urw_counts_ops_that_were_done_while_they_were_the_only_ones() -> None:
    """After t0's unlock each task has three ops left; all 10 orders of those (with the lock's own) are as likely."""
    alone = 30
    # t0: lock, reads, unlock, two writes.  t1: lock, unlock, write; and its spawner is trimmed
    shown = profile({"t0": alone + 4, "t1": 3})
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(RUNS):
        engine = run(alone_first(alone), sampler("urw").strategy(stream("alone", seed), shown))
        counts[order_of(engine)[alone + 2 :]] += 1
    orders_left = exact.all_orders(((W(),) * 2, (W(),) * 3))
    assert as_uneven(counts, exact.uniform(orders_left)) > FALSE_ALARM


def test_urw_does_a_choice_at_once_and_does_not_count_it() -> None:
    def main() -> None:
        words = cells().words

        def chooser() -> None:
            for _ in range(5):
                rt.choose(3)
            words.write(0, 1)

        rt.spawn(words.write, 0, 2, name="t1")
        rt.spawn(chooser, name="t0")  # begins last, so that URW sees it arrive at its first choice

    counts: Counter[int] = Counter()
    for seed in range(RUNS):
        engine = run(main, sampler("urw").strategy(stream("choice", seed), profile({"t0": 1, "t1": 1})))
        counts[next(event[3] for event in engine.events if event[1] & KIND_MASK == rt.Kind.WRITE)] += 1
    assert as_uneven(counts, {1: Fraction(1, 2), 2: Fraction(1, 2)}) > FALSE_ALARM


def test_urw_goes_on_past_its_profile() -> None:
    plan: Plan = ((W(),) * 4, (W(),) * 4)
    counts = orders("urw", plan, 300, profile({"t0": 1}))
    assert len(counts) > 20


def test_subtrees_add_up_over_generations() -> None:
    own = {"a": 1.0, "b": 10.0, "c": 100.0, "d": 1000.0}
    assert subtrees(own, {"b": "a", "c": "b"}) == {"a": 111.0, "b": 110.0, "c": 100.0, "d": 1000.0}
