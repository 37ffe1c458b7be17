"""Buffers that a checkpoint takes for written, though a writeback has just locked and cleaned them to write (R37).

Under j_list_lock, a checkpoint looks at BH_Lock and then at BH_Dirty, and takes neither; a buffer that is free at the
first look and clean at the second leaves its list.
Invariant: it slipped only if all of this was within one hold of j_list_lock; if somebody else locked and cleaned it
between the looks, and it was not dirtied again; and if he hands the lock to an I/O before it is dropped.  From when it
is dropped on, the buffer is home, or lost in some other way.
Not checked: whether it matters; `crash.py` asks only about blocks that the log gave up before they were home.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from mmrace.runtime.kinds import ACQUIRE, CLEARS, KIND_MASK, NOTE, RELEASE, SETS, SHIFT, TEST, WRITE
from mmrace.runtime.record import Record


@dataclass(slots=True)
class Slipped:
    """A buffer of a block left a transaction's checkpoint list while somebody was writing it.

    Attributes: until: when the lock of that write was dropped.  sent: the lock was handed to an I/O before that.
    """

    blocknr: int
    tid: int
    step: int
    buffer: str
    sent: bool
    until: float = inf


@dataclass(slots=True)
class _Look:
    """A task saw a buffer free.  `locked`: who has locked it since; `cleaned`: and cleaned it; `clean`: as it saw."""

    locked: int | None = None
    cleaned: bool = False
    clean: bool = False


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.locks, self.dirt = (record.bit_lane("BufferHead", "b_state", bit) for bit in ("BH_Lock", "BH_Dirty"))
        self.blocks = record.lanes("BufferHead", "b_blocknr")
        self.list_locks = record.lanes("Journal", "j_list_lock")
        self.buffers, self.lists = (record.lanes("JournalHead", key) for key in ("b_bh", "b_cp_transaction"))
        self.buffer_of: dict[str, str] = {}  # journal head -> buffer
        self.block_of: dict[str, int] = {}  # buffer -> block
        self.looks: dict[int, dict[str, _Look]] = {}  # who has the list lock -> buffer -> what it saw since
        self.handed: set[str] = set()  # buffers whose lock an I/O has
        self.found: list[Slipped] = []

    def note(self, facts: Sequence[object]) -> None:
        """A lock was handed to an I/O."""
        bh = self.locks.get(int(str(facts[0])))
        if bh is None:
            return
        self.handed.add(bh)
        for one in self.found:
            one.sent |= one.buffer == bh and one.until == inf

    def list_lock(self, task: int, takes: bool) -> None:
        """A task took j_list_lock, or let go of it."""
        self.looks.pop(task, None)
        if takes:
            self.looks[task] = {}

    def lock(self, step: int, task: int, kind: int, bh: str, was: object) -> None:
        """Somebody looked at a buffer's lock, took it, or dropped it."""
        if kind == TEST:
            if task in self.looks:
                self.looks[task].pop(bh, None)
                if not was:
                    self.looks[task][bh] = _Look()
        elif kind in CLEARS:
            self.handed.discard(bh)
            for looks in self.looks.values():
                looks.pop(bh, None)  # what was written meanwhile is home
            for one in self.found:
                if one.buffer == bh:
                    one.until = min(one.until, step)
        elif not was:
            for whose, looks in self.looks.items():
                if bh in looks and whose != task:
                    looks[bh].locked = task

    def dirty(self, task: int, kind: int, bh: str, was: object) -> None:
        """Somebody looked at a buffer's dirty bit, or changed it."""
        if kind == TEST:
            look = self.looks.get(task, {}).get(bh)
            if look is not None:
                look.clean = look.cleaned and not was
            return
        for looks in self.looks.values():
            if bh in looks and (kind in SETS or was):
                looks[bh].cleaned = kind in CLEARS and looks[bh].locked == task

    def write(self, step: int, task: int, lane: int, old: object, new: object) -> None:
        """A buffer has another block, a journal head another buffer, or it is on another checkpoint list or on none."""
        if lane in self.blocks:
            self.block_of[self.blocks[lane]] = int(str(new))
        elif lane in self.buffers:
            self.buffer_of[self.buffers[lane]] = str(self.record.name(new))
        elif new is None and old is not None:
            bh = self.buffer_of.get(self.lists[lane], "")
            look = self.looks.get(task, {}).get(bh)
            if look is not None and look.clean:
                tid = int(str(self.record.name(old)).rpartition(":")[2])
                self.found.append(Slipped(self.block_of.get(bh, -1), tid, step, bh, bh in self.handed))


def slipped(record: Record) -> list[Slipped]:
    """Return the buffers that left a checkpoint list on their way home, in order."""
    audit = _Audit(record)
    events = record.events
    lanes = {*audit.locks, *audit.dirt, *audit.blocks, *audit.buffers, *audit.lists, *audit.list_locks}
    for step in record.steps_on(lanes, WRITE, TEST, *SETS, *CLEARS, ACQUIRE, RELEASE, notes=("hand-over",)):
        task, op, old, new = events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            audit.note(new)
        elif lane in audit.list_locks:
            audit.list_lock(task, kind == ACQUIRE)
        elif lane in audit.locks:
            audit.lock(step, task, kind, audit.locks[lane], old)
        elif lane in audit.dirt:
            audit.dirty(task, kind, audit.dirt[lane], old)
        else:
            audit.write(step, task, lane, old, new)
    return [one for one in audit.found if one.sent]
