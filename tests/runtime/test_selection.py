"""Which events of a record somebody wants to see."""

from __future__ import annotations

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.lanes import Lane
from mmrace.runtime.record import Event, Record
from mmrace.runtime.selection import Selection, findings_of, last_explored, steps_named

TABLE: dict[int, Lane] = {
    1: ("Box", "box:0", "x", ""),
    2: ("Box", "box:1", "flags", "LOCKED"),
    3: ("Task", "w", "", ""),
}
TASKS = [{"id": i, "name": name} for i, name in enumerate(("main", "writer", "io.writer.0", "io.writer.1"))]
READ, SET, YIELD = 1 << SHIFT | Kind.READ, 2 << SHIFT | Kind.SET, 3 << SHIFT | Kind.YIELD
EVENTS: list[Event] = [
    (0, READ, 1, None),
    (1, SET, False, None),
    (1, NOTE, "round", ("writer", "box:1")),
    (2, READ, 1, None),
    (3, SET, False, None),
    (0, YIELD, None, None),
    (0, READ, 1, None),
]


def record(events: list[Event] = EVENTS, **header: object) -> Record:
    return Record(header, events, table=TABLE, tasks=TASKS)


def steps(**wanted: object) -> list[int]:
    return Selection(**wanted).steps(record())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"tasks": ["writer"]}, [1, 2]),
        ({"tasks": ["main", "io.writer.1"]}, [0, 4, 5, 6]),
        ({"tasks": ["io.*"]}, [3, 4]),
        ({"kinds": ["read"]}, [0, 3, 6]),
        ({"kinds": ["note"]}, [2]),
        ({"kinds": ["round", "set"]}, [1, 2, 4]),
        ({"kinds": ["Round", "SET"]}, [1, 2, 4]),
        ({"kinds": ["NOTE"]}, [2]),
        ({"objects": ["box:1"]}, [1, 2, 4]),
        ({"objects": ["LOCKED", "box:0"]}, [0, 1, 3, 4, 6]),
        ({"tasks": ["writer"], "kinds": ["set"], "objects": ["box:1"]}, [1]),
        ({"idle": False}, [0, 1, 2, 3, 4, 6]),
        ({"last": 2}, [5, 6]),
        ({"first": 3}, [3, 4, 5, 6]),
        ({"first": 3, "last": 2}, [3, 4]),
        ({"around": 3, "last": 4}, [0, 1, 2, 3]),
        ({"around": 5, "last": 4, "tasks": ["main"]}, [0, 5, 6]),
        ({"around": 0, "last": 2}, [0, 1]),
        ({"around": 6, "last": 1, "tasks": ["writer"]}, [2]),
    ],
)
def test_what_is_wanted_is_found(wanted: dict[str, object], found: list[int]) -> None:
    assert steps(**wanted) == found


@pytest.mark.parametrize(
    ("wanted", "needle"),
    [
        ({"tasks": ["write"]}, "did you mean writer"),
        ({"kinds": ["SETT"]}, "expected the name of a kind of op"),
        ({"kinds": ["nothing"]}, "one of read, write, test, set"),
        ({"kinds": ["rond"]}, "did you mean round"),
        ({"objects": ["nobody"]}, "got 'nobody'"),
        ({"tasks": ["io.*"], "kinds": ["note"]}, "got 'io.*, note'"),
        ({"around": 7}, "expected an event, 0 to 6, got 7"),
        ({"first": 6, "tasks": ["writer"]}, "none from 6 on"),
        ({"first": 6, "around": 2}, "got 'both'"),
    ],
)
def test_what_is_not_there_is_a_wrong_call(wanted: dict[str, object], needle: str) -> None:
    with pytest.raises(UsageError) as caught:
        steps(**wanted)
    assert needle in str(caught.value)


FACTS: dict[str, tuple[dict[str, object], list[int]]] = {
    "a step": ({"step": 3, "times": 9}, [3]),
    "the end": ({"step": 7}, [6]),
    "two sides": ({"step": 4, "irq_step": 1}, [1, 4]),
    "within": ({"edges": [{"held_step": 0, "step": 1}, {"held_step": 3, "step": 4}]}, [0, 1, 3, 4]),
    "a lost wake-up": ({"step": 7, "tasks": [{"task": "main"}, {"task": "io.writer.0"}], "lost": ["io.writer.0"]}, [3]),
    "a ring": ({"step": 7, "tasks": [], "cycle": ["main", "io.writer.0"], "lost": []}, [3, 6]),
    "all who wait": ({"step": 7, "tasks": [{"task": "main"}, {"task": "io.writer.0"}]}, [3, 6]),
    "who raised": ({"step": 7, "task": "io.writer.0"}, [3]),
    "none": ({"times": 1, "steps": "many", "step": None}, []),
}


@pytest.mark.parametrize(("facts", "found"), FACTS.values(), ids=FACTS)
def test_a_finding_names_its_events(facts: dict[str, object], found: list[int]) -> None:
    made = record()
    made.verdict = {"findings": [{"signature": "a", "facts": {}}, {"signature": "b", "facts": facts}]}
    assert steps_named(made) == found


def test_of_a_finding_that_is_asked_for_no_other_is_shown_for_it() -> None:
    made = record()
    made.verdict = {"findings": [{"signature": name, "facts": {"step": 1} if name == "a" else {}} for name in "ab"]}
    assert (steps_named(made), steps_named(made, "a"), steps_named(made, "b")) == ([1], [1], [])
    assert [finding["signature"] for finding in findings_of(made, "b")] == ["b", "a"]


def test_what_follows_the_last_op_that_was_chosen_is_known() -> None:
    assert last_explored(record(explored=[1, 4])) == 4, "a note is no op"
    assert last_explored(record(explored=[0, 99])) == 6
    assert last_explored(record(explored=None)) is None
    assert last_explored(record([], explored=[0, 0])) is None
