"""What the checks of claims look at: single ops of a record, and the parts of the kernel model that they are on.

Invariant: an `Op` says what an event of the record says, with names for its two outcome fields; which of the names has
a meaning depends on the op's kind (RECORD.md has the table).
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import GET, GET_UNLESS_ZERO


class Watched(Enum):
    """Fields, bits and locks of the model on which a migration and its meetings show: (struct, field, bit)."""

    PG_locked = "Page", "flags", "PG_locked"
    PG_writeback = "Page", "flags", "PG_writeback"
    PG_lru = "Page", "flags", "PG_lru"
    PG_dirty = "Page", "flags", "PG_dirty"
    page_flags = "Page", "flags", ""  # the word as a whole
    page_count = "Page", "_count", ""
    page_mapcount = "Page", "_mapcount", ""
    page_mapping = "Page", "mapping", ""
    page_private = "Page", "private", ""
    slot_page = "Slot", "page", ""
    BH_Lock = "BufferHead", "b_state", "BH_Lock"
    b_page = "BufferHead", "b_page", ""
    b_this_page = "BufferHead", "b_this_page", ""
    tree_lock = "AddressSpace", "tree_lock", ""
    private_lock = "AddressSpace", "private_lock", ""


class Op(NamedTuple):
    """One op: event `step` of the record, by `task`, on `lane`; `a` and `b` are its outcome."""

    step: int
    task: int
    kind: int
    lane: int
    a: Any
    b: Any

    @property
    def value(self) -> object:
        """Of READ, TEST and COUNT: what was read."""
        return self.a

    @property
    def old(self) -> object:
        """Of WRITE: the value before."""
        return self.a

    @property
    def new(self) -> object:
        """Of WRITE and STORE: the value after."""
        return self.b

    @property
    def was_set(self) -> bool:
        """Of TEST, TEST_AND_SET, TEST_AND_CLEAR and CLEAR: the bit before."""
        return bool(self.a)

    @property
    def taken(self) -> bool:
        """Of TRY: whether the lock was taken."""
        return bool(self.a)

    @property
    def waits(self) -> bool:
        """Of TEST_AND_SET: whether the task waits until it has the lock."""
        return bool(self.b == LOCK)

    @property
    def reference(self) -> str:
        """Of GET, PUT and GET_UNLESS_ZERO: the reference, by name."""
        return str(self.a)

    @property
    def new_count(self) -> int:
        """Of GET, PUT and GET_UNLESS_ZERO: the new count; 0 if the last took no reference."""
        return int(self.b)

    @property
    def gets(self) -> bool:
        """Whether it took a reference."""
        return self.kind == GET or (self.kind == GET_UNLESS_ZERO and bool(self.b))

    @property
    def frozen(self) -> bool:
        """Of FREEZE: whether it succeeded."""
        return bool(self.b)

    @property
    def stored(self) -> int:
        """Of UNFREEZE: the count that was stored."""
        return int(self.a)
