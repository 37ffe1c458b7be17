"""Where in a record's events is what a judge watches: as a look at each event would have it."""

from __future__ import annotations

import random

import pytest

from mmrace.runtime.kinds import CLEAR, KIND_MASK, NOTE, READ, SET, SHIFT, TEST, WRITE, YIELD
from mmrace.runtime.record import Record
from mmrace.runtime.record_file import Event

KINDS = (READ, WRITE, TEST, SET, CLEAR, YIELD)
NOTES = ("write-begin", "write-end", "progress")


def record_of(events: list[Event]) -> Record:
    """Return a record of these events alone."""
    return Record({}, events, table={}, tasks=[{"name": "main"}, {"name": "writer"}])


HAND_WRITTEN: list[Event] = [
    (0, NOTE, "write-begin", (1, 2)),
    (0, 3 << SHIFT | WRITE, 0, 1),
    (1, 3 << SHIFT | READ, 1, None),
    (1, 4 << SHIFT | WRITE, 0, 5),
    (1, NOTE, "write-end", (1, 2)),
    (0, 4 << SHIFT | SET, False, None),
    (1, 3 << SHIFT | WRITE, 1, 2),
]


def test_steps_are_of_the_lanes_and_kinds_that_were_asked_for() -> None:
    record = record_of(HAND_WRITTEN)
    assert record.steps_on({3}, WRITE) == [1, 6]
    assert record.steps_on({3: "box.count", 4: "box.state"}, WRITE, SET) == [1, 3, 5, 6]
    assert record.steps_on([4], READ) == []
    assert record.steps_on((), WRITE) == []
    assert record.steps_on({9}, WRITE) == []


def test_notes_come_by_name_among_the_ops() -> None:
    record = record_of(HAND_WRITTEN)
    assert record.steps_on({3}, WRITE, notes=("write-end",)) == [1, 4, 6]
    assert record.steps_on((), notes=("write-begin", "write-end", "no such note")) == [0, 4]
    assert record.steps_on((), notes=()) == []
    assert record.steps(NOTE) == [0, 4]


def test_the_steps_of_a_kind_are_told_lane_by_lane() -> None:
    record = record_of(HAND_WRITTEN)
    assert record.steps_by_lane(WRITE) == {3: [1, 6], 4: [3]}
    assert record.steps_by_lane(CLEAR) == {}


def test_a_record_says_whose_each_event_is() -> None:
    assert record_of(HAND_WRITTEN).who == [0, 0, 1, 1, 1, 0, 1]
    assert record_of([]).who == []


def test_the_beginning_of_a_record_says_whose_its_own_events_are() -> None:
    record = record_of(HAND_WRITTEN)
    assert len(record.who) == len(HAND_WRITTEN)
    assert record.until(3).who == [0, 0, 1]
    assert record.until(3).steps(NOTE) == [0]


def test_a_record_without_events_has_no_steps() -> None:
    record = record_of([])
    assert record.steps(NOTE, WRITE) == record.steps_on({1}, WRITE, notes=NOTES) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_question_has_the_answer_that_a_look_at_each_event_has(seed: int) -> None:
    draw = random.Random(seed)
    events: list[Event] = [
        (draw.randrange(2), NOTE, draw.choice(NOTES), ())
        if draw.random() < 0.1
        else (draw.randrange(2), draw.randrange(12) << SHIFT | draw.choice(KINDS), None, None)
        for _ in range(draw.randrange(300))
    ]
    record = record_of(events)
    for _ in range(20):
        lanes = set(draw.sample(range(15), draw.randrange(15)))
        kinds = draw.sample(KINDS, draw.randrange(len(KINDS)))
        notes = draw.sample(NOTES, draw.randrange(len(NOTES)))
        on = [
            step
            for step, (_, op, a, _) in enumerate(events)
            if (a in notes if op == NOTE else op >> SHIFT in lanes and op & KIND_MASK in kinds)
        ]
        assert record.steps_on(lanes, *kinds, notes=notes) == on
        of = [step for step, (_, op, _, _) in enumerate(events) if op != NOTE and op & KIND_MASK in kinds]
        assert record.steps(*kinds) == of
        assert record.steps_by_lane(READ).keys() == {op >> SHIFT for _, op, _, _ in events if op & KIND_MASK == READ}
