"""Steps by name: an op of a record by the task that did it, its site, and how often it was there before.

    writer/update:x/2      the second op of the task `writer` at its site `update:x`

A number says where a step stands in one record; its name is found again in another one of the same program, whatever
happened before it.  Invariant: `find` gives back the step that `name_of` named, in a record with sites.  Not here: what
a strategy makes of such names (`strategies/guided.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.record import Record

NAMED = "TASK/SITE/TIMES, as in writer/update:x/2"
_WITHOUT_SITE = (int(Kind.BEGIN), int(Kind.EXIT))
NOWHERE = "?"  # an op of the runtime's own, outside any code of the program


class Place(NamedTuple):
    """The `visit`th op (from 1) of a task at a site; the sites of its begin and end are "BEGIN" and "EXIT"."""

    task: str
    site: str
    visit: int = 1

    def __str__(self) -> str:
        return f"{self.task}/{self.site}/{self.visit}"


def label(op: int, site: str | None) -> str:
    """Return the site of an op as a place has it."""
    kind = op & KIND_MASK
    return Kind(kind).name if kind in _WITHOUT_SITE else site or NOWHERE


def places_of(record: Record) -> Iterator[tuple[int, Place]]:
    """Yield each op of a record by its step, with its place; a record without sites has none."""
    visits: dict[tuple[int, str], int] = {}
    for step, (event, site) in enumerate(zip(record.events, record.sites, strict=False)):
        if event[1] != NOTE:
            name = label(event[1], site)
            visit = visits[event[0], name] = visits.get((event[0], name), 0) + 1
            yield step, Place(record.task_name(event[0]), name, visit)


def name_of(record: Record, step: int) -> Place | None:
    """Name a step; None for a note, and in a record without sites."""
    sites, events = record.sites, record.events
    if step >= len(sites) or events[step][1] == NOTE:
        return None
    task, name = events[step][0], label(events[step][1], sites[step])
    like = (i for i in range(step + 1) if events[i][0] == task and events[i][1] != NOTE)
    return Place(record.task_name(task), name, sum(label(events[i][1], sites[i]) == name for i in like))


def parse(text: str, *, where: str) -> int | Place:
    """Read the number of a step, or its name.  Raises UsageError."""
    if text.isdecimal() and text.isascii():
        return int(text)
    head, _, visit = text.rpartition("/")
    if not (visit.isdecimal() and visit.isascii()):
        head, visit = text, "1"
    task, _, site = head.partition("/")
    if not (task and site and int(visit)):
        raise UsageError(expected=f"the number of an event, or a step by name: {NAMED}", got=text, where=where)
    return Place(task, site, int(visit))


def find(record: Record, step: int | Place, *, where: str) -> int:
    """Return the number of a step that somebody names.  Raises UsageError if the record has no such step."""
    if not isinstance(step, Place):
        return step
    if not record.sites:
        raise UsageError(
            expected="the number of an event, in a record without sites", got=str(step), where=where, try_="its number"
        )
    known: dict[str, int] = {}
    for number, place in places_of(record):
        if str(place) == str(step):  # a task's name may have a slash in it
            return number
        known[f"{place.task}/{place.site}"] = place.visit
    name = f"{step.task}/{step.site}"
    if name in known:
        raise UsageError(expected=f"at most {known[name]} times at {name}", got=step.visit, where=where)
    raise unknown("a step of the record", name, known, where=where, try_="`mmrace show` has each op's task and site")
