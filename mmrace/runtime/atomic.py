"""An atomic number: statistics that tasks add to without a lock, and that somebody may decide by.

Adding says nothing to who adds, so two additions commute; a look at the number commutes with neither.  Invariant: each
addition, and each look, is one op.  Source: Linux `include/linux/vmstat.h`, v3.3 (zone_page_state_add).
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime import live
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import ADD, READ
from mmrace.runtime.task import Guard


class Atomic:
    """A number, 0 at first."""

    __slots__ = ("code", "guard", "of", "value")

    def __init__(self, code: int, guard: Guard | None, of: object) -> None:
        self.code = code
        self.guard = guard
        self.of = of  # its struct's name
        self.value = 0

    def add(self, delta: int) -> None:
        """Add `delta`, which may be below 0.  No barrier: it orders nothing else.  Point: always."""
        code = self.code + ADD
        task = live.point(self, code)
        self.value = new = self.value + delta
        task.log((task.id, code, delta, new))

    def read(self) -> int:
        """Return the number.  Point: always."""
        code = self.code + READ
        task = live.point(self, code)
        value = self.value
        task.log((task.id, code, value, None))
        return value


class _AtomicPart(Part):
    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> Atomic:
        return Atomic(code, guard, owner.name_)


def atomic() -> Atomic:
    """Declare an atomic number, 0 in a new object."""
    part: Any = _AtomicPart()
    return part  # type: ignore[no-any-return]
