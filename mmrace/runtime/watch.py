"""What ends the wait of a retry: which events changed an object, and whether it is one that the last turn looked at.

The controlled engines' half of `retry.until_changed`.  Invariant: a change that matters is never missed; a change that
does not may cost a needless turn.
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime.contract import Gate
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind

_BIT_WRITES = frozenset((Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR))
ANY_BIT = -1  # stands among lanes for every bit of a word that was loaded


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
    if kind in (Kind.GET_UNLESS_ZERO, Kind.FREEZE):
        return bool(event[3])
    if kind == Kind.TRY or kind in (Kind.CLEAR, Kind.TEST_AND_CLEAR):
        return bool(event[2])
    if kind in (Kind.TEST_AND_SET, Kind.SET):
        return not event[2]
    return True


def looked_at(lanes: set[int], op: int) -> None:
    """Add what an op of the turn itself touched to `lanes`."""
    lanes.add(op >> SHIFT)
    if op & KIND_MASK == Kind.LOAD:
        lanes.add(ANY_BIT)


def concerns(event: tuple[Any, ...], lanes: set[int]) -> bool:
    """Say whether an event that changed something changed one of `lanes`.

    A plain load reads, and a plain store writes, bits whose lanes the engine does not know: a store concerns whoever
    looked at anything, and any changed bit concerns whoever loaded a word.  That costs a needless turn, never a turn.
    """
    kind = event[1] & KIND_MASK
    return event[1] >> SHIFT in lanes or kind == Kind.STORE or (ANY_BIT in lanes and kind in _BIT_WRITES)
