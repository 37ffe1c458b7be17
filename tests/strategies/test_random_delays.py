"""Random delays: turns without preemption, but for the drawn number of skipped tasks."""

from __future__ import annotations

from collections import Counter
from itertools import chain, repeat

import pytest

from mmrace import runtime as rt
from mmrace.runtime.errors import UsageError
from mmrace.strategies.random_delays import RandomDelays
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_uneven
from tests.strategies.programs import Plan, R, W, cells, order_of, orders, play, profile, run, sampler, stream

RUNS = 2000

TWO: Plan = ((W(),) * 3, (R(),) * 2)
THREE: Plan = ((W(),) * 2, (R(),) * 2, (W(1),))


@pytest.mark.slow
@pytest.mark.parametrize("bound", [1, 3])
@pytest.mark.parametrize("plan", [TWO, THREE], ids=["3+2", "2+2+1"])
def test_random_delays_draws_each_order_with_its_exact_chance(plan: Plan, bound: int) -> None:
    counts = orders(f"random-delays:bound={bound}", plan, RUNS)
    assert as_uneven(counts, exact.delays(plan, bound, 5)) > FALSE_ALARM


@pytest.mark.parametrize(("tasks", "bound"), [(2, 3), (8, 8)])
def test_the_bound_grows_with_the_tasks_unless_it_is_given(tasks: int, bound: int) -> None:
    """The number of delays is drawn first, and each takes one draw more."""
    shown = profile(dict.fromkeys(map("t{}".format, range(tasks)), 5), points=20)
    counts: Counter[int] = Counter()
    for place in range(bound):
        draws = chain([(place + 0.5) / bound], repeat(0.5))
        drawn: list[float] = []
        sampler("random-delays").strategy(lambda draws=draws, drawn=drawn: drawn.append(0.5) or next(draws), shown)  # type: ignore[misc]
        counts[len(drawn) - 1] += 1
    assert counts == dict.fromkeys(range(1, bound + 1), 1)


def test_a_bound_beyond_what_a_run_can_take_costs_no_more_than_the_run() -> None:
    """As many delays as pass every task over at every point; a bound of a billion is not drawn delay by delay."""
    shown = profile(dict.fromkeys(map("t{}".format, range(4)), 5), points=20)
    drawn: list[float] = []

    def draw() -> float:
        drawn.append(0.999)
        assert len(drawn) <= 1 + 4 * 20
        return 0.999

    sampler(f"random-delays:bound={10**12}").strategy(draw, shown)
    assert len(drawn) == 1 + 4 * 20


def test_without_a_delay_nobody_is_preempted() -> None:
    assert order_of(run(play(THREE), RandomDelays(stream(0), 0, 5))) == (2, 0, 0, 1, 1)


def test_a_yield_gives_the_turn_away() -> None:
    def main() -> None:
        words = cells().words

        def spinner() -> None:
            while not words.read(0):
                rt.schedule()

        rt.spawn(words.write, 0, 1, name="t0")
        rt.spawn(spinner, name="t1")

    # t1 reads, yields its turn to t0 (its yield is done when it is t1's turn again), and reads again
    assert order_of(run(main, RandomDelays(stream(0), 0, 5))) == (1, 0, 1, 1)


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="bound"):
        sampler("random-delays:bound=-1")
