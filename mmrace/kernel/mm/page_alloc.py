"""The page allocator: blocks of 2^order pages, split and merged under the zone's lock.

Invariant: a frame on a free list has count 0, no mapping and no flag of a page in use; a free block lies on a multiple
of its size, and its buddy is no free block of its order, or it would be merged with it.
Not modelled: per-CPU lists (each allocation takes the zone's lock), several zones, cpusets, kswapd, the out-of-memory
killer, fatal signals.
Simplified: where there are single pages only (`max_order` 0), no page is marked as free: nobody asks.
Source: mm/page_alloc.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.mm import compaction, mm, mm_types, mmzone, page_flags, vmscan_zone
from mmrace.kernel.mm.mmzone import MigrateType

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import FreeList, Machine, Zone

MARKS = (
    ("alloc: no free page", "the allocator found no block that is large enough"),
    ("alloc: below the watermark", "an allocation left the pages that are kept for others"),
    ("alloc: another type's block", "a block of another migrate type was taken, since there was none of its own"),
    ("alloc: took a pageblock over", "most of a pageblock was free, and went to another migrate type"),
    ("alloc: without watermarks", "an allocation of who frees memory took a page that is kept for others"),
    ("alloc: no recursion", "who frees memory, or may not sleep, got no page, and did not begin to free more"),
    ("alloc: compaction made a block", "an allocation succeeded after its own compaction"),
    ("alloc: compaction was not enough", "an allocation compacted, and found no block after it"),
    ("alloc: deferred, gave up", "an allocation that must not disturb gave up, since compaction failed lately"),
    ("alloc: reclaim made room", "an allocation succeeded after its own reclaim"),
    ("alloc: others took it", "an allocation freed pages, and others took them"),
    ("alloc: out of memory", "an allocation could free nothing: the kernel would try for ever, or kill somebody"),
    ("alloc: large order failed", "an allocation of a large order gave up, as it may"),
    ("split: below the watermark", "compaction left a free block alone, since few pages are free"),
)

# What an allocation may do; the first two bits say which watermark it keeps. Source: mm/page_alloc.c, v3.3.
ALLOC_WMARK_MIN = 0
ALLOC_WMARK_LOW = 1
ALLOC_WMARK_HIGH = 2
ALLOC_NO_WATERMARKS = 4
ALLOC_WMARK_MASK = ALLOC_NO_WATERMARKS - 1
ALLOC_HARDER = 0x10
ALLOC_HIGH = 0x20

_UNMOVABLE, _RECLAIMABLE, _MOVABLE = mmzone.MIGRATE_UNMOVABLE, mmzone.MIGRATE_RECLAIMABLE, mmzone.MIGRATE_MOVABLE
# Where an allocation of each type goes when its own lists are empty; the reserve comes last, in `__rmqueue`.
FALLBACKS = ((_RECLAIMABLE, _MOVABLE), (_UNMOVABLE, _MOVABLE), (_RECLAIMABLE, _UNMOVABLE))


# -- free blocks ---------------------------------------------------------------------------------------------------


def PageBuddy(page: Page) -> bool:
    """Say whether the page is the first of a free block.  Source: include/linux/mm.h, v3.3."""
    return page._mapcount == mmzone.PAGE_BUDDY_MAPCOUNT_VALUE


def page_order(page: Page) -> int:
    """Return the order of the free block that the page is the first of.  Source: mm/internal.h, v3.3."""
    return page.order


def set_page_order(page: Page, order: int) -> None:
    """Mark the page as the first of a free block.  Needs the zone's lock.  Source: mm/page_alloc.c, v3.3."""
    page.order = order
    page._mapcount = mmzone.PAGE_BUDDY_MAPCOUNT_VALUE


def rmv_page_order(page: Page) -> None:
    """Take the mark of a free block off the page.  Needs the zone's lock.  Source: mm/page_alloc.c, v3.3."""
    page._mapcount = -1
    page.order = 0


