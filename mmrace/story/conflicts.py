"""The order of a record's conflicting steps, from its file alone: what two records are compared by, up to equivalence.

A step is an op with what it did besides; its footprint is that of `strategies/order/dependence.py`, told from events
and by names, so that the steps of two records can be laid beside each other.  On each lane, steps that commute form
groups; two runs are of one class if their tasks did the same and the groups on all lanes are the same.  Only the
explored part counts: the rest is in fixed order.

Invariant: as far as events tell, two records are of one class here exactly if they are for `classes.ClassDigest` (a
test compares).  Not told by events, so not seen: a look without an op, and which lanes let a repeated turn go on.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from mmrace.runtime.kinds import (
    ACQUIRE,
    ADD,
    GET,
    GET_UNLESS_ZERO,
    IRQ,
    JOIN,
    KIND_MASK,
    LOAD,
    NOTE,
    PUT,
    QUEUE,
    RELEASE,
    SHIFT,
    SPAWN,
    STORE,
    WAKE,
    WRITE,
    Kind,
)
from mmrace.runtime.record import Event, Record
from mmrace.runtime.struct import Struct
from mmrace.runtime.wording import plain
from mmrace.strategies.order.dependence import (
    ALONE,
    BIT_CHANGES,
    COUNT_UP,
    DROP,
    LANE_NOTES,
    LINE_UP,
    MODES,
    READ,
    SELF_COMMUTING,
    TAKE,
    mode_of,
)
from mmrace.strategies.order.dependence import WRITE as WRITES

Key: TypeAlias = Hashable
"""A lane by name; or, as a tuple, what is no lane of an op: a CPU's interrupts, a reference's name, a note's object."""
Print: TypeAlias = dict[Key, int]
Name: TypeAlias = tuple[str, int]
"""A step: whose, and how many of its task's deeds came before; of one that is no deed a number of its own, below 0."""

_ALIVE = ("tasks alive",)
IDLE = frozenset({int(Kind.YIELD), int(Kind.CHOOSE)})
"""What is no deed: a task gives way, or draws a value.  How often one idles does not matter to what it does then."""
_MARKS = frozenset({int(Kind.BEGIN), int(Kind.EXIT), SPAWN, JOIN})


@dataclass(slots=True)
class Step:
    """One step.

    Attributes: event: its number in the record.  name: see `Name`.  op: kind and lane by name.  outcome: without what
    depends on the order of steps that commute.  footprint: where it meets others, and in which mode.
    """

    event: int
    name: Name
    op: tuple[int, str]
    outcome: object
    footprint: Print


Group: TypeAlias = tuple[int, frozenset[Name]]
"""The steps on a lane that follow each other and commute, and their mode."""


def untested_counts() -> frozenset[tuple[str, str]]:
    """Return the counts, by class and field, of which nobody acts on what a put leaves.

    Of the structs that this process has: a record does not say it.  For another program's every count may be tested.
    """
    found = set()
    left: list[type[Struct]] = [Struct]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        found |= {
            (kind.struct_name, row.field)
            for row in kind.plan
            if row.part is not None and getattr(row.part, "tested", True) is False
        }
    return frozenset(found)


