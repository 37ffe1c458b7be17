"""The random walk: every enabled task with equal chances, so every order with the chance of its choices."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from mmrace import runtime as rt
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.task import Task
from mmrace.strategies.random_walk import RandomWalk
from tests.runtime.engines import random_walk
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_uneven
from tests.strategies.programs import Plan, R, W, orders, play, run, sampler, stream

RUNS = 2000
PICKS = 40_000

TWO_BY_THREE: Plan = ((W(),) * 3, (R(),) * 3)
LOPSIDED: Plan = ((W(),) * 5, (R(),))
THREE_BY_TWO: Plan = ((W(),) * 2, (R(1),) * 2, (W(2),) * 2)


def tasks(n: int) -> list[Task]:
    """Make enabled tasks that only have an id."""
    return [Task(i, f"t{i}", None, None, 0) for i in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize("plan", [TWO_BY_THREE, LOPSIDED, THREE_BY_TWO], ids=["2x3", "5+1", "3x2"])
def test_random_walk_draws_each_order_with_its_exact_chance(plan: Plan) -> None:
    assert as_uneven(orders("random", plan, RUNS), exact.random_walk(plan)) > FALSE_ALARM


@pytest.mark.parametrize("n", [2, 3, 8])
def test_each_enabled_task_is_picked_with_equal_chances(n: int) -> None:
    enabled, walk = tasks(n), RandomWalk(stream("picks", n))
    counts = Counter(walk.pick(enabled, enabled[0], step).id for step in range(PICKS))
    assert as_uneven(counts, dict.fromkeys(range(n), Fraction(1, n))) > FALSE_ALARM


def test_random_walk_draws_nothing_where_only_one_task_is_enabled() -> None:
    drawn: list[float] = []

    def draw() -> float:
        drawn.append(0.0)
        return 0.0  # always the first on the enabled list

    run(play(((W(),) * 5,)), sampler("random").strategy(draw, None))
    assert drawn == []


def test_successive_picks_are_independent() -> None:
    enabled, walk = tasks(3), RandomWalk(stream("pairs"))
    picks = [walk.pick(enabled, enabled[0], step).id for step in range(PICKS)]
    counts = Counter(zip(picks[::2], picks[1::2], strict=True))
    assert as_uneven(counts, {(a, b): Fraction(1, 9) for a in range(3) for b in range(3)}) > FALSE_ALARM


def test_the_bound_notices_picks_that_are_not_even() -> None:
    counts = Counter({0: PICKS // 2 + PICKS // 50, 1: PICKS // 2 - PICKS // 50})
    assert as_uneven(counts, dict.fromkeys(range(2), Fraction(1, 2))) < FALSE_ALARM


def test_who_runs_and_which_step_it_is_do_not_matter() -> None:
    enabled = tasks(4)
    one, other = RandomWalk(stream(3)), RandomWalk(stream(3))
    for step in range(50):
        assert one.pick(enabled, enabled[0], step) is other.pick(enabled, enabled[3], 1000 - step)


@pytest.mark.parametrize("engine", [GateEngine, FiberEngine])
def test_two_independent_tasks_interleave_in_every_order(engine: type[GateEngine] | type[FiberEngine]) -> None:
    """Six orders of two ops each, none rarer than 1/32 a run: one is missed in 600 runs with chance below 1e-6."""

    def main() -> None:
        for cpu in (0, 1):
            rt.spawn(lambda: [rt.schedule() for _ in range(2)], cpu=cpu)

    found = set()
    for seed in range(600):
        made = engine(random_walk(seed))
        made.run(main)
        found.add(tuple(event[0] for event in made.events if event[1] & 63 == rt.Kind.YIELD))
    assert len(found) == 6
