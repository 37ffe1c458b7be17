"""Which bits of a record are locks: those that its program names, and those that somebody was ready to wait for.

A test-and-set whose task waits until it succeeds says so (`flags.LOCK`), and then that bit is a lock in all objects of
its struct; one that is dropped as bit spinlocks are (`flags.UNLOCK`) is a spinlock.  Invariant: what the program names
is taken as it says.  Not found: a bit that is only ever tried, and that the program does not name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from mmrace.runtime.flags import LOCK, UNLOCK
from mmrace.runtime.kinds import CLEAR, TEST_AND_SET
from mmrace.runtime.record import Record


@dataclass(frozen=True, slots=True)
class LockBits:
    """The lanes of a record's bit locks, each with its name "Class.field.BIT"."""

    sleeping: dict[int, str]
    spinning: dict[int, str]
    lanes: frozenset[int]
    """Those of both kinds."""


_found: WeakKeyDictionary[Record, LockBits] = WeakKeyDictionary()


def lock_bits(record: Record) -> LockBits:
    """Return the bit locks of a record; worked out once, for several judges ask."""
    found = _found.get(record)
    if found is None:
        tables = record.tables
        sleeping, spinning = list(tables.sleeping_locks), list(tables.spinning_locks)
        for name, spins in _waited_for(record).items():
            if name not in sleeping and name not in spinning:
                (spinning if spins else sleeping).append(name)
        by_kind = _lanes(record, sleeping), _lanes(record, spinning)
        found = _found[record] = LockBits(*by_kind, frozenset().union(*by_kind))
    return found


def _waited_for(record: Record) -> dict[str, bool]:
    """Map each bit that some task was ready to wait for to whether it is dropped as a spinlock."""
    taken, cleared = record.steps_by_lane(TEST_AND_SET), record.steps_by_lane(CLEAR)
    names: dict[str, bool] = {}
    for lane in sorted(lane for lane, steps in taken.items() if _marked(record, steps, LOCK)):
        cls, _, field, bit = record.lane(lane) or ("", "", "", "")
        name = f"{cls}.{field}.{bit}"
        names[name] = names.get(name, False) or _marked(record, cleared.get(lane, ()), UNLOCK)
    return names


def _marked(record: Record, steps: Iterable[int], mark: object) -> bool:
    """Say whether one of these events has a mark beside its op."""
    return any(record.events[step][3] == mark for step in steps)


def _lanes(record: Record, names: list[str]) -> dict[int, str]:
    return {lane: name for name in names for lane in record.bit_lane(*name.split("."))}
