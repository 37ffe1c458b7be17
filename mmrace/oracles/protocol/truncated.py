"""Truncations: when one ends, each page of its range was out of the page cache at some moment since it began.

Invariant: a page that comes back meanwhile, by a read, is another's doing, and excused.
Not checked: what became of the page and of its buffers.
"""

from __future__ import annotations

from typing import NamedTuple

from mmrace.runtime.kinds import NOTE, SHIFT, WRITE
from mmrace.runtime.record import Record

NOTES = frozenset({"drop-begin", "drop-end"})


class LeftBehind(NamedTuple):
    """A slot that a truncation from step `since` to `step` never found empty, with what it shows."""

    step: int
    since: int
    task: int
    slot: str
    page: str


def left_behind(record: Record) -> tuple[int, list[LeftBehind]]:
    """Return how many slots truncations had to empty, and those that they did not."""
    slots = record.lanes("Slot", "page")
    shown: dict[str, str] = {}
    going: dict[int, tuple[int, set[str]]] = {}  # task -> step of its begin, slots that were never empty since
    checked, found = 0, []
    for step in record.steps_on(slots, WRITE, notes=NOTES):
        task, op, a, b = record.events[step]
        if op == NOTE:
            if a == "drop-begin":
                full = {slot for slot in shown if _in_range(slot, *b)}
                going[task] = step, full
                checked += len(full)
            else:
                since, full = going.pop(task, (step, set()))
                found += [LeftBehind(step, since, task, slot, shown[slot]) for slot in sorted(full)]
        else:
            slot, page = slots[op >> SHIFT], record.name(b)
            if isinstance(page, str):
                shown[slot] = page
                continue
            shown.pop(slot, None)
            for _, full in going.values():
                full.discard(slot)
    return checked, found


def _in_range(slot: str, ino: object, first: int) -> bool:
    """Say whether a slot, by name "slot:INODE:INDEX", is of that inode and not before that index."""
    _, of, index = slot.split(":")
    return of == str(ino) and int(index) >= first
