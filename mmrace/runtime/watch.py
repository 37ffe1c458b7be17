"""What ends the wait of a retry: which events change an object, and whether the last turn looked at that object.

The rules of `retries.py`.  Invariant: a change that matters is never missed; one that does not may cost a needless
turn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from mmrace.runtime.kinds import (
    CLEAR,
    FREEZE,
    GET_UNLESS_ZERO,
    KIND_MASK,
    LOAD,
    SET,
    SHIFT,
    STORE,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
)
from mmrace.runtime.task import Gate


class RetryGate(Gate):
    """Busy until a lane that the last turn read is changed."""

    __slots__ = ("lanes",)

    def __init__(self, code: int, lanes: set[int]) -> None:
        super().__init__(code, None)
        self.lanes = lanes
        self.busy = True

    def __str__(self) -> str:
        return "a change of what its last turn read"


def changes(event: tuple[Any, ...]) -> bool:
    """Say whether an event changed its object: write-like, and not a try that failed or a set of a set bit."""
    op = event[1]
    if op < 0 or not op & 1:
        return False
    kind = op & KIND_MASK
    if kind in (GET_UNLESS_ZERO, FREEZE):
        return bool(event[3])
    if kind == TRY or kind in (CLEAR, TEST_AND_CLEAR):
        return bool(event[2])
    if kind in (TEST_AND_SET, SET):
        return not event[2]
    return True


def part_at(objects: Sequence[tuple[int, Any]], lane: int) -> tuple[Any, int]:
    """Return the primitive that a lane belongs to (None: a plain field), and how many lanes it has.

    Args: objects: of a controlled engine, (first lane, object) in the order of their lanes.
    """
    base, obj = objects[bisect_right(objects, lane, key=itemgetter(0)) - 1]
    row = type(obj).row_at(lane - base)
    return (None, 1) if row is None else (row.part, row.lanes)


def word_at(objects: Sequence[tuple[int, Any]], lane: int) -> range:
    """Return the lanes of the flag word whose own lane is `lane`: that one, and each of its bits."""
    part, count = part_at(objects, lane)
    return range(lane, lane + count - (len(part.waitable) if part is not None else 0))


def looked_at(lanes: set[int], op: int, objects: Sequence[tuple[int, Any]]) -> None:
    """Add what an op of the turn itself touched to `lanes`: of a plain load, every bit of the word."""
    lane = op >> SHIFT
    lanes.add(lane)
    if op & KIND_MASK == LOAD:
        lanes.update(word_at(objects, lane))


def concerns(event: tuple[Any, ...], lanes: set[int], objects: Sequence[tuple[int, Any]]) -> bool:
    """Say whether an event that changed something changed one of `lanes`; a plain store changes every bit."""
    lane = event[1] >> SHIFT
    return lane in lanes or (event[1] & KIND_MASK == STORE and not lanes.isdisjoint(word_at(objects, lane)))
