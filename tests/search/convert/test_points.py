"""Where a search along a record begins to draw."""

from __future__ import annotations

from itertools import islice

from mmrace.search.convert.points import backs, points
from mmrace.strategies.retrace import SAMPLERS


def test_points_are_at_the_last_common_one_first_and_at_the_beginning_last() -> None:
    assert backs(100) == [0, 2, 6, 18, 54, 100]
    assert backs(0) == [0, 0] and backs(2) == [0, 2]


def test_each_point_is_tried_with_every_sampler_before_any_is_tried_again() -> None:
    turns = len(backs(100))
    first = list(islice(points(100), turns * len(SAMPLERS)))
    assert {(point.until, point.then) for point in first} == {
        (100 - back, then) for back in backs(100) for then in SAMPLERS
    }
    assert [point.turn for point in first] == [0] * turns + [1] * turns


def test_the_same_number_gives_the_same_points() -> None:
    assert list(islice(points(77), 40)) == list(islice(points(77), 40))
