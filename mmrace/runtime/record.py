"""The record of a run: header, events in order, verdict; schema ``mmrace-record/3``.

In memory a record is what the engine kept: tuples ``(task, op, a, b)`` (docs: RECORD.md beside this file), a lane
table made when somebody asks, and live objects as values.  On disk it is JSON lines: a header, one event a line, a
verdict; names instead of objects.  Both answer the same questions, so that oracles and reports need not know which
they have.  Invariant: every schema version ever written is read; a file that is cut or changed is refused with what
to do.  Not here: meaning; oracles judge, `report/` explains.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from enum import Enum
from math import isfinite
from types import FunctionType
from typing import Any

from mmrace.runtime import files, record_file
from mmrace.runtime.decoding import malformed
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.lanes import Lane, LiveLanes, TableLanes, lane_name
from mmrace.runtime.record_file import (
    AGAIN,
    NOTES_ON_LANES,
    READABLE,
    REPLAYABLE,
    SCHEMA,
    SUM,
    WITHOUT_TABLES,
    Event,
    Stamp,
    sum_of,
)
from mmrace.runtime.sites import site_name
from mmrace.runtime.steps import Steps
from mmrace.runtime.struct import Struct
from mmrace.runtime.tables import EMPTY, Tables, of_schema_2
from mmrace.runtime.task import Site, Task

__all__ = ["READABLE", "REPLAYABLE", "SCHEMA", "WITHOUT_TABLES", "Event", "Record", "Stamp"]


class Record:
    """One run, whole.

    Attributes: header (dict, JSON), events (in a linear order of task order and object order), sites (beside events:
    names or None; empty if they were not kept), masks (controlled engines: the enabled set at each op), stamps
    (`free`: the version stamps of each event), end, final, marks, verdict (dict, set by the judge), altered (the
    sum of a header that was edited since it was written, or "").
    """

    def __init__(
        self,
        header: dict[str, Any],
        events: list[Event],
        *,
        table: dict[int, Lane],
        tasks: list[dict[str, Any]],
        sites: list[str | None] | None = None,
        masks: list[int] | None = None,
        stamps: list[Stamp] | None = None,
        end: dict[str, Any] | None = None,
        final: dict[str, Any] | None = None,
        marks: dict[str, int] | None = None,
    ) -> None:
        self.header = header
        self.events = events
        self._lanes: LiveLanes | TableLanes = TableLanes(table)
        self.tasks = tasks
        self._sites = sites
        self.masks = masks or []
        self.stamps = stamps or []
        self.end = end or {}
        self.final = final or {}
        self.marks = marks or {}
        self.verdict: dict[str, Any] = {}
        self.altered = ""
        self._raw_sites: list[Site | None] = []
        self._tables: Tables | None = None
        self._steps: Steps | None = None
        self._who: list[int] | None = None
        self._found: dict[tuple[str, ...], dict[int, str]] = {}
        self._words: dict[tuple[str, str], dict[int, tuple[str, int]]] = {}

    # -- from a run -------------------------------------------------------------------------------------------------

    @classmethod
    def of_run(cls, engine: Any, header: dict[str, Any], final: dict[str, Any]) -> Record:
        """Make the record of a finished run of `engine`."""
        tasks = [
            {"id": task.id, "name": task.name, "cpu": task.home.id if task.home else None, "daemon": task.daemon}
            for task in engine.tasks
        ]
        if engine.name == "free":
            events, raw_sites, stamps = _merge(engine.tasks)
            masks: list[int] = []
        else:
            events, raw_sites, masks = engine.events, _spread(engine.events, engine.sites), engine.masks
            stamps = []
        record = cls(
            header,
            events,
            table={},
            tasks=tasks,
            masks=masks,
            stamps=stamps,
            end=engine.end,
            final=final,
            marks=dict(engine.marks),
        )
        record._lanes = LiveLanes(engine.objects)
        record._raw_sites = raw_sites
        record._tables = engine.tables.with_benign(_declared(engine.objects))
        return record

    def until(self, events: int) -> Record:
        """Return the record as it would be if the run had been given up after so many events; for judges only."""
        made = copy(self)
        ops = sum(event[1] != NOTE for event in self.events[:events])
        made.events, made.masks, made.stamps = self.events[:events], self.masks[:ops], self.stamps[:events]
        made._sites = None if self._sites is None else self._sites[:events]
        made._raw_sites = self._raw_sites[:events]
        made.end, made.final, made.verdict = {"how": "abandoned", "detail": {}}, {}, {}
        made._steps, made._who, made._found, made._words = None, None, {}, {}
        return made

    # -- questions --------------------------------------------------------------------------------------------------

    @property
    def schema(self) -> str:
        """The schema that its events follow: of an older file the one that it was written with, and stays with."""
        return str(self.header.get("schema", SCHEMA))

    @property
    def tables(self) -> Tables:
        """What the program says of its own names; empty if neither the header nor the schema tells."""
        if self._tables is None:
            plain = self.header.get("tables")
            if plain is None:
                self._tables = of_schema_2() if self.schema in WITHOUT_TABLES else EMPTY
            else:
                self._tables = Tables.of(plain)
        return self._tables

    @property
    def sites(self) -> list[str | None]:
        """The site of each event by name, or an empty list if they were not kept."""
        if self._sites is None:
            self._sites = [site_name(site) for site in self._raw_sites]
        return self._sites

    @property
    def table(self) -> dict[int, Lane]:
        """Lane -> (class, owner, field, sub-name)."""
        return self._lanes.table

    def lanes(self, cls_name: str, field: str) -> dict[int, str]:
        """Map the lanes of a plain field, refcount or lock of a class to their owners' names."""
        return self._find(cls_name, field, "")

    def bit_lane(self, cls_name: str, field: str, bit: str) -> dict[int, str]:
        """Map the lanes of one bit of a flag word to their owners' names."""
        return self._find(cls_name, field, bit)

    def queue_lanes(self, cls_name: str, field: str, bit: str) -> dict[int, str]:
        """Map the lanes of a waitable bit's queue to their owners' names."""
        return self._find(cls_name, field, f"{bit}.queue")

    def word_lanes(self, cls_name: str, field: str) -> dict[int, tuple[str, int]]:
        """Map the lanes of an array of words to (owner's name, index)."""
        found = self._words.get((cls_name, field))
        if found is None:
            found = self._words[cls_name, field] = self._lanes.words(cls_name, field)
        return found

    def lanes_of(self, owners: Collection[str]) -> dict[int, Lane]:
        """Map all lanes of the objects of these names that are in use to (class, owner, field, sub-name)."""
        return self._lanes.of(owners)

    def _find(self, *wanted: str) -> dict[int, str]:
        found = self._found.get(wanted)
        if found is None:
            found = self._found[wanted] = self._lanes.find(*wanted)
        return found

    def lane(self, number: int) -> Lane | None:
        """Return (class, owner, field, sub-name) of one lane, None if the record does not know it."""
        return self._lanes.lane(number)

    def first_lane(self, number: int) -> int:
        """Return the first lane of the object that a lane is of, which tells objects of one name apart."""
        return self._lanes.first(number)

    def bits_among(self, lanes: Iterable[int], word: int) -> list[int]:
        """Return those of these lanes that are bits of a flag word; what has its name is that word."""
        place = (self.lane(word) or (None,) * 4)[1:3]
        entries = ((lane, self.lane(lane)) for lane in lanes)
        return [lane for lane, entry in entries if entry is not None and entry[1:3] == place and entry[3]]

    def lane_name(self, lane: int) -> str:
        """Name a lane: "box:0.state.LOCKED"."""
        found = self._lanes.lane(lane)
        return f"lane:{lane}" if found is None else lane_name(found)

    def steps(self, *kinds: int) -> list[int]:
        """Return the steps of all events of these kinds (NOTE for notes), in order."""
        return self._sorted_out().of(kinds)

    def steps_on(self, lanes: Collection[int], *kinds: int, notes: Collection[str] = ()) -> list[int]:
        """Return the steps of all events of these kinds on these lanes, and of these notes, in order."""
        return self._sorted_out().on(lanes, kinds, notes)

    def steps_by_lane(self, kind: int) -> Mapping[int, list[int]]:
        """Map each lane that an op of a kind is on to the steps of these."""
        return self._sorted_out().by_lane(kind)

    @property
    def who(self) -> list[int]:
        """The task of each event, for a judge that asks only whose some events are: a look at each is dearer."""
        if self._who is None:
            self._who = [event[0] for event in self.events]
        return self._who

    def _sorted_out(self) -> Steps:
        if self._steps is None:
            self._steps = Steps(self.events)
        return self._steps

    def task_name(self, number: int) -> str:
        """Name a task by its id."""
        return str(self.tasks[number]["name"])

    @staticmethod
    def name(value: Any) -> Any:
        """Name a logged value: structs, tasks, enum members and functions by name, tuples member by member.

        Others are as they are.
        """
        if value is None:  # what most pointers are set to
            return None
        if isinstance(value, _NAMED):
            return value.name
        if isinstance(value, (tuple, list)):
            return [Record.name(part) for part in value]
        if isinstance(value, dict):
            return {_writable(str(key)): Record.name(part) for key, part in value.items()}
        return value if type(value) is bool else _writable(value)

    def plain(self) -> Iterator[list[Any]]:
        """Yield each event as it is written: [task, kind, lane or None, a, b] with names for objects."""
        name = self.name
        for task, op, a, b in self.events:
            if op == NOTE:
                yield [task, "NOTE", None, a, name(b)]
            else:
                yield [task, Kind(op & KIND_MASK).name, op >> SHIFT, name(a), name(b)]

    # -- disk -------------------------------------------------------------------------------------------------------

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the record as JSON lines, whole or not at all (`files.write_whole`).

        Raises OSError: with EFBIG for a record that is larger than what is read again.
        """
        files.write_whole(path, self._bounded())

    def _bounded(self) -> Iterator[str]:
        left = record_file.BYTES_MAX
        for line in self.lines():
            left -= len(line) + 1  # all of it is ASCII
            if left < 0:
                size = f"{record_file.BYTES_MAX / files.MIB:g} MiB"
                raise OSError(errno.EFBIG, f"a record of more than {size}, which would not be read again")
            yield f"{line}\n"

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        used = sorted({op >> SHIFT for _, op, _, _ in self.events if op != NOTE} | self._noted_lanes())
        header = {**self.name(self.header), "schema": self.schema}
        if self.schema not in WITHOUT_TABLES:
            header.setdefault("tables", self.tables.plain())
        header |= {
            "tasks": self.tasks,
            "lanes": {str(lane): list(self.table[lane]) for lane in used if lane in self.table},
        }
        if header.pop(SUM, None) is not None or self.schema == SCHEMA:
            header[SUM] = sum_of(header)
        yield _dump(header)
        sites = self.sites
        step = 0
        for i, event in enumerate(self.plain()):
            order: int | Stamp | None = self.stamps[i] if i < len(self.stamps) else None
            if event[1] != "NOTE" and step < len(self.masks):
                order = self.masks[step]
                step += 1
            yield _dump([*event, sites[i] if i < len(sites) else None, order])
        tail = {"end": self.end, "final": self.final, "marks": self.marks, "verdict": self.verdict}
        yield _dump({**{key: self.name(value) for key, value in tail.items()}, "events": len(self.events)})

    def _noted_lanes(self) -> set[int]:
        return {facts[0] for _, op, kind, facts in self.events if op == NOTE and kind in NOTES_ON_LANES and facts}

    @classmethod
    def read(cls, path: str | os.PathLike[str], *, stream: bool = False) -> Record:
        """Read a record file.  Raises UsageError if it is missing, cut, changed or of an unknown schema.

        Args: stream: a FIFO or a pipe will do too, for a person named it.
        """
        return cls._of_file(record_file.read(path, stream=stream), os.fspath(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> Record:
        """Read a record from the content of its file.  Args: where: it comes from, for errors.  Raises UsageError."""
        return cls._of_file(record_file.parse(content, where), where)

    @classmethod
    def _of_file(cls, found: record_file.RecordFile, name: str) -> Record:
        tail = found.tail
        record = cls(
            found.header,
            found.events,
            table=found.table,
            tasks=found.tasks,
            sites=found.sites,
            masks=found.masks,
            stamps=found.stamps,
            end=tail["end"],
            final=tail["final"],
            marks=tail["marks"],
        )
        record.verdict = tail["verdict"]
        record.altered = found.altered
        try:
            _ = record.tables  # refused here if they have another shape
        except (TypeError, UsageError) as error:
            where = f"{name}, line 1: tables"
            raise malformed(error, what="tables as RECORD.md has them", where=where, try_=AGAIN) from error
        return record


_NAMED = (Struct, Task, Enum)
INT_MAX = 1 << 4096  # Python itself writes numbers of up to 4,300 digits only


def _writable(value: Any) -> Any:
    """Return what a file can hold and every reader takes: text for a number that is none or has no bound."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, int):
        return value if -INT_MAX < value < INT_MAX else hex(value)
    if isinstance(value, FunctionType):
        return value.__name__
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _declared(objects: Iterable[tuple[int, object]]) -> dict[str, str]:
    """Return the reads that the structs of a run declare benign, by "Class.field"."""
    found = {}
    for kind in {type(obj) for _, obj in objects}:
        if issubclass(kind, Struct):
            found.update({f"{kind.struct_name}.{key}": why for key, why in kind.benign_reads})
    return found


def _merge(tasks: list[Any]) -> tuple[list[Event], list[Site | None], list[Stamp]]:
    rows: list[tuple[Stamp, Event, Site | None]] = []
    for task in tasks:
        rows.extend(zip(task.stamps, task.events, task.sites, strict=True))
    rows.sort(key=lambda row: row[0][0])
    return [row[1] for row in rows], [row[2] for row in rows], [row[0] for row in rows]


def _spread(events: list[Event], op_sites: list[Site | None]) -> list[Site | None]:
    if not op_sites:
        return []
    rest = iter(op_sites)
    return [None if event[1] == NOTE else next(rest, None) for event in events]
