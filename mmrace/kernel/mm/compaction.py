"""Memory compaction: two scanners, which move what is in use out of the low pageblocks into free frames of the high
ones, so that free memory becomes contiguous.

The migrate scanner walks up from the zone's first frame and takes pages off the LRU; the free scanner walks down from
its end and takes free frames, as targets.  When they meet, the run is complete.
Invariant: a free frame is taken from above the pageblock that is being emptied only; an isolated page is moved or put
back, and a free frame used or given back, before the run ends; in asynchronous mode nothing here sleeps.
Not modelled: fatal signals, holes in the zone and frames that are not valid, several zones, huge pages on the LRU;
need_resched and contention, which drop lru_lock at other frames than each `swap_cluster_max`th.
Source: mm/compaction.c, include/linux/compaction.h, mm/vmstat.c, v3.3.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.mm import backing_dev, migrate, mmzone, page_alloc, page_flags, swap, vmscan
from mmrace.kernel.mm.mmzone import MigrateType

if TYPE_CHECKING:
    from mmrace.kernel.mm.migrate import MigrateMode
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine, Zone
    from mmrace.kernel.mm.vmscan import IsolateMode

MARKS = (
    ("compact: deferred", "an allocation did not try to compact, since it failed lately"),
    ("compact: not enough free memory", "compaction was skipped for want of free frames"),
    ("compact: not fragmented enough", "compaction was skipped: free memory is short, not scattered"),
    ("compact: nothing to do", "a free block of the order was there already"),
    ("compact: scanners met", "a compaction ended because its scanners met"),
    ("compact: large block made", "a compaction ended because a free block of its order was there"),
    ("compact: too many isolated, gave up", "an asynchronous compaction ended since much of the LRU is isolated"),
    ("compact: too many isolated, waited", "a synchronous compaction waited since much of the LRU is isolated"),
    ("compact: lru_lock dropped", "the migrate scanner let go of lru_lock between two frames"),
    (
        "compact: pageblock not movable",
        "an asynchronous compaction passed over a pageblock that is not MIGRATE_MOVABLE",
    ),
    ("compact: page not on the LRU", "the migrate scanner passed over a page that is not on the LRU"),
    ("compact: page refused", "the migrate scanner could not isolate a page of the LRU"),
    ("compact: cluster full", "the migrate scanner stopped within a pageblock, with as many pages as it takes at once"),
    ("compact: block not suitable", "the free scanner passed over a pageblock that no target may come from"),
    ("compact: block not suitable any more", "a pageblock changed before the free scanner had zone.lock"),
    ("compact: no target", "the free scanner found no free frame"),
    ("compact: page put back", "a page could not be moved and went back to the LRU"),
    ("compact: free frame given back", "a free frame that was taken as a target was not used"),
)

# How often a run of failures makes allocations skip compaction: 1 << this at most. Source: compaction.h, v3.3.
COMPACT_MAX_DEFER_SHIFT = 6
# From this fragmentation index on compaction helps more than reclaim does. Source: mm/compaction.c, v3.3.
SYSCTL_EXTFRAG_THRESHOLD = 500
# The order of a compaction that is for no allocation: all of the zone.
WHOLE_ZONE = -1


class CompactResult(IntEnum):
    """What a compaction did.  Source: include/linux/compaction.h, v3.3."""

    COMPACT_SKIPPED = 0
    COMPACT_CONTINUE = 1
    COMPACT_PARTIAL = 2
    COMPACT_COMPLETE = 3


COMPACT_SKIPPED = CompactResult.COMPACT_SKIPPED
COMPACT_CONTINUE = CompactResult.COMPACT_CONTINUE
COMPACT_PARTIAL = CompactResult.COMPACT_PARTIAL
COMPACT_COMPLETE = CompactResult.COMPACT_COMPLETE


class IsolateMigrate(IntEnum):
    """What the migrate scanner did with a pageblock.  Source: mm/compaction.c (isolate_migrate_t), v3.3."""

    ISOLATE_ABORT = 0
    ISOLATE_NONE = 1
    ISOLATE_SUCCESS = 2


ISOLATE_ABORT = IsolateMigrate.ISOLATE_ABORT
ISOLATE_NONE = IsolateMigrate.ISOLATE_NONE
ISOLATE_SUCCESS = IsolateMigrate.ISOLATE_SUCCESS


@dataclass(slots=True)
class CompactControl:
    """One compaction: what it is for, where its scanners are, and what it has taken.  Belongs to one task.

    order: of the allocation that it works for, or WHOLE_ZONE; migratetype: of that allocation; sync: it may wait.
    Source: mm/compaction.c (struct compact_control), v3.3.
    """

    zone: Zone
    order: int
    migratetype: MigrateType = MigrateType.MIGRATE_MOVABLE
    sync: bool = False
    freepages: list[Page] = field(default_factory=list)
    migratepages: list[Page] = field(default_factory=list)
    nr_freepages: int = 0
    nr_migratepages: int = 0
    free_pfn: int = 0
    migrate_pfn: int = 0


# -- what depends on the kernel's age ----------------------------------------------------------------------------


def _isolate_mode(cc: CompactControl) -> IsolateMode:
    """Say what the migrate scanner takes: in asynchronous mode nothing that could not be moved without waiting."""
    both = vmscan.ISOLATE_ACTIVE | vmscan.ISOLATE_INACTIVE
    return both if cc.sync else both | vmscan.ISOLATE_ASYNC_MIGRATE


def _migrate_mode(sync: bool) -> MigrateMode:
    """Say how much the migration of a compaction may block."""
    return migrate.MIGRATE_SYNC_LIGHT if sync else migrate.MIGRATE_ASYNC


def _compact_memory_sync() -> bool:
    """Say whether the compaction that an administrator asks for may wait."""
    return True


# -- deferral ----------------------------------------------------------------------------------------------------


def defer_compaction(zone: Zone) -> None:
    """Note that a compaction failed: from now on twice as many allocations go without.

    No lock: an update that is lost among others is one failure less.  Source: include/linux/compaction.h, v3.3.
    """
    zone.compact_considered = 0
    zone.compact_defer_shift = min(zone.compact_defer_shift + 1, COMPACT_MAX_DEFER_SHIFT)


def compaction_deferred(zone: Zone) -> bool:
    """Say whether this allocation should go without compaction, and count it.  Source: compaction.h, v3.3."""
    defer_limit = 1 << zone.compact_defer_shift
    considered = min(zone.compact_considered + 1, defer_limit)
    zone.compact_considered = considered
    deferred = considered < defer_limit
    if deferred:
        rt.reached("compact: deferred")
    return deferred


def compaction_defer_reset(zone: Zone) -> None:
    """Forget about failures: an allocation succeeded after a compaction.

    Part of __alloc_pages_direct_compact in v3.3, a function of its own since v3.8.  Source: mm/page_alloc.c, v3.3.
    """
    zone.compact_considered = 0
    zone.compact_defer_shift = 0


# -- the free scanner --------------------------------------------------------------------------------------------


def suitable_migration_target(page: Page) -> bool:
    """Say whether targets may be taken from the pageblock of `page`, its first frame.

    Asked without zone.lock, as a hint, and again under it.  Source: mm/compaction.c, v3.3.
    """
    migratetype = mmzone.get_pageblock_migratetype(page)
    if migratetype in (MigrateType.MIGRATE_ISOLATE, MigrateType.MIGRATE_RESERVE):
        return False
    # A pageblock that is free as a whole spoils nothing, whatever it was for.
    if page_alloc.PageBuddy(page) and page_alloc.page_order(page) >= mmzone.page_machine(page).pageblock_order:
        return True
    return migratetype == MigrateType.MIGRATE_MOVABLE


def isolate_freepages_block(zone: Zone, blockpfn: int, freelist: list[Page]) -> int:
    """Take the free frames of one pageblock, as pages of order 0 with a reference "new".  Needs zone.lock.

    Returns how many.  A block whose loss would break the low watermark stays.  Source: mm/compaction.c, v3.3.
    """
    end_pfn = min(blockpfn + mmzone.pageblock_nr_pages(zone.machine), zone.zone_start_pfn + zone.spanned_pages)
    total_isolated = 0
    pfn = blockpfn
    while pfn < end_pfn:
        page = mmzone.pfn_to_page(zone.machine, pfn)
        pfn += 1
        if not page_alloc.PageBuddy(page):
            continue
        isolated = page_alloc.split_free_page(page)
        total_isolated += isolated
        for taken in range(pfn - 1, pfn - 1 + isolated):
            freelist.insert(0, mmzone.pfn_to_page(zone.machine, taken))
        if isolated:
            pfn += isolated - 1
    return total_isolated


def isolate_freepages(zone: Zone, cc: CompactControl) -> None:
    """Take free frames, pageblock by pageblock downwards, until there are as many as pages to be moved.

    Stops above the pageblock that is being emptied, and the next.  Takes zone.lock.  Source: mm/compaction.c, v3.3.
    """
    block = mmzone.pageblock_nr_pages(zone.machine)
    pfn = cc.free_pfn
    low_pfn = cc.migrate_pfn + block
    high_pfn = min(low_pfn, pfn)
    zone_end_pfn = zone.zone_start_pfn + zone.spanned_pages
    nr_freepages = cc.nr_freepages
    while pfn > low_pfn and cc.nr_migratepages > nr_freepages:
        if pfn < zone_end_pfn:
            isolated = _isolate_suitable_block(zone, pfn, cc)
            nr_freepages += isolated
            # Where the next scan begins: pages that were moved since may have left free frames behind it.
            if isolated:
                high_pfn = max(high_pfn, pfn)
        pfn -= block
    cc.free_pfn = high_pfn
    cc.nr_freepages = nr_freepages


def _isolate_suitable_block(zone: Zone, pfn: int, cc: CompactControl) -> int:
    """Take the free frames of the pageblock at `pfn`, if targets may come from it; returns how many."""
    page = mmzone.pfn_to_page(zone.machine, pfn)
    if not suitable_migration_target(page):
        rt.reached("compact: block not suitable")
        return 0
    isolated = 0
    rt.spin_lock_irqsave(zone.lock)
    if suitable_migration_target(page):
        isolated = isolate_freepages_block(zone, pfn, cc.freepages)
    else:
        rt.reached("compact: block not suitable any more")
    rt.spin_unlock_irqrestore(zone.lock)
    return isolated


def release_freepages(freelist: list[Page]) -> int:
    """Give free frames that were not used back to the allocator; returns how many.  Source: mm/compaction.c, v3.3."""
    count = 0
    while freelist:
        page = freelist.pop(0)
        rt.reached("compact: free frame given back")
        page_alloc.__free_page(page)
        count += 1
    return count


def compaction_alloc(migratepage: Page, data: object) -> Page | None:
    """Return a target for `migratepage`, with a reference "new": the get_new_page of a compaction.

    Source: mm/compaction.c, v3.3.
    """
    assert isinstance(data, CompactControl)
    cc = data
    if not cc.freepages:
        isolate_freepages(cc.zone, cc)
        if not cc.freepages:
            rt.reached("compact: no target")
            return None
    cc.nr_freepages -= 1
    return cc.freepages.pop(0)


# -- the migrate scanner -----------------------------------------------------------------------------------------


def too_many_isolated(zone: Zone) -> bool:
    """Say whether more than half of the LRU is isolated already.  Reclaim has a rule of its own.

    Source: mm/compaction.c, v3.3.
    """
    inactive = mmzone.zone_page_state(zone, "NR_INACTIVE")
    active = mmzone.zone_page_state(zone, "NR_ACTIVE")
    isolated = mmzone.zone_page_state(zone, "NR_ISOLATED")
    if zone.anon is not None:
        inactive += mmzone.zone_page_state(zone, "NR_INACTIVE_ANON")
        active += mmzone.zone_page_state(zone, "NR_ACTIVE_ANON")
        isolated += mmzone.zone_page_state(zone, "NR_ISOLATED_ANON")
    return isolated > (inactive + active) // 2


def acct_isolated(zone: Zone, cc: CompactControl) -> None:
    """Count the pages that were isolated, by kind.  Needs lru_lock.  Source: mm/compaction.c, v3.3."""
    for item, pages in Counter(map(swap._isolated_statistic, cc.migratepages)).items():
        mmzone.mod_zone_page_state(zone, item, pages)


def isolate_migratepages(zone: Zone, cc: CompactControl) -> IsolateMigrate:
    """Take pages of the next pageblock off the LRU: ISOLATE_SUCCESS, even if there was none.

    ISOLATE_NONE: the pageblock reaches past the free scanner.  ISOLATE_ABORT: asynchronous, and too many pages are
    isolated; else it sleeps for that.  Takes lru_lock.  Source: mm/compaction.c, v3.3.
    """
    block = mmzone.pageblock_nr_pages(zone.machine)
    low_pfn = max(cc.migrate_pfn, zone.zone_start_pfn)
    end_pfn = (low_pfn + block + block - 1) // block * block
    if end_pfn > cc.free_pfn:
        cc.migrate_pfn = end_pfn
        return ISOLATE_NONE
    for _ in rt.until_changed():
        if not too_many_isolated(zone):
            break
        if not cc.sync:
            rt.reached("compact: too many isolated, gave up")
            return ISOLATE_ABORT
        rt.reached("compact: too many isolated, waited")
        backing_dev.congestion_wait(zone.machine, backing_dev.CONGESTION_TICKS)
    rt.cond_resched()
    rt.spin_lock_irq(zone.lru_lock)
    cc.migrate_pfn = _scan_pageblocks(zone, cc, low_pfn, end_pfn)
    acct_isolated(zone, cc)
    rt.spin_unlock_irq(zone.lru_lock)
    return ISOLATE_SUCCESS


def _scan_pageblocks(zone: Zone, cc: CompactControl, low_pfn: int, end_pfn: int) -> int:
    """Isolate the pages of a range; returns where to go on.  Needs lru_lock, and lets go of it now and then."""
    block = mmzone.pageblock_nr_pages(zone.machine)
    cluster = zone.machine.swap_cluster_max
    last_pageblock_nr = -1
    rt.note("compact-scan", low_pfn, end_pfn)
    while low_pfn < end_pfn:
        # Interrupts may have waited for it, and other users.
        if (low_pfn + 1) % cluster == 0:
            rt.reached("compact: lru_lock dropped")
            rt.spin_unlock_irq(zone.lru_lock)
            rt.cond_resched()
            rt.spin_lock_irq(zone.lru_lock)
        page = mmzone.pfn_to_page(zone.machine, low_pfn)
        pageblock_nr = low_pfn // block
        low_pfn += 1
        if page_alloc.PageBuddy(page):
            continue
        if last_pageblock_nr != pageblock_nr and not _pageblock_will_do(cc, page):
            rt.reached("compact: pageblock not movable")
            low_pfn = (pageblock_nr + 1) * block
            continue
        last_pageblock_nr = pageblock_nr
        if _isolate_page(zone, cc, page) and cc.nr_migratepages == cluster:
            rt.reached("compact: cluster full")
            break
    return low_pfn


def _pageblock_will_do(cc: CompactControl, page: Page) -> bool:
    """Say whether to look for pages in the pageblock of `page`: asynchronously only where most can be moved."""
    return cc.sync or mmzone.get_pageblock_migratetype(page) == MigrateType.MIGRATE_MOVABLE


def _isolate_page(zone: Zone, cc: CompactControl, page: Page) -> bool:
    """Take a page off the LRU, if it is there and may be.  Needs lru_lock, under which PG_lru says whose it is."""
    if not page_flags.PageLRU(page):
        rt.reached("compact: page not on the LRU")
        return False
    if vmscan.__isolate_lru_page(page, _isolate_mode(cc)) != 0:
        rt.reached("compact: page refused")
        return False
    swap.del_page_from_lru_list(zone, page, swap.page_lru(page))
    rt.note("compact-isolate", page)
    cc.migratepages.insert(0, page)
    cc.nr_migratepages += 1
    return True


# -- when to begin and when to end -------------------------------------------------------------------------------


def fragmentation_index(zone: Zone, order: int) -> int:
    """Say why an allocation would fail: towards 0 for want of memory, towards 1000 because it is scattered.

    -1000: it would not fail.  Looks without zone.lock.  Source: mm/vmstat.c, v3.3.
    """
    free_pages = free_blocks_total = free_blocks_suitable = 0
    for number, area in enumerate(zone.free_area):
        blocks = area.nr_free
        free_blocks_total += blocks
        free_pages += blocks << number
        if number >= order:
            free_blocks_suitable += blocks << (number - order)
    if not free_blocks_total:
        return 0
    if free_blocks_suitable:
        return -1000
    requested = 1 << order
    return 1000 - (1000 + free_pages * 1000 // requested) // free_blocks_total


def compaction_suitable(zone: Zone, order: int) -> CompactResult:
    """Say whether a compaction could help an allocation: COMPACT_CONTINUE; SKIPPED: no; PARTIAL: no need.

    Source: mm/compaction.c, v3.3.
    """
    if order == WHOLE_ZONE:
        return COMPACT_CONTINUE
    # Twice the order: pages are in two places while they are copied.
    watermark = mmzone.low_wmark_pages(zone) + (2 << order)
    if not page_alloc.zone_watermark_ok(zone, 0, watermark):
        rt.reached("compact: not enough free memory")
        return COMPACT_SKIPPED
    fragindex = fragmentation_index(zone, order)
    if 0 <= fragindex <= SYSCTL_EXTFRAG_THRESHOLD:
        rt.reached("compact: not fragmented enough")
        return COMPACT_SKIPPED
    if fragindex == -1000 and page_alloc.zone_watermark_ok(zone, order, watermark):
        rt.reached("compact: nothing to do")
        return COMPACT_PARTIAL
    return COMPACT_CONTINUE


def compact_finished(zone: Zone, cc: CompactControl) -> CompactResult:
    """Say whether to go on: COMPACT_CONTINUE; COMPLETE: the scanners met; PARTIAL: a large block is free.

    Looks without zone.lock.  Source: mm/compaction.c, v3.3.
    """
    if cc.free_pfn <= cc.migrate_pfn:
        rt.reached("compact: scanners met")
        return COMPACT_COMPLETE
    if cc.order == WHOLE_ZONE:
        return COMPACT_CONTINUE
    watermark = mmzone.low_wmark_pages(zone) + (1 << cc.order)
    if not page_alloc.zone_watermark_ok(zone, cc.order, watermark):
        return COMPACT_CONTINUE
    for number, area in enumerate(zone.free_area):
        if number < cc.order:
            continue
        whole = number >= zone.machine.pageblock_order and area.nr_free
        if area.free_list[cc.migratetype].pages or whole:
            rt.reached("compact: large block made")
            return COMPACT_PARTIAL
    return COMPACT_CONTINUE


# -- one compaction ----------------------------------------------------------------------------------------------


def update_nr_listpages(cc: CompactControl) -> None:
    """Count what a migration left on the two lists.  Source: mm/compaction.c, v3.3."""
    cc.nr_migratepages = len(cc.migratepages)
    cc.nr_freepages = len(cc.freepages)


def compact_zone(zone: Zone, cc: CompactControl) -> CompactResult:
    """Compact a zone until `compact_finished` says so; returns how it ended.  Sleeps only if cc.sync.

    A page that refuses for good is counted as moved, as in the kernel: only those that are left on the list count as
    failed.  Source: mm/compaction.c, v3.3.
    """
    ret = compaction_suitable(zone, cc.order)
    if ret in (COMPACT_PARTIAL, COMPACT_SKIPPED):
        return ret
    block = mmzone.pageblock_nr_pages(zone.machine)
    cc.migrate_pfn = zone.zone_start_pfn
    cc.free_pfn = (cc.migrate_pfn + zone.spanned_pages) // block * block
    rt.note("compact-begin", cc.order, cc.sync, block)
    migrate.migrate_prep_local(zone.machine)
    while True:
        ret = compact_finished(zone, cc)
        if ret != COMPACT_CONTINUE:
            break
        isolated = isolate_migratepages(zone, cc)
        if isolated == ISOLATE_ABORT:
            ret = COMPACT_PARTIAL
            break
        if isolated == ISOLATE_SUCCESS:
            _migrate_isolated(zone, cc)
    cc.nr_freepages -= release_freepages(cc.freepages)
    rt.bug_on(cc.nr_freepages != 0, "compact_zone: free frames are lost", left=cc.nr_freepages)
    rt.note("compact-end", cc.order, ret.name)
    return ret


def _migrate_isolated(zone: Zone, cc: CompactControl) -> None:
    """Move what was isolated, count it, and put back what stays."""
    nr_migrate = cc.nr_migratepages
    err = migrate.migrate_pages(
        cc.migratepages, compaction_alloc, cc, False, _migrate_mode(cc.sync), zone.machine.migrate_passes
    )
    update_nr_listpages(cc)
    nr_remaining = cc.nr_migratepages
    mmzone.count_vm_event(zone.machine, "COMPACTBLOCKS")
    mmzone.count_vm_event(zone.machine, "COMPACTPAGES", nr_migrate - nr_remaining)
    if nr_remaining:
        mmzone.count_vm_event(zone.machine, "COMPACTPAGEFAILED", nr_remaining)
        rt.reached("compact: page put back")
    if err:
        migrate.putback_lru_pages(cc.migratepages)
        cc.nr_migratepages = 0


def compact_zone_order(zone: Zone, order: int, gfp_mask: int, sync: bool) -> CompactResult:
    """Compact a zone for an allocation of 1 << order frames.  Source: mm/compaction.c, v3.3."""
    cc = CompactControl(zone, order, page_alloc.allocflags_to_migratetype(zone.machine, gfp_mask), sync)
    return compact_zone(zone, cc)


def try_to_compact_pages(zone: Zone, order: int, gfp_mask: int, sync: bool) -> CompactResult:
    """Compact memory for an allocation, if it may: not from within a file system or from under an I/O.

    Args: sync: it may wait.  Source: mm/compaction.c, v3.3.
    """
    if not order or not gfp_mask & gfp.__GFP_FS or not gfp_mask & gfp.__GFP_IO:
        return COMPACT_SKIPPED
    mmzone.count_vm_event(zone.machine, "COMPACTSTALL")
    return compact_zone_order(zone, order, gfp_mask, sync)


def compact_memory(machine: Machine) -> None:
    """Compact all of memory: what a write to /proc/sys/vm/compact_memory does.  Sleeps.

    Source: mm/compaction.c (compact_node, sysctl_compaction_handler), v3.3.
    """
    swap.lru_add_drain_all(machine)
    cc = CompactControl(machine.zone, WHOLE_ZONE, sync=_compact_memory_sync())
    compact_zone(machine.zone, cc)
    rt.bug_on(bool(cc.freepages), "compact_memory: free frames are left")
    rt.bug_on(bool(cc.migratepages), "compact_memory: isolated pages are left")