class Ordering:
    """The steps of a record, by task and by lane; `deeds`: those of a task that are not `IDLE`.

    Args: window: the first op and the end of those that count; None: all of them.
    """

    def __init__(self, record: Record, window: tuple[int, int] | None) -> None:
        self.record = record
        self.steps: list[Step] = []
        self.of_task: dict[str, list[Step]] = {}
        self.deeds: dict[str, list[Step]] = {}
        self.lanes: dict[Key, list[Step]] = {}
        self._names: dict[int, str] = {}
        self._words: dict[str, list[str]] = {}
        self._untested = untested_counts()
        self._irqs: dict[int, int] = {}
        self._in_irq: set[int] = set()
        self._off: set[int] = set()
        self._pointed = record.tables.pointed
        self._classes = {entry[1]: entry[0] for entry in record.table.values()} if self._pointed else {}
        self._compared = {kind: MODES[mode] for kind, mode in record.tables.compared.items() if mode in MODES}
        first, end = window or (0, len(record.events))
        self._read(first, end)
        for step in self.steps:
            for key in step.footprint:
                self.lanes.setdefault(key, []).append(step)

    def groups(self, key: Key) -> list[Group]:
        """Return the steps on a lane in groups of those that commute."""
        found: list[tuple[int, list[Name]]] = []
        for step in self.lanes.get(key, ()):
            mode = step.footprint[key]
            if not found or found[-1][0] != mode or not SELF_COMMUTING[mode]:
                found.append((mode, []))
            found[-1][1].append(step.name)
        return [(mode, frozenset(names)) for mode, names in found]

    def numbers(self, name: str) -> list[int]:
        """Return the lanes of this name that were met so far."""
        return [number for number, known in self._names.items() if known == name]

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _read(self, first: int, end: int) -> None:
        events = self.record.events
        op = -1
        now: Step | None = None
        for number, event in enumerate(events):
            if event[1] == NOTE:
                if now is not None:
                    self._noted(now, event)
                continue
            op += 1
            told = self._cpu(event)
            now = None
            if first <= op < end:
                now = self._step(number, event, told)
                self.steps.append(now)

    def _step(self, number: int, event: Event, told: Print) -> Step:
        record = self.record
        task = record.task_name(event[0])
        mine = self.of_task.setdefault(task, [])
        kind = event[1] & KIND_MASK
        lane = self.lane(event[1] >> SHIFT)
        footprint = told
        for key, mode in self._meets(kind, lane, event):
            _meet(footprint, key, mode)
        deeds = self.deeds.setdefault(task, [])
        name = task, -1 - len(mine) if kind in IDLE else len(deeds)
        step = Step(number, name, (kind, lane), self._outcome(kind, event), footprint)
        mine.append(step)
        if kind not in IDLE:
            deeds.append(step)
        return step

    def lane(self, number: int) -> str:
        """Name a lane."""
        name = self._names.get(number)
        if name is None:
            name = self._names[number] = self.record.lane_name(number)
        return name

    def _outcome(self, kind: int, event: Event) -> object:
        """Return what came of an op, without what steps that commute with it change."""
        _, _, a, b = event
        if kind in (GET, PUT, ADD):
            return plain(a)
        if kind == GET_UNLESS_ZERO:
            return plain(a), bool(b)
        if kind == WAKE:
            return sorted(map(self._task, b or ()))
        if kind in (SPAWN, JOIN) and isinstance(a, int):
            return self._task(a)
        if kind in _MARKS:
            return None
        return plain(a), plain(b)

    def _task(self, number: int) -> str:
        tasks = self.record.tasks
        return str(tasks[number]["name"]) if 0 <= number < len(tasks) else f"task {number}"

    # -- footprints ----------------------------------------------------------------------------------------------------

    def _meets(self, kind: int, lane: str, event: Event) -> Iterator[tuple[Key, int]]:
        """Yield where an op meets others."""
        _, op, a, b = event
        if kind == QUEUE:
            yield lane, WRITES if a else LINE_UP
        elif kind in (LOAD, STORE):
            for part in self._word(lane):
                yield part, READ if kind == LOAD else WRITES
        elif kind == JOIN:
            if a is None:
                yield _ALIVE, ALONE
        elif kind in (GET, PUT) and self._is_untested(op >> SHIFT):
            yield lane, COUNT_UP
            yield (lane, str(plain(a))), COUNT_UP if kind == GET else LINE_UP
        else:
            mode = mode_of(kind, a, b)
            if mode is not None:
                yield lane, mode
                yield from self._judged(kind, op >> SHIFT, mode, (a, b))

    def _judged(self, kind: int, lane: int, mode: int, values: tuple[Any, Any]) -> Iterator[tuple[Key, int]]:
        """Yield what a judge asks for when a pointer is written, or a bit that it asks for then changes."""
        if not self._pointed:
            return
        if kind == WRITE:
            for value in map(plain, values):
                if isinstance(value, str) and self._classes.get(value) in self._pointed:
                    yield ("pointed", value), WRITES
        elif kind in BIT_CHANGES and mode != READ:
            cls, owner, _, bit = self.record.lane(lane) or ("", "", "", "")
            if bit in self._pointed.get(cls, ()):
                yield ("pointed", owner), LINE_UP

    def _is_untested(self, lane: int) -> bool:
        entry = self.record.lane(lane)
        return entry is not None and (entry[0], entry[2]) in self._untested

    def _word(self, lane: str) -> list[str]:
        """Return the names of the lanes of a flag word: its own, and those of its bits that are in use."""
        found = self._words.get(lane)
        if found is None:
            names = (self.lane(number) for number in self.record.table)
            used = [name for name in names if name.startswith(f"{lane}.") and not name.endswith(".queue")]
            found = self._words[lane] = [lane, *used]
        return found

    def _noted(self, now: Step, event: Event) -> None:
        """Add what a note says to the step that it follows."""
        _, _, kind, facts = event
        if not facts:
            return
        if kind in LANE_NOTES:
            _meet(now.footprint, self.lane(facts[0]), WRITES)
        elif kind in self._compared and len(facts) > 1:
            _meet(now.footprint, ("noted", str(plain(facts[0])), str(plain(facts[1]))), self._compared[kind])

    def _cpu(self, event: Event) -> Print:
        """Follow who keeps interrupts away from a CPU; return what an op changes there."""
        task, op, a, b = event
        kind = op & KIND_MASK
        if kind == IRQ and a in ("enter", "exit"):
            cpu = b
            (self._in_irq.add if a == "enter" else self._in_irq.discard)(cpu)
        elif kind == IRQ or (kind in (ACQUIRE, RELEASE) and a == "irq"):
            home = self.record.tasks[task].get("cpu")
            if home is None:
                return {}
            cpu = int(home)
            more = a == "disable" or kind == ACQUIRE
            self._irqs[cpu] = max(0, self._irqs.get(cpu, 0) + (1 if more else -1))
        else:
            return {}
        off = cpu in self._in_irq or self._irqs.get(cpu, 0) > 0
        if off == (cpu in self._off):
            return {}
        (self._off.add if off else self._off.discard)(cpu)
        return {("interrupts", cpu): TAKE if off else DROP}