def page_is_buddy(page: Page, buddy: Page, order: int) -> bool:
    """Say whether `buddy` is the first page of a free block of `order`.  Needs the zone's lock.

    Source: mm/page_alloc.c, v3.3.
    """
    return PageBuddy(buddy) and page_order(buddy) == order


def _buddy_of(page: Page, order: int) -> Page | None:
    """Return the first page of the block beside the page's block of `order`; None beyond the end of the zone."""
    pages = mmzone.page_machine(page).pages
    pfn = page.pfn ^ (1 << order)
    return pages[pfn] if pfn + (1 << order) <= len(pages) else None


def _list_add(page: Page, free_list: FreeList, tail: bool = False) -> None:
    """Put a block on a free list.  Needs the zone's lock.  Without pageblocks nobody asks how many there are."""
    free_list.pages = (*free_list.pages, page) if tail else (page, *free_list.pages)
    page.list_of = free_list


def _list_del(page: Page) -> None:
    """Take a block off its free list.  Needs the zone's lock."""
    free_list = page.list_of
    assert free_list is not None, f"{page.name} is on no free list"
    pages = free_list.pages
    free_list.pages = pages[1:] if pages[0] is page else tuple(other for other in pages if other is not page)
    page.list_of = None


def _take_off(zone: Zone, page: Page, order: int) -> None:
    """Take a free block off its list, its mark off its first page, and count it out.  Needs the zone's lock."""
    _list_del(page)
    if zone.pageblocks:
        rmv_page_order(page)
        zone.free_area[order].nr_free -= 1


def _give_to(zone: Zone, page: Page, order: int, migratetype: MigrateType, tail: bool = False) -> None:
    """Mark a free block, count it, and put it on its list.  Needs the zone's lock."""
    area = zone.free_area[order]
    if zone.pageblocks:
        set_page_order(page, order)
    _list_add(page, area.free_list[migratetype], tail)
    if zone.pageblocks:
        area.nr_free += 1


# -- freeing -------------------------------------------------------------------------------------------------------


def __free_one_page(page: Page, zone: Zone, order: int, migratetype: MigrateType) -> None:
    """Put a block on the free lists, merged with its buddy as long as that is free as a whole.

    Needs the zone's lock.  Source: mm/page_alloc.c, v3.3.
    """
    max_order = zone.machine.max_order
    while order < max_order:
        buddy = _buddy_of(page, order)
        if buddy is None or not page_is_buddy(page, buddy, order):
            break
        _take_off(zone, buddy, order)
        if buddy.pfn < page.pfn:
            page = buddy
        order += 1
    _give_to(zone, page, order, migratetype, _merges_soon(page, order, max_order))


def _merges_soon(page: Page, order: int, max_order: int) -> bool:
    """Say whether the block that this one would become half of has a free buddy: then it should be used last."""
    if order >= max_order - 1:
        return False
    higher = mmzone.page_machine(page).pages[page.pfn & ~(1 << order)]
    buddy = _buddy_of(higher, order + 1)
    return buddy is not None and page_is_buddy(higher, buddy, order + 1)


def free_pages_prepare(page: Page) -> None:
    """Cut an anonymous page that is freed off its anon_vma; a page of a file has left that before.

    Source: mm/page_alloc.c, v3.3.
    """
    if mm.PageAnon(page):
        page.mapping = None


def free_pages_check(page: Page) -> None:
    """BUG if a page is freed while somebody still works on it; clears the remaining flags, with a plain store.

    Source: mm/page_alloc.c, v3.3.
    """
    rt.bug_on(mm.page_mapcount(page) != 0, "free_pages_check: page is mapped", page=page)
    rt.bug_on(page.mapping is not None, "free_pages_check: page has a mapping", page=page)
    rt.bug_on(mm.page_count(page) != 0, "free_pages_check: count is not zero", page=page)
    flags = page.flags.load()
    rt.bug_on(
        flags & page_flags.PAGE_FLAGS_CHECK_AT_FREE != 0, "free_pages_check: page is in use", page=page, flags=flags
    )
    if flags:
        page.flags.store(0)


