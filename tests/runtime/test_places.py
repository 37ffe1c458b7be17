"""Steps by name: each op has one, it is found again by it, and what is none is refused with what to try."""

from __future__ import annotations

import pytest

from mmrace.runtime import places
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.places import Place
from mmrace.runtime.record import Event, Record

READ = 1 << SHIFT | Kind.READ
EVENTS: list[Event] = [
    (0, 2 << SHIFT | Kind.BEGIN, None, None),
    (0, READ, 1, None),
    (1, READ, 1, None),
    (0, NOTE, "round", (1,)),
    (0, READ, 1, None),
    (1, READ, 1, None),
]
SITES = [None, "f > g:x#2", "g:x", None, "f > g:x#2", None]
TASKS = [{"id": 0, "name": "a/b"}, {"id": 1, "name": "io.1"}]


def record(sites: list[str | None] = SITES) -> Record:
    return Record({}, EVENTS, table={}, tasks=TASKS, sites=sites)


NAMES = {0: "a/b/BEGIN/1", 1: "a/b/f > g:x#2/1", 2: "io.1/g:x/1", 4: "a/b/f > g:x#2/2", 5: "io.1/?/1"}


def test_every_op_has_a_name_and_a_note_has_none() -> None:
    assert {step: str(place) for step, place in places.places_of(record())} == NAMES
    assert {step: str(places.name_of(record(), step)) for step in NAMES} == NAMES
    assert places.name_of(record(), 3) is None and places.name_of(record([]), 1) is None


@pytest.mark.parametrize(("step", "name"), NAMES.items())
def test_a_step_is_found_by_its_name_and_by_its_number(step: int, name: str) -> None:
    assert places.find(record(), places.parse(name, where="x"), where="x") == step
    assert places.find(record(), places.parse(str(step), where="x"), where="x") == step


def test_without_a_number_the_first_time_is_meant() -> None:
    assert places.parse("io.1/g:x", where="x") == Place("io.1", "g:x", 1)


@pytest.mark.parametrize("text", ["", "x", "-1", "/", "a/", "/b/1", "a/b/0", "1.5", "²"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--around.*TASK/SITE/TIMES"):
        places.parse(text, where="--around")


def test_an_unknown_step_is_answered_with_those_that_are_close() -> None:
    with pytest.raises(UsageError, match=r"did you mean io\.1/g:x"):
        places.find(record(), Place("io.1", "g:y"), where="--around")
    with pytest.raises(UsageError, match="at most 2 times"):
        places.find(record(), Place("a/b", "f > g:x#2", 3), where="--around")
    with pytest.raises(UsageError, match="without sites"):
        places.find(record([]), Place("a/b", "f > g:x#2"), where="--around")
