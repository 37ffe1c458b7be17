"""Who holds a page or its buffers: which lock or reference, by which task, taken at which step and where.

Invariant: a lock that nobody drops any more, though the run came to its end or its holder to his, is leaked; one that
is dropped later is held with a right to.  Not here: which reference is leaked (`attempts.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mmrace.oracles.general.judgement import Fact
from mmrace.runtime.kinds import CLEARS, EXIT, GET, GET_UNLESS_ZERO, KIND_MASK, NOTE, SET, SHIFT, TEST_AND_SET, WRITE
from mmrace.runtime.record import Record

LOCK_BITS = frozenset({"PG_locked", "PG_writeback", "BH_Lock"})


@dataclass(frozen=True, slots=True)
class Held:
    """A lock bit or a reference; `task` -1: nobody known, `step` -1: before the record."""

    what: str
    task: int
    step: int
    leaked: bool = True

    def text(self, record: Record) -> str:
        """Say what is held, by whom, since when and taken where."""
        text = f"{self.what} by {record.task_name(self.task) if self.task >= 0 else 'nobody known'}"
        if self.step < 0:
            return text
        site = self.site(record)
        return f"{text} since event {self.step}" + (f", taken at {site}" if site else "")

    def site(self, record: Record) -> str | None:
        """Return where it was taken, if the record has sites."""
        return record.sites[self.step] if record.sites and self.step >= 0 else None

    def fact(self, record: Record) -> dict[str, Fact]:
        """Return the same for a finding."""
        who = record.task_name(self.task) if self.task >= 0 else None
        return {"what": self.what, "task": who, "step": self.step, "site": self.site(record)}


def buffers_of(record: Record, page: str, end: int) -> set[str]:
    """Return the buffers whose page this was at any time before step `end`."""
    b_page, events = record.lanes("BufferHead", "b_page"), record.events
    writes = (events[step] for step in record.steps_on(b_page, WRITE) if step < end)
    return {b_page[op >> SHIFT] for _, op, _, new in writes if record.name(new) == page}


def locks_at(record: Record, objects: Collection[str], until: int) -> list[Held]:
    """Return the lock bits of these objects that are set before step `until`."""
    lanes = {lane: sub for lane, (_, _, _, sub) in record.lanes_of(objects).items() if sub in LOCK_BITS}
    taken: dict[int, tuple[int, int]] = {}
    for step, (task, op, old, _) in enumerate(record.events[:until]):
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE or lane not in lanes:
            continue
        if kind == SET or (kind == TEST_AND_SET and not old):
            taken.setdefault(lane, (task, step))
        elif kind in CLEARS:
            taken.pop(lane, None)
    return [Held(lanes[lane], *since, _for_ever(record, lane, since[0], until)) for lane, since in taken.items()]


def _for_ever(record: Record, lane: int, holder: int, until: int) -> bool:
    """Say whether a lock is never dropped any more, and that is the holder's fault: the run is over, or he is."""
    for _, op, _, _ in record.events[until:]:
        if op != NOTE and op >> SHIFT == lane and op & KIND_MASK in CLEARS:
            return False
    return record.end.get("how") == "finished" or any(
        task == holder and op != NOTE and op & KIND_MASK == EXIT for task, op, _, _ in record.events[:until]
    )


def taken_at(record: Record, lanes: Collection[int], ref: str, holder: int, until: int) -> int:
    """Return the step at which a task took a reference of this name last, or gave it that; -1 if none is known."""
    return next((step for step in range(until - 1, -1, -1) if _takes(record, step, lanes, ref, holder)), -1)


def last_taken(record: Record, lanes: Collection[int], ref: str) -> tuple[int, int]:
    """Return the task that took a reference of this name last, or gave it that, and the step; (-1, -1): none known."""
    for step in range(len(record.events) - 1, -1, -1):
        if _takes(record, step, lanes, ref, None):
            return record.events[step][0], step
    return -1, -1


def _takes(record: Record, step: int, lanes: Collection[int], ref: str, holder: int | None) -> bool:
    task, op, a, b = record.events[step]
    if holder is not None and task != holder:
        return False
    if op == NOTE:
        return a == "rename" and b[0] in lanes and b[2] == ref
    if op >> SHIFT not in lanes or a != ref:
        return False
    return op & KIND_MASK == GET or (op & KIND_MASK == GET_UNLESS_ZERO and bool(b))
