"""The random walk: every enabled task and every value with equal chances, and nothing but the seed decides."""

from __future__ import annotations

from collections import Counter
from math import erfc, exp, gamma, sqrt

import pytest

from mmrace import runtime as rt
from mmrace.runtime.gate import Gate
from mmrace.runtime.task import Task
from mmrace.search.random_walk import RandomWalk

DRAWS = 40_000
FALSE_ALARM = 1e-6  # chance that a fair walk fails one of these tests, had the seed not been fixed
SIZES = (2, 3, 5, 7, 8, 16)


def tasks(n: int) -> list[Task]:
    """Make enabled tasks that only have an id."""
    return [Task(i, f"t{i}", None, None, 0) for i in range(n)]


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Return the chance of a larger chi-square value, exactly."""
    half = statistic / 2
    tail, k = (exp(-half), 2) if freedom % 2 == 0 else (erfc(sqrt(half)), 1)
    while k < freedom:
        tail += half ** (k / 2) * exp(-half) / gamma(k / 2 + 1)
        k += 2
    return tail


def uniform(counts: Counter[int], n: int) -> float:
    """Return the chance that fair draws are at least as uneven as these."""
    expected = sum(counts.values()) / n
    return chi_square_tail(sum((counts[i] - expected) ** 2 / expected for i in range(n)), n - 1)


@pytest.mark.parametrize("n", SIZES)
def test_each_enabled_task_is_picked_with_equal_chances(n: int) -> None:
    walk, enabled = RandomWalk("uniform"), tasks(n)
    counts = Counter(walk.pick(enabled, enabled[0], step).id for step in range(DRAWS))
    assert uniform(counts, n) > FALSE_ALARM


@pytest.mark.parametrize("n", SIZES)
def test_each_value_is_chosen_with_equal_chances(n: int) -> None:
    walk, [task] = RandomWalk("uniform"), tasks(1)
    counts = Counter(walk.choose(task, n, step) for step in range(DRAWS))
    assert uniform(counts, n) > FALSE_ALARM


def test_successive_picks_are_independent() -> None:
    walk, enabled = RandomWalk("pairs"), tasks(3)
    picks = [walk.pick(enabled, enabled[0], step).id for step in range(DRAWS)]
    counts = Counter(3 * a + b for a, b in zip(picks[::2], picks[1::2], strict=True))
    assert uniform(counts, 9) > FALSE_ALARM


def test_the_test_of_evenness_notices_a_walk_that_is_not() -> None:
    counts = Counter({0: DRAWS // 2 + DRAWS // 50, 1: DRAWS // 2 - DRAWS // 50})
    assert uniform(counts, 2) < FALSE_ALARM


@pytest.mark.parametrize(
    ("statistic", "freedom", "tail"), [(3.8415, 1, 0.05), (27.877, 9, 1e-3), (37.697, 15, 1e-3), (13.816, 2, 1e-3)]
)
def test_the_tail_of_chi_square_is_as_in_the_tables(statistic: float, freedom: int, tail: float) -> None:
    assert chi_square_tail(statistic, freedom) == pytest.approx(tail, rel=1e-3)


def test_the_same_seed_gives_the_same_walk_and_another_seed_another() -> None:
    def picks(seed: object) -> list[int]:
        walk, enabled = RandomWalk(seed), tasks(5)
        return [walk.pick(enabled, enabled[0], step).id for step in range(100)]

    assert picks(7) == picks(7)
    assert len({tuple(picks(seed)) for seed in range(50)}) == 50


def test_who_runs_and_which_step_it_is_do_not_matter() -> None:
    enabled = tasks(4)
    one, other = RandomWalk(3), RandomWalk(3)
    for step in range(50):
        assert one.pick(enabled, enabled[0], step) is other.pick(enabled, enabled[3], 1000 - step)


def test_nothing_is_drawn_where_one_task_is_enabled() -> None:
    class Counting(RandomWalk):
        picks = 0

        def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
            assert len(enabled) > 1
            Counting.picks += 1
            return super().pick(enabled, running, step)

    def main() -> None:
        for _ in range(50):
            rt.schedule()

    Gate(Counting(1)).run(main)
    assert Counting.picks == 0


def test_two_independent_tasks_interleave_in_every_order() -> None:
    """Six orders of two ops each, none rarer than 1/32 a run: one is missed in 600 runs with chance below 1e-6."""

    def main() -> None:
        for cpu in (0, 1):
            rt.spawn(lambda: [rt.schedule() for _ in range(2)], cpu=cpu)

    orders = set()
    for seed in range(600):
        engine = Gate(RandomWalk(seed))
        engine.run(main)
        orders.add(tuple(event[0] for event in engine.events if event[1] & 63 == rt.Kind.YIELD))
    assert len(orders) == 6
