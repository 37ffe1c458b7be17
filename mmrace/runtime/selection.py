"""Which events of a record somebody wants to see: the one grammar for whatever shows a part of a record.

    tasks     names, or patterns such as ``io.*``
    kinds     of ops (``test_and_set``), in either case; ``note`` for all notes, or the kind of a note (``round``)
    objects   parts of names of objects; of a note, of what it tells
    around, first, last   an event to look around, one to begin at, and how many; else so many from the end
    idle      whether ops that only let others go on (``yield``) are wanted too

An event is wanted if it has any of the tasks, any of the kinds and any of the objects; an empty list asks for nothing.
Invariant: what comes back is in the order of the record.  Not here: how it looks (`report/`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, YIELD, Kind
from mmrace.runtime.record import Event, Record
from mmrace.runtime.wording import plain

LAST = 40
"""How many events are shown unless somebody says otherwise: a screen, with the lines around them."""
BEFORE = 3 / 4
"""The part of these that comes before the event that is looked around: what led to it."""
NOTES = "note"


@dataclass(frozen=True, slots=True)
class Selection:
    """See the module docstring."""

    tasks: Sequence[str] = ()
    kinds: Sequence[str] = ()
    objects: Sequence[str] = ()
    around: int | None = None
    first: int | None = None
    last: int | None = None
    idle: bool = True

    @property
    def placed(self) -> bool:
        """Whether it says where in the record to look."""
        return (self.around, self.first, self.last) != (None, None, None)

    @property
    def asks(self) -> bool:
        """Whether it says anything at all."""
        return self.placed or bool(self.tasks or self.kinds or self.objects)

    def steps(self, record: Record, among: Iterable[int] | None = None) -> list[int]:
        """Return the wanted events by index.  Raises UsageError for a name that the record lacks.

        Args: among: these, in order; None: all of the record.
        """
        if self.around is not None and self.first is not None:
            raise UsageError(
                expected="an event to look around, or one to begin at", got="both", where="--around, --from"
            )
        _check_tasks(self.tasks, record)
        _check_kinds(self.kinds, record)
        candidates = range(len(record.events)) if among is None else among
        found = [step for step in candidates if self._wants(record.events[step], record)]
        if not found:
            raise UsageError(
                expected="events of the record",
                got=", ".join((*self.tasks, *self.kinds, *self.objects)) or "a record without events",
                where="--task, --kind, --object",
                try_="a part of a name that `mmrace show` prints without them",
            )
        return self._part(found, len(record.events))

    def _wants(self, event: Event, record: Record) -> bool:
        task, op, _, facts = event
        if self.tasks and not any(fnmatchcase(record.task_name(task), name) for name in self.tasks):
            return False
        if not self.idle and op != NOTE and op & KIND_MASK == YIELD:
            return False
        if self.kinds and not {kind_name(event).lower(), NOTES if op == NOTE else ""} & {*map(str.lower, self.kinds)}:
            return False
        if not self.objects:
            return True
        name = " ".join(str(plain(fact)) for fact in facts) if op == NOTE else record.lane_name(op >> SHIFT)
        return any(part in name for part in self.objects)

    def _part(self, found: list[int], events: int) -> list[int]:
        last = self.last or LAST
        where = "--around" if self.around is not None else "--from"
        begin = self.around if self.around is not None else self.first
        if begin is None:
            return found[-last:]
        if not 0 <= begin < events:
            raise UsageError(expected=f"an event, 0 to {events - 1}", got=begin, where=where)
        at = next((i for i, step in enumerate(found) if step >= begin), len(found))
        if self.around is not None:
            return found[max(0, min(at - int(last * BEFORE), len(found) - 1)) :][:last]
        if at == len(found):
            raise UsageError(expected="events of the record", got=f"none from {begin} on", where=where)
        return found[at:][:last]


def kind_name(event: Event) -> str:
    """Name the kind of an event: of a note its own."""
    return str(event[2]) if event[1] == NOTE else Kind(event[1] & KIND_MASK).name.lower()


def _check_tasks(names: Sequence[str], record: Record) -> None:
    known = [str(task["name"]) for task in record.tasks]
    for name in names:
        if not any(fnmatchcase(task, name) for task in known):
            raise unknown("a task", name, known, where="--task", try_="a pattern takes several: --task 'io.*'")


def _check_kinds(names: Sequence[str], record: Record) -> None:
    notes = {kind_name(event) for event in record.events if event[1] == NOTE}
    known = [*(kind.name.lower() for kind in Kind), NOTES, *sorted(notes)]
    for name in names:
        if name.lower() not in map(str.lower, known):
            raise unknown("a kind of op", name.lower(), known, where="--kind", try_=f"one of {', '.join(known)}")


# -- where a record is looked at first ---------------------------------------------------------------------------------


def findings_of(record: Record, signature: str = "") -> list[Mapping[str, Any]]:
    """Return the findings of a record.  Args: signature: of the one that comes first, if it is there."""
    return sorted(record.verdict.get("findings", ()), key=lambda finding: finding.get("signature") != signature)


def steps_named(record: Record, signature: str = "") -> list[int]:
    """Return the events that the first finding of a record names, as far as it names any.

    One that is of the end of the run has none of its own: there it is the last op of each task that it names.
    Args: signature: of the finding that is asked for: then no other counts.
    """
    end = len(record.events)
    findings = findings_of(record, signature)
    asked = findings[:1] if findings and findings[0].get("signature") == signature else findings
    for finding in asked:
        facts = finding.get("facts", {})
        steps = {*_steps_in(facts)}
        found = {step for step in steps if step < end}
        if found != steps:
            found |= _last_ops(record, _tasks_in(facts)) or {end - 1}
        if found and record.events:
            return sorted(found)
    return []


def _tasks_in(facts: Mapping[str, Any]) -> set[str]:
    """Return the tasks that a finding of the end blames: whose wake was lost, a ring's, else all that are named."""
    blamed = facts.get("lost") or facts.get("cycle")
    rows = facts.get("tasks") or ()
    names = {str(row.get("task")) for row in rows if isinstance(row, Mapping)} if isinstance(rows, list | tuple) else ()
    return {*map(str, blamed)} if isinstance(blamed, list | tuple) and blamed else {*names, str(facts.get("task"))}


def _last_ops(record: Record, names: Collection[str]) -> set[int]:
    """Return the last op of each task of these names; of a daemon only if there are no others."""
    tasks = [task for task in record.tasks if task["name"] in names]
    tasks = [task for task in tasks if not task.get("daemon")] or tasks
    last = {event[0]: step for step, event in enumerate(record.events) if event[1] != NOTE}
    return {last[task["id"]] for task in tasks if task["id"] in last}


def _steps_in(facts: object, name: str = "") -> Iterator[int]:
    if isinstance(facts, Mapping):
        for key, value in facts.items():
            yield from _steps_in(value, str(key))
    elif isinstance(facts, list | tuple):
        for value in facts:
            yield from _steps_in(value, name)
    elif isinstance(facts, int) and (name in ("step", "steps") or name.endswith("_step")) and facts >= 0:
        yield facts


def last_explored(record: Record) -> int | None:
    """Return the last event at which a strategy was asked; what follows is in fixed order.  None if nobody can tell."""
    explored = record.header.get("explored")
    if not explored:
        return None
    ops = [step for step, event in enumerate(record.events) if event[1] != NOTE]
    return ops[min(explored[1], len(ops)) - 1] if ops and explored[1] > 0 else None
