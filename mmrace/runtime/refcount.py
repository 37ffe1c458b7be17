"""Reference counts with named references, freeze and unfreeze.

Each get and put names its reference, since the ledger cannot guess whose it is.  Invariant: a count is changed only
here, and every change is one op.  Not checked here: that the names balance; that is the ledger oracle's work.
Source: Linux `include/linux/pagemap.h`, `page-flags.h`, v3.3.
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime import live
from mmrace.runtime.errors import UsageError
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import COUNT, FREEZE, GET, GET_UNLESS_ZERO, PUT, SHIFT, UNFREEZE
from mmrace.runtime.task import Guard


class Refcount:
    """An atomic counter of named references."""

    __slots__ = ("code", "guard", "of", "value")

    def __init__(self, code: int, guard: Guard | None, of: object) -> None:
        self.code = code
        self.of = of  # its struct's name
        self.guard = guard
        self.value = 0

    def get(self, ref: str) -> int:
        """Take one reference called `ref`; return the new count.  Point: always."""
        code = self.code + GET
        task = live.point(self, code)
        self.value = new = self.value + 1
        task.log((task.id, code, ref, new))
        return new

    def put(self, ref: str) -> int:
        """Drop one reference called `ref`; return the new count.  Point: always."""
        code = self.code + PUT
        task = live.point(self, code)
        self.value = new = self.value - 1
        task.log((task.id, code, ref, new))
        return new

    def get_unless_zero(self, ref: str) -> bool:
        """Take a reference unless the count is 0 (free, or frozen).  Point: always.

        Below 0 (there was a put too many) it refuses too; the kernel would count up.
        """
        code = self.code + GET_UNLESS_ZERO
        task = live.point(self, code)
        new = self.value
        taken = new > 0
        if taken:
            self.value = new = new + 1
        task.log((task.id, code, ref, new if taken else 0))
        return taken

    def read(self) -> int:
        """Return the count.  Point: always."""
        code = self.code + COUNT
        task = live.point(self, code)
        value = self.value
        task.log((task.id, code, value, None))
        return value

    def freeze(self, n: int) -> bool:
        """Compare-and-swap n -> 0; True if nobody but the n known owners held it.  Point: always."""
        code = self.code + FREEZE
        task = live.point(self, code)
        ok = self.value == n
        if ok:
            self.value = 0
        task.log((task.id, code, n, ok))
        return ok

    def unfreeze(self, n: int, dropped: str | None = None) -> None:
        """Store n plainly, legal only for the freezer; `dropped` names a reference that went.  Point: always."""
        if not isinstance(n, int):
            raise UsageError(expected="a number", got=n, where="unfreeze")
        code = self.code + UNFREEZE
        task = live.point(self, code)
        self.value = n
        task.log((task.id, code, n, dropped))

    def retire(self, *refs: str) -> None:
        """Note that the named references went with a successful freeze (the object goes away).  Point: never."""
        live.engine.note("retire", (self.code >> SHIFT, refs))

    def rename(self, old: str, new: str) -> None:
        """Note that a reference has a new owner; the count stays.  Point: never."""
        live.engine.note("rename", (self.code >> SHIFT, old, new))


class _RefcountPart(Part):
    def __init__(self, tested: bool) -> None:
        self.tested = tested

    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> Refcount:
        return Refcount(code, guard, owner.name_)


def refcount(tested: bool = True) -> Refcount:
    """Declare a reference count, 0 in a new object.

    Args: tested: False if nobody acts on what a put leaves (no put-and-test), so that gets and puts commute.
    """
    part: Any = _RefcountPart(tested)
    return part  # type: ignore[no-any-return]
