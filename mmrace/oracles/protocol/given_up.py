"""Pages whose writer gave up on a buffer, because somebody else had it locked: they must be dirty again.

Whoever writes a page takes its dirty bit under the page lock, and then each buffer's.  A buffer that was dirty, and
whose lock it tried for in vain, keeps what it holds for a later round; only the page's dirty bit brings that round.
Invariant: a sleeping lock tries, too, and has the buffer in the end: only the last try counts.
Not checked: pages that are not dirty, buffers that are on no ring (the log's own), what becomes of the buffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mmrace.runtime.kinds import CLEARS, KIND_MASK, SET, SETS, SHIFT, STORE, TEST_AND_SET, WRITE
from mmrace.runtime.record import Record


class GivenUp(NamedTuple):
    """A page that was unlocked clean, with a buffer that its writer skipped."""

    step: int
    task: int
    page: str
    buffer: str


@dataclass(slots=True)
class _Writing:
    """Somebody who took a page's dirty bit and has its lock."""

    task: int
    dirty: set[str]
    skipped: set[str] = field(default_factory=set)


class _Audit:
    def __init__(self, record: Record) -> None:
        self.locked, self.dirty = (record.bit_lane("Page", "flags", bit) for bit in ("PG_locked", "PG_dirty"))
        self.busy, self.unclean = (record.bit_lane("BufferHead", "b_state", bit) for bit in ("BH_Lock", "BH_Dirty"))
        self.pages, self.rings = (record.lanes("BufferHead", key) for key in ("b_page", "b_this_page"))
        self.words = record.lanes("Page", "flags")
        self.page_of: dict[str, str] = {}
        self.ringed: set[str] = set()
        self.dirty_pages: set[str] = set()
        self.dirty_buffers: set[str] = set()
        self.writing: dict[str, _Writing] = {}
        self.found: list[GivenUp] = []
        self.checked = 0

    def write(self, lane: int, new: object) -> None:
        """A buffer is on another page, or on a ring."""
        if lane in self.pages:
            self.page_of[self.pages[lane]] = str(new)
        elif lane in self.rings:
            bh = self.rings[lane]
            (self.ringed.add if isinstance(new, str) else self.ringed.discard)(bh)

    def bit(self, step: int, task: int, lane: int, sets: bool, was: object) -> None:
        """A bit of a page or of a buffer was set or cleared."""
        if lane in self.dirty:
            page = self.dirty[lane]
            if sets:
                self.dirty_pages.add(page)
                return
            self.dirty_pages.discard(page)
            if was:
                dirty = {bh for bh in self.dirty_buffers & self.ringed if self.page_of.get(bh) == page}
                self.writing[page] = _Writing(task, dirty)
        elif lane in self.unclean:
            (self.dirty_buffers.add if sets else self.dirty_buffers.discard)(self.unclean[lane])
        elif lane in self.busy and sets:
            self.tried(task, self.busy[lane], bool(was))
        elif lane in self.locked and not sets:
            self.unlocked(step, task, self.locked[lane])

    def tried(self, task: int, bh: str, in_vain: bool) -> None:
        """Somebody wanted the lock of a buffer."""
        writing = self.writing.get(self.page_of.get(bh, ""))
        if writing is not None and writing.task == task and bh in writing.dirty:
            (writing.skipped.add if in_vain else writing.skipped.discard)(bh)

    def unlocked(self, step: int, task: int, page: str) -> None:
        """A page lock was released: whoever wrote the page is through with it."""
        writing = self.writing.pop(page, None)
        if writing is None:
            return
        self.checked += len(writing.skipped)
        if writing.skipped and page not in self.dirty_pages:
            self.found.append(GivenUp(step, task, page, min(writing.skipped)))


def given_up(record: Record) -> tuple[int, list[GivenUp]]:
    """Return how many buffers were skipped, and the pages that were not dirty again for one."""
    audit = _Audit(record)
    events = record.events
    if not any(events[step][2] for step in record.steps_on(audit.busy, SET, TEST_AND_SET)):
        return 0, []  # nobody tried in vain
    lanes = {*audit.locked, *audit.dirty, *audit.busy, *audit.unclean, *audit.pages, *audit.rings, *audit.words}
    for step in record.steps_on(lanes, WRITE, *SETS, *CLEARS, STORE):
        task, op, old, new = events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == WRITE:
            audit.write(lane, record.name(new))
        elif kind == STORE:
            if not new and lane in audit.words:  # freed
                audit.dirty_pages.discard(audit.words[lane])
                audit.writing.pop(audit.words[lane], None)
        else:
            audit.bit(step, task, lane, kind in SETS, old)
    return audit.checked, audit.found
