"""Buffers that a checkpoint takes for written, though a writeback has just locked and cleaned them to write (R37).

A checkpoint looks at BH_Lock and then at BH_Dirty, and takes neither; a buffer that is free at the first look and clean
at the second leaves its list.
Invariant: who does not look at both, in this order and within one hold of j_list_lock, or lets a buffer go that it saw
locked or dirty, or whose writeback was over by then, is no such case.
Not checked: whether it matters; `crash.py` asks only about blocks that the log gave up before they were home.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.runtime.kinds import ACQUIRE, CLEARS, KIND_MASK, RELEASE, SETS, SHIFT, TEST, WRITE
from mmrace.runtime.record import Record


@dataclass(slots=True)
class _Look:
    """A buffer was free when a task looked.  `locked`: who has locked it since.  `cleaned`: and cleaned it.

    `slipped`: and the task saw it clean then.
    """

    locked: int | None = None
    cleaned: bool = False
    slipped: bool = False


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.locks, self.dirt = (record.bit_lane("BufferHead", "b_state", bit) for bit in ("BH_Lock", "BH_Dirty"))
        self.list_locks = record.lanes("Journal", "j_list_lock")
        self.buffers, self.lists = (record.lanes("JournalHead", key) for key in ("b_bh", "b_cp_transaction"))
        self.buffer_of: dict[str, str] = {}  # journal head -> buffer
        self.looks: dict[str, dict[int, _Look]] = {}  # buffer -> task -> its look
        self.left: dict[str, list[tuple[int, bool]]] = {}  # buffer -> when it left a list, and whether it slipped

    def lock(self, task: int, kind: int, bh: str, was: object) -> None:
        """Somebody looked at a buffer's lock, or took it."""
        looks = self.looks.setdefault(bh, {})
        if kind == TEST:
            looks.pop(task, None)
            if not was:
                looks[task] = _Look()
        elif kind in CLEARS:
            looks.clear()  # what was written meanwhile is home
        elif not was:
            for whose, look in looks.items():
                look.locked = task if whose != task else None

    def anew(self, task: int) -> None:
        """A task took j_list_lock, or let go of it: what it saw before counts no more."""
        for looks in self.looks.values():
            looks.pop(task, None)

    def dirty(self, task: int, kind: int, bh: str, was: object) -> None:
        """Somebody looked at a buffer's dirty bit, or changed it."""
        looks = self.looks.get(bh, {})
        if kind == TEST and task in looks:
            looks[task].slipped = looks[task].cleaned and not was
        elif kind in CLEARS and was:
            for look in looks.values():
                look.cleaned |= look.locked == task

    def write(self, step: int, task: int, lane: int, new: object) -> None:
        """A journal head has another buffer, or is on another checkpoint list, or on none."""
        if lane in self.buffers:
            self.buffer_of[self.buffers[lane]] = str(self.record.name(new))
        elif new is None:
            bh = self.buffer_of.get(self.lists[lane], "")
            look = self.looks.get(bh, {}).pop(task, None)
            self.left.setdefault(bh, []).append((step, look is not None and look.slipped))


def left_their_lists(record: Record) -> dict[str, list[tuple[int, bool]]]:
    """Return when each buffer left a checkpoint list, and whether it was then on its way to being written."""
    audit = _Audit(record)
    events = record.events
    lanes = {*audit.locks, *audit.dirt, *audit.buffers, *audit.lists, *audit.list_locks}
    for step in record.steps_on(lanes, WRITE, TEST, *SETS, *CLEARS, ACQUIRE, RELEASE):
        task, op, old, new = events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if lane in audit.list_locks:
            audit.anew(task)
        elif lane in audit.locks:
            audit.lock(task, kind, audit.locks[lane], old)
        elif lane in audit.dirt:
            audit.dirty(task, kind, audit.dirt[lane], old)
        else:
            audit.write(step, task, lane, new)
    return audit.left
