"""Free lists: which free block an allocation is given, and where what is left of it, and what is freed, goes.

Rules, of each allocation, by what was free when it took the zone's lock.  Own type: it is given a block of the migrate
type that its mask asks for, if one is large enough; the smallest that is.  Fallback: else the largest block of another
type, of those that it may take from in their order.  Taking over: if that is half a pageblock or more, or reclaimable
pages are wanted, what else of its pageblock is free comes along to the own lists; and if that is half of it, the
pageblock itself.  Freeing: a block is put last on its list if the block that it would be half of has a free buddy, so
that both can become one; else first.
Invariant: judged at the moment when the zone's lock is dropped, under which no other task changes a list.  Not checked:
a zone of single pages; lists that nobody changed so far; the reserve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.runtime.kinds import ACQUIRE, KIND_MASK, NOTE, RELEASE, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "free-lists"
NOTES = ("zone", "alloc-block", "page-free")
UNMOVABLE, RECLAIMABLE, MOVABLE = "MIGRATE_UNMOVABLE", "MIGRATE_RECLAIMABLE", "MIGRATE_MOVABLE"
TYPES = (UNMOVABLE, RECLAIMABLE, MOVABLE)
FALLBACKS = {
    UNMOVABLE: (RECLAIMABLE, MOVABLE), RECLAIMABLE: (UNMOVABLE, MOVABLE), MOVABLE: (RECLAIMABLE, UNMOVABLE),
}  # fmt: skip
GFP_MOVABLE, GFP_RECLAIMABLE = 0x08, 0x80000
"""Bits of a mask: what kind of page it asks for."""

Pages = Sequence[object]
"""What a list shows: the first pages of its blocks, or their names."""
Lists = dict[tuple[int, str], Pages]
"""By order and type.  What was not changed yet is not in it."""


class _Put(NamedTuple):
    """A block was put on a list.  `last`: behind others; `alone`: there were none."""

    order: int
    page: object
    last: bool
    alone: bool


@dataclass(slots=True)
class _Section:
    """What a task does while it has the zone's lock.

    `before`: of each list that it changes, what it was; `origin`: where each page was at first that it took off a list;
    `put`: the last block that it put on one; `freed`: it frees a block; `after`, `types`: what it left.
    """

    before: Lists = field(default_factory=dict)
    origin: dict[str, tuple[int, str]] = field(default_factory=dict)
    put: _Put | None = None
    freed: bool = False
    after: Lists = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.lanes = {lane: _list_of(name) for lane, name in record.lanes("FreeList", "pages").items()}
        self.locks = record.lanes("Zone", "lock")
        self.blocks = {lane: _number(name) for lane, name in record.lanes("Pageblock", "migratetype").items()}
        self.lists: Lists = {}
        self.types: dict[int, str] = {}  # pageblock -> its type, movable if it is not there
        self.sections: dict[int, _Section] = {}  # those that go on
        self.last: dict[int, _Section] = {}  # of each task, over
        self.max_order = self.pageblock_order = 0
        self.checked = 0

    def add(self, rule: str, text: str, step: int, task: int, pfn: int) -> None:
        who, page = self.record.task_name(task), f"page:{pfn}"
        self.evidence.add(rule, f"{text} ({who})", (page, who), objects=[page], task=who, step=step)

    def op(self, step: int, task: int, op: int, old: object, new: object) -> None:
        lane, kind = op >> SHIFT, op & KIND_MASK
        if lane in self.lanes:
            assert isinstance(old, tuple | list) and isinstance(new, tuple | list)
            self.changed(task, self.lanes[lane], old, new)
        elif lane in self.blocks:
            self.types[self.blocks[lane]] = str(self.record.name(new))
        elif kind == ACQUIRE:
            self.sections[task] = _Section()
        else:
            section = self.sections.pop(task, None)
            if section is not None:
                self.dropped(step, task, section)

    def changed(self, task: int, where: tuple[int, str], old: Pages, new: Pages) -> None:
        """A list has lost a block, or got one, at either end or, a lost one, anywhere."""
        section = self.sections.get(task)
        self.lists[where] = new
        if section is None:
            return
        section.before.setdefault(where, old)
        if len(new) > len(old):
            last = not old or new[0] == old[0]
            section.put = _Put(where[0], new[-1] if last else new[0], last, not old)
        else:
            lost = old[0] if not new or new[0] != old[0] else next(page for page in old if page not in new)
            section.origin.setdefault(str(self.record.name(lost)), where)

    def dropped(self, step: int, task: int, section: _Section) -> None:
        """A task drops the zone's lock."""
        if section.freed:
            if section.put is not None and self.max_order:
                self.freed(step, task, section.put)
        elif section.origin:
            section.after, section.types = dict(self.lists), dict(self.types)
            self.last[task] = section

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "zone":
            assert isinstance(facts[0], int) and isinstance(facts[1], int)
            self.max_order, self.pageblock_order = facts[0], facts[1]
        elif kind == "page-free":
            if task in self.sections:
                self.sections[task].freed = True
        else:
            section = self.last.pop(task, None)
            order, mask = facts[1:3]
            assert isinstance(order, int) and isinstance(mask, int)
            if section is not None and self.max_order:
                self.allocated(step, task, section, str(self.record.name(facts[0])), order, mask)

    # -- rules ----------

    def freed(self, step: int, task: int, put: _Put) -> None:
        """A block was freed."""
        if put.alone:
            return
        self.checked += 1
        pfn = self.frame(put.page)
        beside = (pfn & ~(1 << put.order)) ^ (2 << put.order)
        soon = put.order < self.max_order - 1 and self.is_free(beside, put.order + 1)
        if put.last != soon:
            where, why = ("last", "will not") if put.last else ("first", "will")
            text = f"a free block of order {put.order} is put {where}, and {why} be part of a larger one soon"
            self.add("wrong end of a list", text, step, task, pfn)

    def is_free(self, pfn: int, order: int) -> bool:
        return any(self.frame(page) == pfn for kind in TYPES for page in self.lists.get((order, kind), ()))

    def frame(self, page: object) -> int:
        return _number(str(self.record.name(page)))

    def allocated(self, step: int, task: int, section: _Section, page: str, order: int, mask: int) -> None:
        """A task was given a block."""
        origin = section.origin.get(page)
        if origin is None:
            return
        self.checked += 1
        own, (of, kind), pfn = _type_of(mask), origin, _number(page)
        before = {**section.after, **section.before}
        fitting = next((size for size in range(order, self.max_order + 1) if before.get((size, own))), self.max_order)
        if kind == own:
            if fitting < of:
                text = f"is given a block of order {of} to split, and one of order {fitting} is free"
                self.add("smaller block passed over", text, step, task, pfn)
        elif before.get((fitting, own)):
            text = f"is given a block of {kind} of order {of}, and one of {own} of order {fitting} is free"
            self.add("own type passed over", text, step, task, pfn)
        else:
            self.fell_back(step, task, section, pfn, origin, own)

    def fell_back(self, step: int, task: int, section: _Section, pfn: int, origin: tuple[int, str], own: str) -> None:
        """A task was given a block of another type."""
        (of, kind), before = origin, {**section.after, **section.before}
        largest = ((size, other) for size in range(self.max_order, -1, -1) for other in FALLBACKS[own])
        wanted = next((where for where in largest if before.get(where)), origin)
        if wanted != origin:
            text = f"falls back to a block of {kind} of order {of}, and one of {wanted[1]} of order {wanted[0]} is free"
            self.add("wrong fallback", text, step, task, pfn)
            return
        if of < self.pageblock_order // 2 and own != RECLAIMABLE:
            return
        number, block = pfn >> self.pageblock_order, 1 << self.pageblock_order
        left = [first for _, other, first in self.within(section.after, number) if other != own]
        if left:
            text = f"takes most of a pageblock from {kind}, and leaves {len(left)} free blocks of it there"
            self.add("pageblock left mixed", text, step, task, left[0])
        free, stays = sum(1 << size for size, _, _ in self.within(before, number)), section.types.get(number, MOVABLE)
        if 2 * free >= block and stays != own:
            text = f"takes {free} free pages of a pageblock for {own}, and it stays {stays}"
            self.add("pageblock not taken over", text, step, task, pfn)

    def within(self, lists: Lists, number: int) -> Iterator[tuple[int, str, int]]:
        """Yield the free blocks of a pageblock: order, type, first frame."""
        for (order, kind), pages in lists.items():
            for page in pages:
                pfn = self.frame(page)
                if pfn >> self.pageblock_order == number:
                    yield order, kind, pfn


def _type_of(mask: int) -> str:
    return MOVABLE if mask & GFP_MOVABLE else RECLAIMABLE if mask & GFP_RECLAIMABLE else UNMOVABLE


def _list_of(name: str) -> tuple[int, str]:
    _, order, kind = name.split(":")
    return int(order), kind


def _number(name: str) -> int:
    """Return the number of a frame or a pageblock."""
    return int(name.partition(":")[2])


def judge(record: Record) -> Judgement:
    """Follow the free lists from one hold of the zone's lock to the next."""
    audit = _Audit(record)
    if len({kind for _, kind in audit.lanes.values()}) <= 1:
        return audit.evidence.judgement(0)
    lanes = {*audit.lanes, *audit.locks, *audit.blocks}
    for step in record.steps_on(lanes, WRITE, ACQUIRE, RELEASE, notes=NOTES):
        task, op, a, b = record.events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
        else:
            audit.op(step, task, op, a, b)
    return audit.evidence.judgement(audit.checked)