def free_one_page(zone: Zone, page: Page, order: int, migratetype: MigrateType) -> None:
    """Free a block whose pages were checked.  Any context.  Source: mm/page_alloc.c, v3.3."""
    pages = _block(page, order)
    rt.spin_lock_irqsave(zone.lock)
    for each in pages:
        rt.note("page-free", each)
        rt.poison(each, keep=mm_types.TYPE_STABLE)
    __free_one_page(page, zone, order, migratetype)
    zone.account("NR_FREE_PAGES", 1 << order)
    rt.spin_unlock_irqrestore(zone.lock)


def _block(page: Page, order: int) -> tuple[Page, ...]:
    """Return the pages of a block."""
    return mmzone.page_machine(page).pages[page.pfn : page.pfn + (1 << order)] if order else (page,)


def __free_pages_ok(page: Page, order: int) -> None:
    """Give a block whose first page has count 0 back.  Any context.  Source: mm/page_alloc.c, v3.3."""
    rt.bug_on(page.block_order != order, "__free_pages_ok: another order", page=page, was=page.block_order, now=order)
    for each in _block(page, order):
        free_pages_prepare(each)
        free_pages_check(each)
    page.block_order = 0
    free_one_page(page.zone, page, order, mmzone.get_pageblock_migratetype(page))


def free_hot_cold_page(page: Page) -> None:
    """Give a page with count 0 back to the free list.  Any context.

    Simplified: it goes straight to the zone, and on no per-CPU list.  Source: mm/page_alloc.c, v3.3.
    """
    free_pages_prepare(page)
    free_pages_check(page)
    free_one_page(page.zone, page, 0, mmzone.get_pageblock_migratetype(page))


def free_hot_cold_page_list(pages: list[Page]) -> None:
    """Free a list of pages whose counts are 0.  Source: mm/page_alloc.c, v3.3."""
    for page in pages:
        free_hot_cold_page(page)


def __free_pages(page: Page, order: int, ref: str = "new") -> None:
    """Drop the reference `ref` of a block that is on no LRU; frees it if that was the last.

    Source: mm/page_alloc.c, v3.3.
    """
    if mm.put_page_testzero(page, ref):
        if order == 0:
            free_hot_cold_page(page)
        else:
            __free_pages_ok(page, order)


def __free_page(page: Page, ref: str = "new") -> None:
    """Drop the reference `ref` of a page that is on no LRU; frees it if that was the last.

    Source: include/linux/gfp.h, v3.3.
    """
    __free_pages(page, 0, ref)


# -- taking a block off the lists ----------------------------------------------------------------------------------


def expand(zone: Zone, page: Page, low: int, high: int, migratetype: MigrateType) -> None:
    """Give back what a block of order `high` has beyond the block of order `low` at its beginning.

    Needs the zone's lock.  Source: mm/page_alloc.c, v3.3.
    """
    while high > low:
        high -= 1
        half = mmzone.pfn_to_page(zone.machine, page.pfn + (1 << high))
        _give_to(zone, half, high, migratetype)


def __rmqueue_smallest(zone: Zone, order: int, migratetype: MigrateType) -> Page | None:
    """Take the smallest block that is large enough from the lists of a type.  Needs the zone's lock.

    Source: mm/page_alloc.c, v3.3.
    """
    for current_order in range(order, zone.machine.max_order + 1):
        pages = zone.free_area[current_order].free_list[migratetype].pages
        if not pages:
            continue
        page = pages[0]
        _take_off(zone, page, current_order)
        expand(zone, page, order, current_order, migratetype)
        return page
    return None


