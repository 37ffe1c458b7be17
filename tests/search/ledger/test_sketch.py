"""Sketches of classes: exact at level 0, merged in any order to the same, and estimates that hold."""

from __future__ import annotations

import random

import pytest

from mmrace.search.ledger.sketch import BATCH_SIZE, SIZE, ClassSketch
from mmrace.strategies.order.classes import Classes


def _classes(seed: int, runs: int, kinds: int) -> list[int]:
    draw = random.Random(seed)
    numbers = [draw.getrandbits(61) for _ in range(kinds)]
    return [numbers[draw.randrange(kinds)] for _ in range(runs)]


def test_what_fits_is_exact() -> None:
    digests = _classes(1, 500, 300)
    exact = Classes()
    for digest in digests:
        exact.add(digest)

    sketch = ClassSketch.of(digests)

    assert sketch.level == 0
    assert (sketch.distinct(), sketch.once()) == (exact.distinct, exact.once())
    assert sketch.unseen_mass() == exact.unseen_mass()
    assert sketch.total_estimate() == exact.total_estimate()
    assert sketch.distinct_interval() == (exact.distinct, exact.distinct)


def test_small_sketches_merge_to_what_one_sketch_of_all_runs_is() -> None:
    digests = _classes(2, 900, 400)
    total = ClassSketch()
    for start in range(0, 900, 30):
        total.merge(ClassSketch.of(digests[start : start + 30]).cut())

    assert total == ClassSketch.of(digests)


@pytest.mark.parametrize("seed", range(5))
def test_merging_does_not_ask_for_an_order(seed: int) -> None:
    draw = random.Random(seed)
    parts = [
        ClassSketch.of(_classes(draw.randrange(99), draw.randrange(1, 9000), 20_000)).cut(draw.choice((64, SIZE)))
        for _ in range(4)
    ]
    totals = []
    for _ in range(3):
        draw.shuffle(parts)
        left, right = ClassSketch(), ClassSketch()
        for part in parts[:2]:
            left.merge(part)
        for part in parts[2:]:
            right.merge(part)
        left.merge(right)
        totals.append(left)

    assert totals[0] == totals[1] == totals[2]
    assert len(totals[0].times) <= SIZE


def test_what_was_merged_can_be_taken_away() -> None:
    one, other = ClassSketch.of(_classes(3, 50, 30)), ClassSketch.of(_classes(4, 60, 30))
    total = ClassSketch()
    total.merge(one)
    total.merge(other)

    total.remove(other)

    assert total == one


def test_a_sketch_that_is_full_estimates_how_many_there_are() -> None:
    """Forty thousand classes: the sketch has about half of its size of them at least, so that the standard error is at
    most 2.3 percent, and six of them are allowed: a false alarm in five hundred million."""
    digests = _classes(5, 60_000, 40_000)
    exact = len(set(digests))

    sketch = ClassSketch()
    for start in range(0, len(digests), 4000):
        sketch.merge(ClassSketch.of(digests[start : start + 4000]))

    assert SIZE // 2 - 200 <= len(sketch.times) <= SIZE
    assert abs(sketch.distinct() - exact) < 6 * 0.023 * exact
    low, high = sketch.distinct_interval()
    assert low < sketch.distinct() < high
    assert abs(sketch.total_estimate() - 40_000) < 0.2 * 40_000
    assert sketch.runs == 60_000


def test_a_batch_keeps_few_classes_and_counts_all_runs() -> None:
    small = ClassSketch.of(_classes(6, 1000, 900)).cut()

    assert len(small.times) <= BATCH_SIZE
    assert small.level > 0
    assert small.runs == 1000


def test_the_interval_of_the_total_has_the_estimate_and_nothing_below_what_was_met() -> None:
    sketch = ClassSketch.of(_classes(8, 400, 500))
    interval = sketch.interval()

    assert interval is not None
    assert sketch.distinct() <= interval[0] < sketch.total_estimate() < interval[1]
    assert interval[0] < 500 < interval[1]


def test_an_empty_sketch_knows_nothing() -> None:
    sketch = ClassSketch()

    assert (sketch.distinct(), sketch.unseen_mass(), sketch.interval()) == (0, 1.0, None)
