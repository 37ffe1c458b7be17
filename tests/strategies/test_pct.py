"""PCT: orders with exactly the chances of the paper's algorithm, and its bound for bugs of known depth."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import permutations, product

import pytest

from mmrace import runtime as rt
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.play import play as played
from mmrace.runs.profile import profile_of
from mmrace.runs.spec import RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.errors import UsageError
from mmrace.strategies.pct import DEPTH_MAX, distinct, drawn_depth
from tests.programs import late_change
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_few, as_uneven
from tests.strategies.programs import (
    Order,
    Plan,
    Program,
    R,
    W,
    cells,
    order_of,
    orders,
    play,
    profile,
    run,
    sampler,
    stream,
)

RUNS = 2000
LATE_RUNS = 15_000  # enough to tell the promise from that of uniform depths

SHARES = {2: Fraction(1, 3), **dict.fromkeys(range(3, DEPTH_MAX + 1), Fraction(2, 3 * (DEPTH_MAX - 2)))}
"""Depth -> its share of the runs whose depth is drawn."""

TWO: Plan = ((W(),) * 3, (R(),) * 3)
LOPSIDED: Plan = ((W(),) * 4, (R(),))
THREE: Plan = ((W(),) * 2, (R(),) * 2, (W(1),))


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("plan", [TWO, LOPSIDED, THREE], ids=["3+3", "4+1", "2+2+1"])
def test_pct_draws_each_order_with_its_exact_chance(plan: Plan, depth: int) -> None:
    k = sum(map(len, plan))
    assert as_uneven(orders(f"pct:depth={depth}", plan, RUNS), exact.pct(plan, depth, k)) > FALSE_ALARM


BUGS: dict[int, Callable[[Order], bool]] = {
    1: lambda order: order[0] == 1,
    2: lambda order: order[:5] == (0, 1, 1, 1, 0),
    3: lambda order: order[:3] == (0, 1, 0),
}
"""Depth -> whether an order of `TWO` shows a bug of that depth: t1 is first; all of t1 comes after t0's first op; t0's
second op comes directly after t1's first, and that after t0's first."""


@pytest.mark.slow
@pytest.mark.parametrize("depth", BUGS)
def test_pct_finds_a_bug_of_its_depth_at_least_as_often_as_it_promises(depth: int) -> None:
    n, k = len(TWO), sum(map(len, TWO))
    promise = Fraction(1, n * k ** (depth - 1))
    assert exact.chance(exact.pct(TWO, depth, k), BUGS[depth]) >= promise
    found = sum(count for order, count in orders(f"pct:depth={depth}", TWO, RUNS).items() if BUGS[depth](order))
    assert as_few(found, RUNS, promise) > FALSE_ALARM
    assert found > 0


@pytest.mark.parametrize("depth", [2, 3])
def test_a_lower_depth_never_finds_a_deeper_bug(depth: int) -> None:
    assert exact.chance(exact.pct(TWO, depth - 1, 6), BUGS[depth]) == 0
    assert not any(map(BUGS[depth], orders(f"pct:depth={depth - 1}", TWO, 500)))


def late_race(alone: int) -> Program:
    """t0 works alone for a while, then starts t1; the bug is t1 between t0's last two writes."""

    def main() -> None:
        words = cells().words

        def first() -> None:
            for _ in range(alone):
                words.read(0)
            rt.spawn(second, name="t1")
            words.write(1, 1)
            words.write(1, 2)

        def second() -> None:
            words.write(1, 3)
            words.write(1, 4)

        rt.spawn(first, name="t0")

    return main


def test_pct_wastes_no_change_where_only_one_task_is_enabled() -> None:
    alone, k = 40, 3  # points: with two tasks of two ops each, three at most
    found = 0
    for seed in range(RUNS):
        strategy = sampler("pct:depth=2").strategy(stream("late", seed), profile({}, points=k))
        found += order_of(run(late_race(alone), strategy))[alone:] == (0, 1, 1, 0)
    assert as_few(found, RUNS, Fraction(1, 2 * k)) > FALSE_ALARM


@pytest.mark.slow
def test_pct_counts_no_choice_as_a_point() -> None:
    """t0 makes many choices before its two writes: a change point that fell on one would be wasted."""
    choices, k = 40, 3

    def main() -> None:
        words = cells().words

        def first() -> None:
            for _ in range(choices):
                rt.choose(2)
            words.write(1, 1)
            words.write(1, 2)

        def second() -> None:
            words.write(1, 3)
            words.write(1, 4)

        rt.spawn(second, name="t1")
        rt.spawn(first, name="t0")

    found = 0
    for seed in range(RUNS):
        strategy = sampler("pct:depth=2").strategy(stream("choices", seed), profile({}, points=k))
        found += order_of(run(main, strategy, trimmed=False))[choices:] == (0, 1, 1, 0)
    assert as_few(found, RUNS, Fraction(1, 2 * k)) > FALSE_ALARM


def spinner(flag: rt.Words) -> None:
    """Spin, giving way, until the flag is set."""
    while not flag.read(0):
        rt.schedule()


