"""Moments: since when a bit is what it is, so that a judge can say "all the while" and "at some moment".

A judge of what one task had to do compares with what the bit was between two of its steps, whoever changed it: what
others did meanwhile excuses it, and no order of events is asked for that the kernel does not promise.
Invariant: a flag word that is stored whole, and a page that begins a new life, make its bits unknown: of those nothing
is said before that step.  Not checked: anything; `ageing.py` and `failures.py` judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mmrace.runtime.kinds import CLEARS, KIND_MASK, SETS, SHIFT, STORE
from mmrace.runtime.record import Record

KINDS = (*SETS, *CLEARS, STORE)
"""The kinds of events that `Moments.take` wants to see."""
ALWAYS = -1  # before every step


@dataclass(slots=True)
class _Bit:
    """`changed`: the step of the last change, `before`: of the one before that, `by`: whose it was."""

    value: bool = False
    changed: int = ALWAYS
    before: int = ALWAYS
    by: int = -1


class Moments:
    """What some bits of a class of objects were, step by step."""

    def __init__(self, record: Record, cls_name: str, field: str, bits: Iterable[str]) -> None:
        self.record = record
        self.bits = tuple(bits)
        self.lanes = {
            lane: (owner, bit) for bit in self.bits for lane, owner in record.bit_lane(cls_name, field, bit).items()
        }
        self.words = record.lanes(cls_name, field)
        self.watched = self.lanes.keys() | self.words.keys()
        self.of: dict[tuple[str, str], _Bit] = {}  # (object, bit) -> what is known of it

    def take(self, step: int) -> tuple[str, str, bool] | None:
        """Take an event of one of `KINDS`; return (object, bit, its value now) if it changed one of the bits."""
        task, op, old, _ = self.record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == STORE:
            if lane in self.words:
                self.forget(self.words[lane], step)
            return None
        found = self.lanes.get(lane)
        value = kind in SETS
        if found is None or bool(old) == value:
            return None
        bit = self.of.get(found)
        if bit is None:
            bit = self.of[found] = _Bit()
        bit.before, bit.changed, bit.value, bit.by = bit.changed, step, value, task
        return *found, value

    def bit(self, owner: str, name: str) -> _Bit:
        """Return what is known of a bit."""
        found = self.of.get((owner, name))
        if found is None:
            found = self.of[owner, name] = _Bit()
        return found

    def forget(self, owner: str, step: int) -> None:
        """An object begins anew."""
        for name in self.bits:
            bit = self.of.get((owner, name))
            if bit is not None:
                bit.value, bit.changed, bit.before, bit.by = False, step, step, -1

    def throughout(self, owner: str, name: str, value: bool, since: int) -> bool:
        """Say whether a bit has had a value all the while since a step."""
        bit = self.bit(owner, name)
        return bit.value == value and bit.changed < since

    def at_some_moment(self, owner: str, name: str, value: bool, since: int) -> bool:
        """Say whether a bit had a value at some moment since a step."""
        return not self.throughout(owner, name, not value, since)
