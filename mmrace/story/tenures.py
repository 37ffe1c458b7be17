"""Tenures: who held a lock from when to when, mutexes, spinlocks and bits that are locks alike.

Invariant: a lock that was handed to its I/O is held until somebody drops it, and the tenure says since when it is the
I/O's.  Not here: what is owed without being taken (`oracles/general/waits.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    KIND_MASK,
    NOTE,
    RELEASE,
    SHIFT,
    STORE,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
)
from mmrace.runtime.record import Record

_HAND_OVER = "hand-over"


class Tenure(NamedTuple):
    """A lock was held from step `taken` to step `released`, None: to the end of the record.

    `task`: who took it.  `by`: who dropped it.  `handed`: the step since which it is the I/O's, `token` that I/O.
    """

    taken: int
    lane: int
    task: int
    released: int | None = None
    by: int | None = None
    handed: int | None = None
    token: str = ""

    def held_at(self, step: int) -> bool:
        """Say whether the task itself still has it just before a step."""
        ends = [end for end in (self.released, self.handed) if end is not None]
        return not ends or min(ends) >= step


def tenures_of(record: Record, locks: Collection[int]) -> dict[int, list[Tenure]]:
    """Return the tenures of some locks, by lane."""
    found: dict[int, list[Tenure]] = {}
    kinds = (ACQUIRE, TRY, RELEASE, TEST_AND_SET, CLEAR, TEST_AND_CLEAR)
    steps = record.steps_on(locks, *kinds, notes=(_HAND_OVER,))
    words = {name: lane for lane in record.steps_by_lane(STORE) if (name := record.lane_name(lane))}
    steps = sorted([*steps, *record.steps_on(words.values(), STORE)])
    bits: dict[int, list[int]] = {}
    for lane in locks:
        name = record.lane_name(lane).rpartition(".")[0]
        if name in words:
            bits.setdefault(words[name], []).append(lane)
    for step in steps:
        task, op, a, b = record.events[step]
        if op == NOTE:
            _hand_over(found.get(b[0], []), step, str(b[1]) if len(b) > 1 else "")
            continue
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == STORE:
            for bit in bits.get(lane, ()) if not b else ():
                _drop(found.get(bit, []), step, task)
        elif kind == ACQUIRE or (kind == TRY and a) or (kind == TEST_AND_SET and not a):
            _drop(found.setdefault(lane, []), step, task)  # of whoever had it: nobody else can have it now
            found[lane].append(Tenure(step, lane, task))
        elif kind == RELEASE or (kind in (CLEAR, TEST_AND_CLEAR) and a):
            _drop(found.get(lane, []), step, task)
    return found


def _drop(tenures: list[Tenure], step: int, task: int) -> None:
    if tenures and tenures[-1].released is None:
        tenures[-1] = tenures[-1]._replace(released=step, by=task)


def _hand_over(tenures: list[Tenure], step: int, token: str) -> None:
    if tenures and tenures[-1].released is None:
        tenures[-1] = tenures[-1]._replace(handed=step, token=token)