def move_freepages_block(zone: Zone, page: Page, migratetype: MigrateType) -> int:
    """Move the free blocks of a pageblock to the lists of another type; returns their pages.  Needs the zone's lock.

    Source: mm/page_alloc.c, v3.3.
    """
    machine = zone.machine
    nr_pages = mmzone.pageblock_nr_pages(machine)
    pfn = page.pfn & ~(nr_pages - 1)
    end_pfn = min(pfn + nr_pages, zone.spanned_pages)
    moved = 0
    while pfn < end_pfn:
        first = mmzone.pfn_to_page(machine, pfn)
        if not PageBuddy(first):
            pfn += 1
            continue
        order = page_order(first)
        _list_del(first)
        _list_add(first, zone.free_area[order].free_list[migratetype])
        pfn += 1 << order
        moved += 1 << order
    return moved


def __rmqueue_fallback(zone: Zone, order: int, start_migratetype: MigrateType) -> Page | None:
    """Take a block of another type: the largest there is, so that few pageblocks become mixed.  Needs the zone's lock.

    If it is half a pageblock or more, or the caller wants reclaimable pages, what else of its pageblock is free comes
    along; and if that is half of it, the pageblock itself.  Source: mm/page_alloc.c, v3.3.
    """
    machine = zone.machine
    for current_order in range(machine.max_order, order - 1, -1):
        for migratetype in FALLBACKS[start_migratetype]:
            pages = zone.free_area[current_order].free_list[migratetype].pages
            if not pages:
                continue
            page = pages[0]
            rt.reached("alloc: another type's block")
            given = migratetype
            if current_order >= machine.pageblock_order // 2 or start_migratetype == _RECLAIMABLE:
                moved = move_freepages_block(zone, page, start_migratetype)
                if 2 * moved >= mmzone.pageblock_nr_pages(machine):
                    rt.reached("alloc: took a pageblock over")
                    mmzone.set_pageblock_migratetype(page, start_migratetype)
                given = start_migratetype
            _take_off(zone, page, current_order)
            if current_order > machine.pageblock_order:
                change_pageblock_range(page, current_order, start_migratetype)
            expand(zone, page, order, current_order, given)
            return page
    return None


def change_pageblock_range(page: Page, order: int, migratetype: MigrateType) -> None:
    """Set the type of each pageblock of a block larger than one.  Needs the zone's lock.

    Source: mm/page_alloc.c, v3.3.
    """
    machine = mmzone.page_machine(page)
    for pfn in range(page.pfn, page.pfn + (1 << order), mmzone.pageblock_nr_pages(machine)):
        mmzone.set_pageblock_migratetype(mmzone.pfn_to_page(machine, pfn), migratetype)


def __rmqueue(zone: Zone, order: int, migratetype: MigrateType) -> Page | None:
    """Take a block off the free lists: of its type, else of another, else of the reserve.  Needs the zone's lock.

    Source: mm/page_alloc.c, v3.3.
    """
    page = __rmqueue_smallest(zone, order, migratetype)
    if page is None and zone.pageblocks and migratetype != mmzone.MIGRATE_RESERVE:
        page = __rmqueue_fallback(zone, order, migratetype)
        if page is None:
            page = __rmqueue_smallest(zone, order, mmzone.MIGRATE_RESERVE)
    return page


def split_free_page(page: Page) -> int:
    """Make single pages with a reference "new" of a free block; returns how many, 0 if that would leave too few.

    Needs the zone's lock and the first page of a free block.  Source: mm/page_alloc.c, v3.3.
    """
    rt.bug_on(not PageBuddy(page), "split_free_page: no free block", page=page)
    zone = page.zone
    machine = zone.machine
    order = page_order(page)
    if not zone_watermark_ok(zone, 0, mmzone.low_wmark_pages(zone) + (1 << order)):
        rt.reached("split: below the watermark")
        return 0
    _take_off(zone, page, order)
    zone.account("NR_FREE_PAGES", -(1 << order))
    for each in _block(page, order):
        prep_new_page(each)
    if order >= machine.pageblock_order - 1:
        change_pageblock_range(page, max(order, machine.pageblock_order), _MOVABLE)
    return 1 << order