@pytest.mark.parametrize("spinners", [1, 3])
def test_pct_lets_no_spinner_starve_the_task_that_it_waits_for(spinners: int) -> None:
    work = 20

    def main() -> None:
        words = cells().words

        def worker() -> None:
            for _ in range(work):
                words.write(1, 1)
            words.write(0, 1)

        for number in range(spinners):
            rt.spawn(spinner, words, name=f"t{number}", cpu=None)
        rt.spawn(worker, name=f"t{spinners}")

    for seed in range(200):
        strategy = sampler("pct:depth=3").strategy(stream("spin", seed), profile({}, points=work))
        engine = run(main, strategy)
        assert engine.end["how"] == "finished"
        # each demotion of the worker lets every spinner go round once or twice before all are below it again
        assert len(order_of(engine)) <= work + 1 + spinners * 20


def test_pct_puts_a_new_task_at_a_uniformly_random_place() -> None:
    """t0, then t1, which it starts between its ops, then t2: with d = 1 the order shows who is above whom."""

    def main() -> None:
        words = cells().words

        def parent() -> None:
            rt.spawn(words.write, 0, 1, name="t1")
            words.write(0, 2)
            rt.spawn(words.write, 0, 3, name="t2")
            words.write(0, 4)

        rt.spawn(parent, name="t0")

    # high to low: 012, 021 -> t0 first all the way; 102 -> t1, then t0; 120 -> t1, t0, t2; 201, 210 -> t2 as it comes
    expected: dict[Order, Fraction] = {
        (0, 0, 1, 2): Fraction(1, 6),
        (0, 0, 2, 1): Fraction(1, 6),
        (1, 0, 0, 2): Fraction(1, 6),
        (1, 0, 2, 0): Fraction(2, 6),  # 120, and 210: t2 does not exist before t0's first op
        (0, 2, 0, 1): Fraction(1, 6),  # 201
    }
    counts: Counter[Order] = Counter()
    for seed in range(RUNS):
        counts[order_of(run(main, sampler("pct:depth=1").strategy(stream("new", seed), profile({}))))] += 1
    assert as_uneven(counts, expected) > FALSE_ALARM


def test_pct_draws_depth_two_in_a_third_of_its_runs_and_the_others_as_often_as_each_other() -> None:
    counts: Counter[int] = Counter()
    for seed in range(RUNS):
        drawn: list[float] = []
        source = stream("depth", seed)

        def draw(source: Callable[[], float] = source, drawn: list[float] = drawn) -> float:
            drawn.append(source())
            return drawn[-1]

        sampler("pct").strategy(draw, profile({}, points=100))
        counts[len(drawn)] += 1  # the depth, and depth - 1 changes
    assert as_uneven(counts, SHARES) > FALSE_ALARM


@pytest.mark.parametrize(
    ("x", "depth"),
    [(0.0, 2), (0.333, 2), (0.334, 3), (0.416, 3), (0.417, 4), (0.916, 9), (0.917, 10), (1 - 2**-53, 10)],
)
def test_a_drawn_depth_follows_from_its_draw_and_has_a_bound(x: float, depth: int) -> None:
    assert drawn_depth(lambda: x) == depth


@pytest.mark.slow
def test_a_change_late_in_a_long_task_is_found_as_often_as_drawn_depths_promise() -> None:
    """BUG once: depths were uniform, so eight of nine runs were deeper than the bug, and found it far less often."""
    maker = FunctionMaker(here={"late": late_change.main})
    program = maker.program(RunSpec("late", maker="function", engine="fiber", strategy="pct"))
    n, k = 2, profile_of(program).points
    promise = SHARES[2] * Fraction(1, n * k)
    found = 0
    for seed in range(LATE_RUNS):
        spec = RunSpec("late", maker="function", engine="fiber", strategy="pct", seed=seed)
        with played(program, spec, strategy_for(program, spec)) as run:
            found += run.how == "violation"
    assert as_few(found, LATE_RUNS, promise) > FALSE_ALARM


@pytest.mark.parametrize(("count", "k"), [(3, 4), (2, 2), (9, 4)])
def test_no_two_changes_fall_on_one_point_and_all_orders_of_points_are_as_likely(count: int, k: int) -> None:
    fewer = min(count, k)
    sides = [[(i + 0.5) / (k - place) for i in range(k - place)] for place in range(fewer)]
    drawn = Counter(tuple(distinct(iter(draws).__next__, count, k)) for draws in product(*sides))
    assert drawn == dict.fromkeys(permutations(range(1, k + 1), fewer), 1)


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(UsageError, match="depth"):
        sampler("pct:depth=-1")


def first_runs(draw: Callable[[], float]) -> list[Order]:
    """Return the orders of 12 runs of three tasks with d = 1: each of six orders is as likely."""
    return [order_of(run(play(((W(),),) * 3), sampler("pct:depth=1").strategy(draw, profile({})))) for _ in range(12)]


def test_unseeded_pct_is_not_deterministic() -> None:
    # two equal lists: (1/6)**12 = 5e-10
    assert first_runs(random.Random().random) != first_runs(random.Random().random)


def test_its_seeded_twin_is_deterministic() -> None:
    assert first_runs(stream("twin")) == first_runs(stream("twin"))
