"""Reference ledgers: who holds what, of one object and of several.  Rules are in `refcount.py`; this keeps the books.

Invariant: `total` is the number of entries.  A drop takes the task's own entry if it has one, else the oldest
of that name: a reference may change hands (an I/O completes in another task), but its name may not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrace.runtime.kinds import GET, GET_UNLESS_ZERO, KIND_MASK, NOTE, PUT, SHIFT, UNFREEZE
from mmrace.runtime.record import Event, Record

UNNAMED = "?"  # references that were there before the first event of the record
NEW = "new"  # the first reference to an object that was allocated


class Ledger:
    """Who holds references to one object: name -> the tasks that took them, oldest first."""

    __slots__ = ("broken", "freezer", "holders", "name", "seen", "total", "unborn")

    def __init__(self, name: str) -> None:
        self.name = name
        self.holders: dict[str, list[int]] = {}
        self.total = 0
        self.freezer: int | None = None
        self.seen = False  # some op of the record concerned it
        self.unborn = False  # an allocation was noted, the op that makes the count 1 is still to come
        self.broken = False

    def add(self, ref: str, task: int) -> None:
        """Enter one reference."""
        self.holders.setdefault(ref, []).append(task)
        self.total += 1

    def drop(self, ref: str, task: int) -> bool:
        """Strike out one reference, the task's own if it has one; False if nobody holds it."""
        for name in (ref, UNNAMED):
            tasks = self.holders.get(name)
            if tasks:
                tasks.remove(task if task in tasks else tasks[0])
                self.total -= 1
                return True
        return False

    def restart(self) -> None:
        """Forget everything: the object is free."""
        self.holders = {}
        self.total = 0
        self.freezer = None
        self.unborn = self.broken = False

    def owners(self) -> list[str]:
        """Name every reference that is held, one entry each."""
        return sorted(ref for ref, tasks in self.holders.items() for _ in tasks)


class Ledgers:
    """The ledgers of some counts of a record, kept up to date event by event; nothing is judged.

    Args: lanes: lane of each count -> name of its object.
    """

    def __init__(self, record: Record, lanes: Mapping[int, str]) -> None:
        self.record = record
        self.by_lane = {lane: Ledger(name) for lane, name in lanes.items()}
        self.frees = frozenset(record.tables.frees)

    def take(self, event: Event) -> Ledger | None:
        """Enter what an event says of a reference; return the ledger of an op on one of the counts."""
        task, op, a, b = event
        if op == NOTE:
            self._note(task, a, b)
            return None
        ledger = self.by_lane.get(op >> SHIFT)
        if ledger is None:
            return None
        kind = op & KIND_MASK
        if kind == GET or (kind == GET_UNLESS_ZERO and b):
            ledger.add(a, task)
        elif kind == PUT:
            ledger.drop(a, task)
        elif kind == UNFREEZE and b is not None:
            ledger.drop(b, task)
        return ledger

    def _note(self, task: int, kind: str, facts: tuple[Any, ...]) -> None:
        if kind in self.frees:
            freed = self.record.name(facts[0])
            for ledger in self.by_lane.values():
                if ledger.name == freed:
                    ledger.restart()
        elif kind in ("retire", "rename") and facts[0] in self.by_lane:
            ledger = self.by_lane[facts[0]]
            if kind == "retire":
                for ref in facts[1]:
                    ledger.drop(ref, task)
            elif ledger.drop(facts[1], task):
                ledger.add(facts[2], task)
