"""A disk's volatile cache: which of the writes that have ended are on the medium.

A write that ended is in the cache.  A flush brings what had ended when it began to the medium by its end; a write with
a flush before it does so too, and is itself there when it ends.  Without a cache every write is there when it ends.
Invariant: writes come to the medium in the order in which they ended.  Not checked: anything.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
VOLATILE = "write-cache"  # the set-up's note that the disk has one
FLUSH_BEGIN, FLUSH_END = "disk-flush", "disk-flushed"
WITH_FLUSH = "flush-fua"  # the last fact of the note of a write that flushes before, and does not stop at the cache


class WriteCache(Generic[T]):
    """`held`: writes that ended and may be lost."""

    def __init__(self) -> None:
        self.volatile = False
        self.held: list[T] = []
        self.covered: dict[Hashable, list[T]] = {}

    def flush_began(self, who: Hashable) -> list[T]:
        """Return what a flush, or a write with one, finds."""
        found = self.covered[who] = list(self.held)
        return found

    def flush_ended(self, who: Hashable) -> list[T]:
        """Return what has come to the medium by the end of a flush, or of a write with one."""
        covered = self.covered.pop(who, [])
        found = [write for write in self.held if any(write is one for one in covered)]
        self.held = [write for write in self.held if not any(write is one for one in found)]
        return found

    def ended(self, write: T, who: Hashable | None = None) -> list[T]:
        """Return what is on the medium when a write ends.  Args: who: began a flush with it."""
        if who in self.covered:
            return [*self.flush_ended(who), write]
        if not self.volatile:
            return [write]
        self.held.append(write)
        return []