# -- a new block ---------------------------------------------------------------------------------------------------


def prep_new_page(page: Page, order: int = 0) -> None:
    """Make a block from the free lists usable: new generation, count 1.  BUG if somebody touched it while it was free.

    The count is the first page's; the others' stays 0.  The kernel stores it plainly; a named get from 0 is the same,
    since nobody else may write it at 0.  Source: mm/page_alloc.c, v3.3.
    """
    for each in _block(page, order):
        _check_new_page(each)
    page.block_order = order
    page._count.get("new")


def _check_new_page(page: Page) -> None:
    flags = page.flags.load()
    rt.bug_on(flags != 0, "prep_new_page: a free page has flags", page=page, flags=flags)
    rt.bug_on(mm.page_count(page) != 0, "prep_new_page: count is not zero", page=page)
    page.generation += 1
    rt.revive(page)
    page.words.preset(_left_by_others(page))
    rt.note("page-alloc", page)


def _left_by_others(page: Page) -> list[int]:
    """Return what a frame holds when it is allocated: whatever others had in it, another value in each word each time.

    Negative, as no version of a block is, so that a judge knows garbage when it sees it.
    """
    words = len(page.words)
    frame = page.generation * len(mmzone.page_machine(page).pages) + page.pfn
    return [-(frame * words + i) for i in range(words)]


# -- allocating ----------------------------------------------------------------------------------------------------


def allocflags_to_migratetype(machine: Machine, gfp_mask: int) -> MigrateType:
    """Return the type of pageblock that an allocation should come from.  Source: include/linux/gfp.h, v3.3."""
    if not machine.max_order:
        return _UNMOVABLE
    return MigrateType((gfp_mask & gfp.__GFP_MOVABLE != 0) << 1 | (gfp_mask & gfp.__GFP_RECLAIMABLE != 0))


def zone_watermark_ok(zone: Zone, order: int, mark: int, alloc_flags: int = 0) -> bool:
    """Say whether an allocation of `order` would leave more than `mark` pages, and enough of them in large blocks.

    Takes no lock: what it finds may be over when the block is taken.  Source: mm/page_alloc.c, v3.3.
    """
    left = mmzone.zone_page_state(zone, "NR_FREE_PAGES") - (1 << order) + 1
    if alloc_flags & ALLOC_HIGH:
        mark -= mark // 2
    if alloc_flags & ALLOC_HARDER:
        mark -= mark // 4
    if left <= mark:
        return False
    for below in range(order):
        left -= zone.free_area[below].nr_free << below
        mark >>= 1
        if left <= mark:
            return False
    return True


def get_page_from_freelist(machine: Machine, gfp_mask: int, order: int, alloc_flags: int) -> Page | None:
    """Take a block, if that leaves what the watermark keeps for others.  Source: mm/page_alloc.c, v3.3."""
    zone = machine.zone
    if zone.counts and not alloc_flags & ALLOC_NO_WATERMARKS:
        mark = zone.watermark[alloc_flags & ALLOC_WMARK_MASK]
        if not zone_watermark_ok(zone, order, mark, alloc_flags):
            rt.reached("alloc: below the watermark")
            return None
    page = buffered_rmqueue(zone, order, allocflags_to_migratetype(machine, gfp_mask))
    if zone.counts and page is not None:
        rt.note("alloc-block", page, order, gfp_mask, bool(rt.current().pf & mmzone.PF_MEMALLOC))
    return page


def buffered_rmqueue(zone: Zone, order: int, migratetype: MigrateType) -> Page | None:
    """Take a block off the free lists and make it usable.

    Simplified: single pages too come straight from the zone, not from per-CPU lists.  Source: mm/page_alloc.c, v3.3.
    """
    rt.spin_lock_irqsave(zone.lock)
    page = __rmqueue(zone, order, migratetype)
    if page is None:
        rt.spin_unlock_irqrestore(zone.lock)
        return None
    zone.account("NR_FREE_PAGES", -(1 << order))
    rt.spin_unlock_irqrestore(zone.lock)
    prep_new_page(page, order)
    return page


