"""A table of a story as a picture: where things stand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from mmrace.report.night.lanes import LANES_MAX, ROWS_MAX, picture_of
from mmrace.story.facts import Row, Table
from tests.report.night import nights
from tests.report.night.nights import TABLE


def test_each_task_has_a_lane_and_rows_do_not_overlap() -> None:
    drawn = nights.picture()
    assert len(drawn.lanes) == 2
    for above, below in pairwise(drawn.boxes):
        assert above.y + above.height <= below.y
    assert max(box.x + box.width for box in drawn.boxes) <= drawn.width
    assert max(line.y for line in drawn.lines) < drawn.height


def test_a_bar_spans_the_rows_in_which_its_lock_is_held_and_tells_a_stranger_who_lets_go() -> None:
    (bar,) = nights.picture().bars
    first, _, third, _ = nights.picture().boxes
    assert bar.broken, "other let go of what one held"
    assert bar.top <= first.y
    assert third.y < bar.bottom < third.y + third.height + 1
    assert bar.x < first.x, "beside the texts of its lane"


def test_an_order_that_matters_is_an_arrow_between_its_two_rows() -> None:
    (arrow,) = nights.picture().arrows
    first, _, third, _ = nights.picture().boxes
    assert first.y < arrow.y1 < first.y + first.height
    assert third.y < arrow.y2 < third.y + third.height
    assert first.x < arrow.x1 < arrow.x2 < third.x + third.width


def test_no_text_is_wider_than_its_lane() -> None:
    row = Row(1, "one", "x" * 500 + " y" * 100, "call" * 50, "why" * 90)
    drawn = picture_of(Table(("one", "other"), (row,), 1), "long")
    assert drawn is not None
    assert max(line.x + 6.7 * len(line.text) for line in drawn.lines) <= drawn.width


def test_too_many_tasks_or_no_row_are_no_picture_and_too_many_rows_are_cut_at_the_begin() -> None:
    assert picture_of(replace(TABLE, rows=()), "") is None
    assert picture_of(replace(TABLE, tasks=tuple(map(str, range(LANES_MAX + 1)))), "") is None
    many = picture_of(replace(TABLE, rows=TABLE.rows[:1] * (ROWS_MAX + 5)), "")
    assert many is not None
    assert many.cut == 5
    assert len(many.boxes) == ROWS_MAX
