"""The allocator: no frame is given out twice, free blocks are whole, and who takes a page may.

Rules, of each allocation.  Given out twice: a frame that is in use is not given out again.  Misaligned: a block lies
on a multiple of its size.  Watermark: who allocates has seen, since it last allocated, that more pages are free than
are kept from it: a look at the number of free pages, as old as it may be.  Reclaim: nobody begins to reclaim who may
not sleep, or frees memory already.  Too many isolated: who reclaims for itself has seen, since it last did, that no
more pages are isolated than are on the inactive list.
Movable: a page that is put into a file was allocated as one that can be moved.
At rest.  Free blocks are disjoint, aligned, marked with their order, and counted; two buddies are not both free, or
they would be one block; the zone's numbers of free pages and of pages on the LRU are those of its lists.
Invariant: what is kept from an allocation is reckoned here, from its mask and from what the set-up said of the zone.
Not checked: the migrate types of blocks; a zone of single pages, but for the last two numbers (`conservation` has its
frames).
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.snapshot import FreeBlock, Snapshot, snapshots, unfinished
from mmrace.runtime.kinds import KIND_MASK, NOTE, READ, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "allocator"
NOTES = ("zone", "alloc-block", "direct-reclaim", "page-alloc", "page-free", "vm-event")
SCANNED = "PGSCAN_DIRECT_NORMAL"
NUMBERS = ("nr_free_pages", "nr_inactive", "nr_isolated")
GFP_MOVABLE, GFP_WAIT, GFP_HIGH, GFP_NOMEMALLOC = 0x08, 0x10, 0x20, 0x10000
"""Bits of a mask: the page can be moved; it may sleep; it may take half of what is kept; it may not take all of it."""

Breach = tuple[str, str, tuple[str, ...]]  # rule, text, objects


def judge(record: Record) -> Judgement:
    """Follow each allocation, then judge the state at rest."""
    evidence = Evidence(NAME)
    checked = _allocations(record, evidence)
    for snap in snapshots(record):
        if snap.free_blocks is None:
            continue
        checked += len(snap.free_blocks) + len(snap.areas)
        for breaches in (_blocks(snap), _buddies(snap), _numbers(snap)):
            for rule, text, names in breaches:
                evidence.add(rule, f"{text} ({snap.label})", (*names, snap.label), objects=list(names), when=snap.label)
    return evidence.judgement(checked, unfinished(record) if checked else "")


# -- allocations ---------------------------------------------------------------------------------------------------


def kept(mark: int, gfp_mask: int) -> int:
    """Return how many pages an allocation leaves at least: of the least watermark, less what its mask may take."""
    if gfp_mask & GFP_HIGH:
        mark -= mark // 2
    if not gfp_mask & (GFP_WAIT | GFP_NOMEMALLOC):
        mark -= mark // 4
    return mark


class _Audit:
    """What is in use, and what each task has seen."""

    def __init__(self, record: Record, evidence: Evidence) -> None:
        self.record = record
        self.evidence = evidence
        self.used: set[str] = set()
        self.masks: dict[str, int] = {}  # page -> the mask that it was allocated with, if it is in use alone
        self.slots = {lane: name for lane, name in record.lanes("Slot", "page").items() if name.split(":")[1].isdigit()}
        self.numbers = {lane: name for name in NUMBERS for lane in record.lanes("Zone", name)}
        self.seen: dict[tuple[int, str], int] = {}  # what a task read last, until it has acted on it
        self.least: int | None = None  # watermark
        self.checked = 0

    def add(self, rule: str, text: str, step: int, task: int, *objects: str) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (*objects, who), objects=list(objects), task=who, step=step)

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "zone":
            assert isinstance(facts[2], int)
            self.least = facts[2]
        elif kind == "page-free":
            self.used.discard(str(self.record.name(facts[0])))
        elif kind == "page-alloc":
            name = str(self.record.name(facts[0]))
            if name in self.used:
                self.add("frame given out twice", f"{name} is given out, and is in use", step, task, name)
            self.used.add(name)
            self.masks.pop(name, None)
            self.checked += 1
        elif kind == "vm-event":
            if facts[0] == SCANNED and self.least is not None:
                self.scans(step, task)
        elif kind == "alloc-block":
            self.block(step, task, facts)
        else:
            self.reclaims(step, task, facts)

    def block(self, step: int, task: int, facts: tuple[object, ...]) -> None:
        """A task has got a block."""
        name, (order, gfp_mask, memalloc) = str(self.record.name(facts[0])), facts[1:]
        assert isinstance(order, int) and isinstance(gfp_mask, int)
        self.checked += 1
        if not order:
            self.masks[name] = gfp_mask
        if pfn_of(name) % (1 << order):
            self.add("misaligned block", f"{name} is given out as the first of {1 << order}", step, task, name)
        seen = self.seen.pop((task, "nr_free_pages"), None)
        if self.least is None or (memalloc and not gfp_mask & GFP_NOMEMALLOC):
            return
        least = kept(self.least, gfp_mask)
        if seen is None or seen - (1 << order) < least:
            saw = "did not look how many are free" if seen is None else f"saw {seen} free"
            text = f"takes {1 << order} pages from {name} on and must leave {least}, and {saw}"
            self.add("below the watermark", text, step, task, name)

    def cached(self, step: int, task: int, slot: str, page: str) -> None:
        """A page is put into a file: there it can be moved, and it came from where such pages belong."""
        mask = self.masks.pop(page, None)
        if mask is not None and not mask & GFP_MOVABLE:
            text = f"{page}, allocated with mask {mask:#x} as one that cannot be moved, is put into {slot}"
            self.add("page of a file not movable", text, step, task, page)

    def scans(self, step: int, task: int) -> None:
        """A task has isolated pages of the inactive list, for itself."""
        self.checked += 1
        inactive, isolated = (self.seen.pop((task, name), None) for name in NUMBERS[1:])
        if inactive is None or isolated is None:
            self.add("too many isolated", "reclaims, and did not look how many pages are isolated", step, task)
        elif isolated > inactive:
            text = f"reclaims, and saw {isolated} pages isolated and {inactive} inactive"
            self.add("too many isolated", text, step, task)

    def reclaims(self, step: int, task: int, facts: tuple[object, ...]) -> None:
        """A task begins to reclaim for an allocation."""
        _, gfp_mask, memalloc = facts
        assert isinstance(gfp_mask, int)
        self.checked += 1
        if memalloc:
            self.add("reclaim within reclaim", "begins to reclaim, and frees memory already", step, task)
        if not gfp_mask & GFP_WAIT:
            self.add("reclaim by who may not sleep", "begins to reclaim, and may not sleep", step, task)


def _allocations(record: Record, evidence: Evidence) -> int:
    if not record.steps_on((), notes=("zone",)):
        return 0
    audit = _Audit(record, evidence)
    for step in sorted([*record.steps_on(audit.numbers, READ, notes=NOTES), *record.steps_on(audit.slots, WRITE)]):
        task, op, a, b = record.events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
        elif op & KIND_MASK == WRITE:
            audit.cached(step, task, audit.slots[op >> SHIFT], str(record.name(b)))
        else:
            audit.seen[task, audit.numbers[op >> SHIFT]] = a
    return audit.checked


def pfn_of(name: str) -> int:
    """Return the number of a frame."""
    return int(name.partition(":")[2])


# -- at rest -------------------------------------------------------------------------------------------------------


def _blocks(snap: Snapshot) -> Iterator[Breach]:
    owner: dict[int, FreeBlock] = {}
    for block in snap.free_blocks or ():
        first, size = pfn_of(block.page), 1 << block.order
        if first % size:
            yield "misaligned block", f"{block.page} is the first of {size} free frames", (block.page,)
        if block.marked != block.order:
            marked = "not marked" if block.marked is None else f"marked with order {block.marked}"
            yield "wrong order", f"{block.page} is on a list of order {block.order} and {marked}", (block.page,)
        for pfn in range(first, first + size):
            other = owner.setdefault(pfn, block)
            if other is not block:
                text = f"frame {pfn} is in the free blocks at {other.page} and at {block.page}"
                yield "free blocks overlap", text, (other.page, block.page)


def _buddies(snap: Snapshot) -> Iterator[Breach]:
    free = {(pfn_of(block.page), block.order): block for block in snap.free_blocks or ()}
    for (pfn, order), block in free.items():
        buddy = free.get((pfn ^ (1 << order), order))
        if buddy is not None and pfn < pfn_of(buddy.page) and order < snap.max_order:
            text = f"{block.page} and {buddy.page} are free blocks of order {order}, and not one of {order + 1}"
            yield "buddies not merged", text, (block.page, buddy.page)


def _numbers(snap: Snapshot) -> Iterator[Breach]:
    blocks = snap.free_blocks or ()
    for order, nr_free in snap.areas.items():
        found = sum(block.order == order for block in blocks)
        if found != nr_free:
            yield "miscounted", f"nr_free of order {order} is {nr_free}, and {found} blocks are free", (str(order),)
    listed = [
        page.flags for page in snap.pages.values() if page.name in snap.lru and "PG_unevictable" not in page.flags
    ]
    found_of = {"NR_FREE_PAGES": sum(1 << block.order for block in blocks)}
    for kind, anonymous in (("", False), ("_ANON", True)):
        of_kind = [flags for flags in listed if ("PG_swapbacked" in flags) == anonymous]
        active = sum("PG_active" in flags for flags in of_kind)
        found_of |= {f"NR_ACTIVE{kind}": active, f"NR_INACTIVE{kind}": len(of_kind) - active}
    for name, found in found_of.items():
        said = snap.counters.get(name, found)
        if said != found:
            yield "miscounted", f"{name} is {said}, and its lists have {found}", (name,)