# -- when there is no page ------------------------------------------------------------------------------------------


def _defers(sync_migration: bool) -> bool:
    """Say whether a failed compaction puts off the next ones: an asynchronous one has seen too little to tell."""
    return sync_migration


def _gives_up_if_deferred(gfp_mask: int, deferred: bool) -> bool:
    """Say whether an allocation ends because compaction is deferred: where it must not disturb the machine."""
    return deferred and bool(gfp_mask & gfp.__GFP_NO_KSWAPD)


def gfp_to_alloc_flags(gfp_mask: int) -> int:
    """Say which watermark an allocation keeps in the slow path.  Source: mm/page_alloc.c, v3.3."""
    alloc_flags = ALLOC_WMARK_MIN | (ALLOC_HIGH if gfp_mask & gfp.__GFP_HIGH else 0)
    if not gfp_mask & (gfp.__GFP_WAIT | gfp.__GFP_NOMEMALLOC):
        alloc_flags |= ALLOC_HARDER
    task = rt.current()
    if not gfp_mask & gfp.__GFP_NOMEMALLOC and task.pf & mmzone.PF_MEMALLOC and not task.in_irq:
        alloc_flags |= ALLOC_NO_WATERMARKS
    return alloc_flags


def __alloc_pages_direct_compact(
    machine: Machine, gfp_mask: int, order: int, alloc_flags: int, sync_migration: bool
) -> tuple[Page | None, bool]:
    """Compact, then try to allocate; returns the page, and whether compaction is deferred instead.

    PF_MEMALLOC meanwhile: its own allocations must not come back here, and it must not sleep for page locks, which may
    be its caller's.  Simplified: there are no per-CPU lists to drain after it.  Source: mm/page_alloc.c, v3.3.
    """
    zone = machine.zone
    if not order:
        return None, False
    if compaction.compaction_deferred(zone):
        return None, True
    task = rt.current()
    task.pf |= mmzone.PF_MEMALLOC
    result = compaction.try_to_compact_pages(zone, order, gfp_mask, sync_migration)
    task.pf &= ~mmzone.PF_MEMALLOC
    if result == compaction.COMPACT_SKIPPED:
        return None, False
    page = get_page_from_freelist(machine, gfp_mask, order, alloc_flags)
    if page is not None:
        rt.reached("alloc: compaction made a block")
        compaction.compaction_defer_reset(zone)
        mmzone.count_vm_event(machine, "COMPACTSUCCESS")
        return page, False
    rt.reached("alloc: compaction was not enough")
    mmzone.count_vm_event(machine, "COMPACTFAIL")
    if _defers(sync_migration):
        compaction.defer_compaction(zone)
    rt.cond_resched()
    return None, False


def __alloc_pages_direct_reclaim(
    machine: Machine, gfp_mask: int, order: int, alloc_flags: int
) -> tuple[Page | None, int]:
    """Reclaim, then try to allocate; returns the page, and how many pages were reclaimed.

    Source: mm/page_alloc.c, v3.3.
    """
    rt.cond_resched()
    task = rt.current()
    rt.note("direct-reclaim", order, gfp_mask, bool(task.pf & mmzone.PF_MEMALLOC))
    task.pf |= mmzone.PF_MEMALLOC
    did_some_progress = vmscan_zone.try_to_free_pages(machine.zone, order, gfp_mask)
    task.pf &= ~mmzone.PF_MEMALLOC
    rt.cond_resched()
    if not did_some_progress:
        return None, 0
    page = get_page_from_freelist(machine, gfp_mask, order, alloc_flags)
    if page is None:
        rt.reached("alloc: others took it")
    else:
        rt.reached("alloc: reclaim made room")
    return page, did_some_progress


