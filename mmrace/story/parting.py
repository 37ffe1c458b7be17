"""Where two records part, and why: the first event that differs, who could have gone on there, what was chosen.

Up to that event both runs did the same, so what comes next is decided by who chose (the scheduler, a drawn value), or
by what is not in a schedule: another program, parameters, a model, or nondeterminism.  Invariant: what is called a
choice of the scheduler is one: both tasks could go on, in both runs.  Not here: what became of it (`difference.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from mmrace.runs.differences import Difference, between
from mmrace.runtime.kinds import CHOOSE, KIND_MASK, NOTE, SHIFT
from mmrace.runtime.record import Event, Record
from mmrace.runtime.wording import plain

OF_PROGRAM = (
    "maker", "program", "scenario", "digest", "era", "model", "variant", "given", "params", "workload", "ncpus",
    "tables", "loaded", "schema",
)  # fmt: skip
"""Keys of the header that say what was run."""
OF_CHOICE = ("engine", "strategy", "noise", "seed", "promoted", "profile", "corpus")
"""And who chose."""
TABLES = "tables"


class Cause(StrEnum):
    """Why two runs that did the same so far go on differently."""

    SCHEDULER = "a choice of the scheduler"
    CHANCE = "chance: under engine free nobody chooses"
    VALUE = "a drawn value"
    PROGRAM = "the program: the same history, and something else comes of it"
    END = "the end of one of them"


@dataclass(frozen=True, slots=True)
class Side:
    """One record at the parting.

    Attributes: step: of its event there; None: it has ended.  enabled: who could go on, by name; None: nobody can tell.
    """

    step: int | None
    enabled: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two records part.  `event`: up to which both are the same."""

    event: int
    cause: Cause
    sides: tuple[Side, Side]


def of_headers(one: Record, other: Record) -> tuple[list[Difference], list[Difference]]:
    """Return what the headers differ in: of the program, and of who chose.  `recorded` is the first record's."""
    return list(_of_keys(OF_PROGRAM, one, other)), list(_of_keys(OF_CHOICE, one, other))


def _of_keys(keys: tuple[str, ...], one: Record, other: Record) -> Iterator[Difference]:
    for key in keys:
        sides = [_key(record, key) for record in (one, other)]
        if key == TABLES and sides[0] != sides[1]:
            yield Difference(key, "its own", "others")
        elif key != TABLES and not (key == "params" and "given" in one.header and "given" in other.header):
            yield from between(key, *sides)


def _key(record: Record, key: str) -> Any:
    """Return a value of the header as it is in a file."""
    value = record.tables.plain() if key == TABLES else record.schema if key == "schema" else record.header.get(key)
    return json.loads(json.dumps(Record.name(value), default=str))


def parting_of(one: Record, other: Record) -> Parting | None:
    """Return where two records part; None if they are the same event by event."""
    ops = 0
    reads = _Reader(one), _Reader(other)
    for step, (left, right) in enumerate(zip_longest(one.events, other.events)):
        if left is None or right is None or reads[0].event(left) != reads[1].event(right):
            sides = _side(one, left, step, ops), _side(other, right, step, ops)
            return Parting(step, _cause((one, other), (left, right), sides, reads), sides)
        ops += left[1] != NOTE
    return None


class _Reader:
    """Events by the names of their tasks and lanes, so that those of two records can be compared."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._lanes: dict[int, str] = {}

    def event(self, event: Event) -> tuple[object, ...]:
        """Return an event by names."""
        task, op, a, b = event
        if op == NOTE:
            return self.record.task_name(task), NOTE, a, plain(b)
        return self.record.task_name(task), *self.op(event), plain(a), plain(b)

    def op(self, event: Event) -> tuple[int, str]:
        """Return the kind and the lane of an op by name."""
        lane = event[1] >> SHIFT
        name = self._lanes.get(lane)
        if name is None:
            name = self._lanes[lane] = self.record.lane_name(lane)
        return event[1] & KIND_MASK, name


def _side(record: Record, event: Event | None, step: int, ops: int) -> Side:
    mask = record.masks[ops] if ops < len(record.masks) else None
    known = event is None or event[1] != NOTE  # a note comes without anybody being asked
    names = None if mask is None or not known else tuple(sorted(_names(record, mask)))
    return Side(None if event is None else step, names)


def _names(record: Record, mask: int) -> Iterator[str]:
    return (str(task["name"]) for task in record.tasks if mask >> int(task["id"]) & 1)


def _cause(
    records: tuple[Record, Record],
    events: tuple[Event | None, Event | None],
    sides: tuple[Side, Side],
    reads: tuple[_Reader, _Reader],
) -> Cause:
    left, right = events
    if left is None or right is None:
        return Cause.END
    if NOTE in (left[1], right[1]):
        return Cause.PROGRAM if not _is_free(records) or _one_task(records, left, right) else Cause.CHANCE
    if _one_task(records, left, right):
        chose = reads[0].op(left) == reads[1].op(right) and left[1] & KIND_MASK == CHOOSE and left[2] == right[2]
        return Cause.VALUE if chose else Cause.PROGRAM
    if _is_free(records):
        return Cause.CHANCE
    names = [records[i].task_name(event[0]) for i, event in enumerate((left, right))]
    could = all(side.enabled is None or {*names} <= {*side.enabled} for side in sides)
    return Cause.SCHEDULER if could and sides[0].enabled == sides[1].enabled else Cause.PROGRAM


def _one_task(records: tuple[Record, Record], left: Event, right: Event) -> bool:
    return records[0].task_name(left[0]) == records[1].task_name(right[0])


def _is_free(records: tuple[Record, Record]) -> bool:
    return any(record.header.get("engine") == "free" for record in records)
