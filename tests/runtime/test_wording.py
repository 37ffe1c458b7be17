"""Ops and events in words: one wording for `mmrace show` and for errors."""

from __future__ import annotations

import pytest

from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.lanes import Lane
from mmrace.runtime.record import Event, Record
from mmrace.runtime.wording import deed_text, enabled_text, event_text, op_text, outcome_text

BOX: dict[int, Lane] = {1: ("Box", "box:0", "x", ""), 2: ("Box", "box:0", "flags", "LOCKED")}
TASKS = [{"id": 0, "name": "main"}, {"id": 1, "name": "worker"}]


def record(*events: Event) -> Record:
    return Record({}, list(events), table=BOX, tasks=TASKS)


def op(kind: Kind, lane: int = 1) -> int:
    return lane << SHIFT | kind


@pytest.mark.parametrize(
    ("kind", "a", "b", "text"),
    [
        (Kind.READ, "box:1", None, "➜ box:1"),
        (Kind.READ, None, None, "➜ None"),
        (Kind.COUNT, 3, None, "➜ 3"),
        (Kind.WRITE, 1, 2, "= 2 (was 1)"),
        (Kind.CLEAR, True, None, "was set"),
        (Kind.CLEAR, True, "unlock", "was set (unlock)"),
        (Kind.TEST_AND_SET, False, None, "was clear"),
        (Kind.TEST_AND_SET, True, "lock", "was set (lock)"),
        (Kind.GET, "slot", 2, "slot ➜ 2"),
        (Kind.GET_UNLESS_ZERO, "lookup", 3, "lookup ➜ 3"),
        (Kind.GET_UNLESS_ZERO, "lookup", 0, "lookup: refused, count is 0"),
        (Kind.FREEZE, 3, True, "3 ➜ 0"),
        (Kind.FREEZE, 3, False, "refused, count is not 3"),
        (Kind.UNFREEZE, 2, "slot", "= 2, slot dropped"),
        (Kind.UNFREEZE, 2, None, "= 2"),
        (Kind.TRY, True, None, "taken"),
        (Kind.TRY, False, None, "busy"),
        (Kind.CHOOSE, 3, 0, "0 out of 3"),
        (Kind.ACQUIRE, "irq", None, "irq"),
        (Kind.EXIT, None, None, ""),
        (Kind.EXIT, [], None, ""),
        (Kind.EXIT, ["box:0.lock"], None, "holds box:0.lock"),
    ],
)
def test_an_outcome_is_told_by_what_the_op_is(kind: Kind, a: object, b: object, text: str) -> None:
    assert outcome_text(kind, a, b) == text


def test_an_op_is_shown_by_the_name_of_what_it_is_on() -> None:
    assert op_text(op(Kind.TEST_AND_SET, 2), record()) == "test_and_set box:0.flags.LOCKED"


def test_an_event_has_its_task_and_a_note_its_facts() -> None:
    read, noted = (1, op(Kind.READ), 5, None), (0, NOTE, "round", ("writer", 3))
    shown = record(read, noted)
    assert deed_text(read, shown) == "read box:0.x ➜ 5"
    assert event_text(read, shown) == "worker: read box:0.x ➜ 5"
    assert event_text(noted, shown) == "main: -- round writer 3"
    assert event_text((7, op(Kind.EXIT), None, None), shown) == "task 7: exit box:0.x"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ((0, op(Kind.WAKE), 2, [0, 1]), "wake box:0.x ➜ main, worker"),
        ((0, op(Kind.WAKE), 0, []), "wake box:0.x ➜ nobody"),
        ((0, op(Kind.SPAWN), 1, None), "spawn box:0.x ➜ worker"),
        ((0, op(Kind.JOIN), 7, None), "join box:0.x ➜ task 7"),
        ((0, op(Kind.JOIN), None, None), "join box:0.x"),
        ((0, NOTE, "rename", (1, "commit", "io")), "-- rename box:0.x commit io"),
        ((0, NOTE, "hand-over", (2, "box:0")), "-- hand-over box:0.flags.LOCKED box:0"),
        ((0, NOTE, "retire", (9, ["slot"])), "-- retire lane:9 ['slot']"),
        ((0, NOTE, "rename", ("of", "a program")), "-- rename of a program"),
    ],
)
def test_tasks_and_objects_are_shown_by_name_and_not_by_number(event: Event, text: str) -> None:
    """BUG once: `wake ... 1 [6]`, `-- rename 1365 commit io`."""
    assert deed_text(event, record()) == text


def test_a_set_of_tasks_is_shown_by_names() -> None:
    assert enabled_text(0b111, record()) == "enabled {main, worker, task 2}"


def test_the_facts_of_a_violation_are_told_in_words() -> None:
    event = (0, NOTE, "violation", ("lock-discipline", "unlock by a stranger", {"task": "a", "object": "bh:1"}))
    assert deed_text(event, record()) == "-- violation lock-discipline unlock by a stranger (task a, object bh:1)"