def should_alloc_retry(machine: Machine, gfp_mask: int, order: int, pages_reclaimed: int) -> bool:
    """Say whether an allocation that reclaimed something tries again.  Source: mm/page_alloc.c, v3.3."""
    if gfp_mask & gfp.__GFP_NORETRY:
        return False
    if order <= mmzone.costly_order(machine):
        return True
    return bool(gfp_mask & gfp.__GFP_REPEAT) and pages_reclaimed < 1 << order


def __alloc_pages_slowpath(machine: Machine, gfp_mask: int, order: int) -> Page | None:
    """Make room for an allocation: compact without waiting, reclaim, compact and wait; None if all that is in vain.

    Left out: waking kswapd, there is none; the out-of-memory killer.  Where an order that must not fail can free
    nothing, the kernel kills a task, or without __GFP_FS tries for ever; here the allocation fails.
    Source: mm/page_alloc.c, v3.3.
    """
    pages_reclaimed = 0
    sync_migration = False
    alloc_flags = gfp_to_alloc_flags(gfp_mask)
    while True:
        page = get_page_from_freelist(machine, gfp_mask, order, alloc_flags & ~ALLOC_NO_WATERMARKS)
        if page is not None:
            return page
        if alloc_flags & ALLOC_NO_WATERMARKS:
            page = get_page_from_freelist(machine, gfp_mask, order, ALLOC_NO_WATERMARKS)
            if page is not None:
                rt.reached("alloc: without watermarks")
                return page
        if not gfp_mask & gfp.__GFP_WAIT or rt.current().pf & mmzone.PF_MEMALLOC:
            rt.reached("alloc: no recursion")
            return None
        page, deferred = __alloc_pages_direct_compact(machine, gfp_mask, order, alloc_flags, sync_migration)
        if page is not None:
            return page
        sync_migration = True
        if _gives_up_if_deferred(gfp_mask, deferred):
            rt.reached("alloc: deferred, gave up")
            return None
        page, did_some_progress = __alloc_pages_direct_reclaim(machine, gfp_mask, order, alloc_flags)
        if page is not None:
            return page
        if not did_some_progress and order <= mmzone.costly_order(machine) and not gfp_mask & gfp.__GFP_NORETRY:
            rt.reached("alloc: out of memory")
            return None
        pages_reclaimed += did_some_progress
        if did_some_progress and should_alloc_retry(machine, gfp_mask, order, pages_reclaimed):
            rt.cond_resched()  # what wait_iff_congested does where no device is congested
            continue
        # Reclaim may have made room for a compaction, and who is called after it is this one.
        page, _ = __alloc_pages_direct_compact(machine, gfp_mask, order, alloc_flags, sync_migration)
        if page is None:
            rt.reached("alloc: large order failed")
        return page


def alloc_pages(machine: Machine, gfp_mask: int, order: int) -> Page | None:
    """Allocate 2^order pages, aligned, with a single reference named "new"; None when memory is out.

    With __GFP_WAIT it may sleep, compact and reclaim, from wherever its caller stands.  In a zone where nobody counts
    it fails at once: there compaction and reclaim are actors of their own.  The data words hold garbage
    (`_left_by_others`).  The block freed last is the first one used again.  Source: mm/page_alloc.c, v3.3.
    """
    if gfp_mask & gfp.__GFP_WAIT:
        rt.might_sleep()
    page = get_page_from_freelist(machine, gfp_mask, order, ALLOC_WMARK_LOW)
    if page is not None:
        return page
    rt.reached("alloc: no free page")
    return __alloc_pages_slowpath(machine, gfp_mask, order) if machine.zone.counts else None


def alloc_page(machine: Machine, gfp_mask: int = gfp.GFP_KERNEL) -> Page | None:
    """Allocate one page with a single reference named "new"; None when memory is out.

    Source: include/linux/gfp.h, v3.3.
    """
    return alloc_pages(machine, gfp_mask, 0)