def _meet(footprint: Print, key: Key, mode: int) -> None:
    """Add where a step meets others; in several modes on one lane it commutes with nothing there."""
    footprint[key] = mode if footprint.get(key, mode) == mode else WRITES


def commute(one: Step, other: Step, key: Key) -> bool:
    """Say whether two steps commute on a lane that both are on."""
    mode = one.footprint[key]
    return mode == other.footprint[key] and SELF_COMMUTING[mode]


def window_of(*records: Record) -> list[tuple[int, int] | None]:
    """Return for each record the ops between which its strategy was asked; None for all if one does not say."""
    explored = [record.header.get("explored") for record in records]
    if not all(explored):
        return [None for _ in records]
    return [(int(part[0]), int(part[1])) for part in explored if part]


def same_ways(one: Ordering, other: Ordering) -> bool:
    """Say whether all tasks did the same, each in its own order."""
    return _ways(one) == _ways(other)


def differing_lanes(one: Ordering, other: Ordering) -> list[Key]:
    """Return the lanes on which the steps that do not commute are others, or in another order."""
    keys = dict.fromkeys([*one.lanes, *other.lanes])
    return [key for key in keys if one.groups(key) != other.groups(key)]


def _ways(ordering: Ordering) -> dict[str, list[tuple[object, object]]]:
    return {task: [(step.op, step.outcome) for step in steps] for task, steps in ordering.of_task.items()}
