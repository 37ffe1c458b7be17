"""The record of a run: header, events in order, verdict; schema ``mmrace-record/3``.

In memory a record is what the engine kept: tuples ``(task, op, a, b)`` (docs: RECORD.md beside this file), a lane
table made when somebody asks, and live objects as values.  On disk it is JSON lines: a header, one event a line, a
verdict; names instead of objects.  Both answer the same questions, so that oracles and reports need not know which
they have.  Invariant: every schema version ever written is read; a file that is cut or changed is refused with what
to do.  Not here: meaning; oracles judge, `report/` explains.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import Any

from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.lanes import Lane, LiveLanes, TableLanes
from mmrace.runtime.sites import site_name
from mmrace.runtime.struct import Struct
from mmrace.runtime.tables import EMPTY, Tables, of_schema_2
from mmrace.runtime.task import Site, Task

SCHEMA = "mmrace-record/3"
REPLAYABLE = ("mmrace-record/2", SCHEMA)
"""The schemas whose ops are those that programs do now, so that a strict replay can follow them."""
READABLE = ("mmrace-record/1", *REPLAYABLE)
"""Every schema that was ever written; what changed is in RECORD.md."""
WITHOUT_TABLES = ("mmrace-record/1", "mmrace-record/2")
"""The schemas whose headers carry no tables: the reader supplies those of the time."""

Event = tuple[Any, ...]
Stamp = tuple[int, int]  # number of an op under `free`, and of the op before it on the same object (0: none)


class Record:
    """One run, whole.

    Attributes: header (dict, JSON), events (in a linear order of task order and object order), sites (beside events:
    names or None; empty if they were not kept), masks (controlled engines: the enabled set at each op), stamps
    (`free`: the version stamps of each event), end, final, marks, verdict (dict, set by the judge).
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
        self._raw_sites: list[Site | None] = []
        self._tables: Tables | None = None
        self._steps: list[list[int]] = []
        self._found: dict[tuple[str, ...], dict[int, str]] = {}

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
        return self._lanes.words(cls_name, field)

    def _find(self, *wanted: str) -> dict[int, str]:
        found = self._found.get(wanted)
        if found is None:
            found = self._found[wanted] = self._lanes.find(*wanted)
        return found

    def lane(self, number: int) -> Lane | None:
        """Return (class, owner, field, sub-name) of one lane, None if the record does not know it."""
        return self._lanes.lane(number)

    def lane_name(self, lane: int) -> str:
        """Name a lane: "box:0.state.LOCKED"."""
        found = self._lanes.lane(lane)
        if found is None:
            return f"lane:{lane}"
        _, owner, field, sub = found
        text = f"{owner}.{field}" if field else owner
        return text + (sub if sub.startswith("[") else f".{sub}" if sub else "")

    def steps(self, *kinds: int) -> list[int]:
        """Return the steps of all events of these kinds (NOTE for notes), in order.

        Events are sorted by kind once a record: most judges look at few kinds, and reads are half of all events.
        """
        if not self._steps:
            self._steps = [[] for _ in range(KIND_MASK + 1)]
            enter = [steps.append for steps in self._steps]
            for step, event in enumerate(self.events):
                enter[event[1] & KIND_MASK](step)
        return sorted(chain.from_iterable(self._steps[kind & KIND_MASK] for kind in kinds))

    def task_name(self, number: int) -> str:
        """Name a task by its id."""
        return str(self.tasks[number]["name"])

    @staticmethod
    def name(value: Any) -> Any:
        """Name a logged value: structs, tasks and enum members by name, tuples member by member, others as they are."""
        if isinstance(value, _NAMED):
            return value.name
        if isinstance(value, (tuple, list)):
            return [Record.name(part) for part in value]
        if isinstance(value, dict):
            return {str(key): Record.name(part) for key, part in value.items()}
        return value

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
        """Write the record as JSON lines, whole or not at all (`files.write_whole`).  Raises OSError."""
        files.write_whole(path, (f"{line}\n" for line in self.lines()))

    def lines(self) -> Iterator[str]:
        """Yield the lines of the file."""
        used = sorted({op >> SHIFT for _, op, _, _ in self.events if op != NOTE} | self._noted_lanes())
        header = {**self.header, "schema": self.schema}
        if self.schema not in WITHOUT_TABLES:
            header.setdefault("tables", self.tables.plain())
        header |= {
            "tasks": self.tasks,
            "lanes": {str(lane): list(self.table[lane]) for lane in used if lane in self.table},
        }
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
        return {
            facts[0]
            for _, op, kind, facts in self.events
            if op == NOTE and kind in ("retire", "rename", "hand-over") and facts
        }

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Record:
        """Read a record file.  Raises UsageError if it is missing, cut, changed or of an unknown schema."""
        where = str(path)
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                expected="a readable record file", got=str(error), where=where, try_="the path that the run printed"
            ) from error
        parts: list[Any] = []
        try:
            parts.extend(json.loads(line) for line in lines)
            header, body, tail = parts[0], parts[1:-1], parts[-1]
            schema = header["schema"]
        except (ValueError, IndexError, TypeError, KeyError) as error:
            raise UsageError(
                expected=f"a record ({SCHEMA}), JSON lines",
                got=f"line {min(len(parts) + 1, len(lines))}: {type(error).__name__}: {error}" if lines else "nothing",
                where=where,
                try_="save it again: a record has a header, one event a line and a verdict",
            ) from error
        if schema not in READABLE:
            raise UsageError(
                expected=f"a schema out of {', '.join(READABLE)}",
                got=schema,
                where=where,
                try_="read it with the mmrace that wrote it",
            )
        if not isinstance(tail, dict) or tail.get("events") != len(body):
            raise UsageError(
                expected=f"{len(body)} events and a verdict line that says so",
                got="a file that was cut or changed",
                where=where,
                try_="copy it again from where it was saved",
            )
        try:
            return cls._of_lines(header, body, tail)
        except (AttributeError, KeyError, ValueError, TypeError, IndexError) as error:
            raise UsageError(
                expected="events as the schema says",
                got=f"{type(error).__name__}: {error}",
                where=where,
                try_="copy it again from where it was saved",
            ) from error

    @classmethod
    def _of_lines(cls, header: dict[str, Any], body: list[list[Any]], tail: dict[str, Any]) -> Record:
        events: list[Event] = []
        masks: list[int] = []
        stamps: list[Stamp] = []
        sites: list[str | None] = []
        for task, kind, lane, a, b, site, order in body:
            events.append((task, NOTE if kind == "NOTE" else lane << SHIFT | Kind[kind], a, b))
            sites.append(site)
            if isinstance(order, list):
                number, before = order
                stamps.append((number, before))
            elif order is not None:
                masks.append(order)
        table = {int(lane): tuple(entry) for lane, entry in header.pop("lanes").items()}
        record = cls(
            header,
            events,
            table=table,
            tasks=header.pop("tasks"),
            sites=sites if any(sites) else [],
            masks=masks,
            stamps=stamps,
            end=tail["end"],
            final=tail["final"],
            marks=tail["marks"],
        )
        record.verdict = tail["verdict"]
        _ = record.tables  # refused here if they have another shape
        return record


_NAMED = (Struct, Task, Enum)


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
