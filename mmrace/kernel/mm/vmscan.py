"""Reclaim: isolation from the LRU, putback, and the shrinking of a list of pages.

Invariant: PG_lru is cleared under lru_lock by exactly one isolator, after it took a reference; a page leaves the page
cache only through the freeze of exactly the references that reclaim accounts for.
Anonymous pages are never looked at: there is no swap, and without swap 3.3 scans their lists for nothing else either.
Not modelled: swap, scan balance, memory cgroups, fatal signals, and congested device queues.  The
walk through the zone, and direct reclaim as a whole, are in `vmscan_zone`.  This is a kernel with CONFIG_COMPACTION:
reclaim for an order above 0 is reclaim/compaction, and never lumpy reclaim, which took the neighbours of a page along.
Both have the second, synchronous pass.
Source: mm/vmscan.c, v3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, fs
from mmrace.kernel.mm import backing_dev, filemap, mm, mmzone, page_alloc, page_flags, page_writeback, rmap, swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import LruList, Machine, Zone

MARKS = (
    ("isolate: not on the LRU", "a page could not be isolated because PG_lru was clear"),
    ("isolate: under writeback", "an asynchronous or clean-only isolation refused a page under writeback"),
    ("isolate: dirty", "an isolation refused a dirty page for its mode"),
    ("isolate: page being freed", "a page on the LRU had lost its last reference"),
    ("putback: unevictable", "a page went back to the unevictable list"),
    ("putback: evictable again", "a page became evictable while it was put on the unevictable list"),
    ("putback: last reference", "the isolation's was the last reference: the page left the LRU again and was freed"),
    (
        "reclaim: too many isolated",
        "direct reclaim waited, since more pages were isolated than were on the inactive list",
    ),
    ("strip: page lock busy", "a page's buffers stayed, though there are too many, since its lock was held"),
    ("reclaim: page lock busy", "reclaim skipped a locked page"),
    ("reclaim: under writeback", "reclaim skipped a page under writeback"),
    ("reclaim: waited for writeback", "the second pass of direct reclaim slept for writeback, with the page locked"),
    ("reclaim: dirty", "reclaim kept a dirty page"),
    ("reclaim: paged out", "reclaim wrote a dirty page"),
    ("reclaim: pageout refused", "a dirty page could not be written by reclaim"),
    ("reclaim: releasepage failed", "a page kept its private data and was activated"),
    ("reclaim: freed by another", "an orphan's last other reference went away while reclaim had it"),
    ("reclaim: freeze lost", "the page had references that reclaim does not account for"),
    ("reclaim: dirtied before the freeze", "a page became dirty just before its references were frozen"),
    ("reclaim: freed", "a page was reclaimed"),
    ("reclaim: used through a pte, kept", "a page that a pte was used for stays for another round"),
    ("reclaim: used through ptes, active", "a page that ptes were used for again became active"),
)


class IsolateMode(IntFlag):
    """What an isolation takes.  Source: include/linux/mmzone.h, v3.3."""

    ISOLATE_INACTIVE = 1
    ISOLATE_ACTIVE = 2
    ISOLATE_CLEAN = 4
    ISOLATE_UNMAPPED = 8
    ISOLATE_ASYNC_MIGRATE = 16


ISOLATE_INACTIVE = IsolateMode.ISOLATE_INACTIVE
ISOLATE_ACTIVE = IsolateMode.ISOLATE_ACTIVE
ISOLATE_CLEAN = IsolateMode.ISOLATE_CLEAN
ISOLATE_UNMAPPED = IsolateMode.ISOLATE_UNMAPPED
ISOLATE_ASYNC_MIGRATE = IsolateMode.ISOLATE_ASYNC_MIGRATE

# How hard reclaim tries: from DEF_PRIORITY down to 0. Source: include/linux/mmzone.h, v3.3.
DEF_PRIORITY = 12


class ReclaimMode(IntFlag):
    """Whether a reclaim is after one page or many, and whether it waits.  Source: mm/vmscan.c, v3.3."""

    RECLAIM_MODE_SINGLE = 1
    RECLAIM_MODE_ASYNC = 2
    RECLAIM_MODE_SYNC = 4
    RECLAIM_MODE_COMPACTION = 16


_SINGLE = ReclaimMode.RECLAIM_MODE_SINGLE | ReclaimMode.RECLAIM_MODE_ASYNC


@dataclass(slots=True)
class ScanControl:
    """What one reclaim may do, and how far it got.  Belongs to one task.  Source: mm/vmscan.c, v3.3.

    order: of the allocation that it works for.  may_writepage, may_unmap: off for zone_reclaim, and the first in laptop
    mode.  may_enter_fs: the allocation's mask has __GFP_FS; may_repeat: it has __GFP_REPEAT.  buffer_heads_over_limit
    stands for the kernel's global, costly_order for PAGE_ALLOC_COSTLY_ORDER.
    """

    order: int = 0
    costly_order: int = mmzone.PAGE_ALLOC_COSTLY_ORDER
    nr_to_reclaim: int = mmzone.SWAP_CLUSTER_MAX
    may_repeat: bool = False
    priority: int = DEF_PRIORITY
    may_writepage: bool = True
    may_unmap: bool = True
    may_enter_fs: bool = True
    buffer_heads_over_limit: bool = False
    reclaim_mode: ReclaimMode = _SINGLE
    nr_scanned: int = 0
    nr_reclaimed: int = 0


class PageReferences(IntEnum):
    """What the use of a page means for reclaim.  RECLAIM_CLEAN: not if it is dirty.  Source: mm/vmscan.c, v3.3."""

    PAGEREF_RECLAIM = 0
    PAGEREF_RECLAIM_CLEAN = 1
    PAGEREF_KEEP = 2
    PAGEREF_ACTIVATE = 3


class Pageout(IntEnum):
    """What `pageout` made of a page.  Source: mm/vmscan.c, v3.3."""

    PAGE_KEEP = 0
    PAGE_ACTIVATE = 1
    PAGE_SUCCESS = 2
    PAGE_CLEAN = 3


# -- isolation ---------------------------------------------------------------------------------------------------


def __isolate_lru_page(page: Page, mode: IsolateMode) -> int:
    """Try to take a page off the LRU for `mode`: 0, -EINVAL or -EBUSY.  Needs lru_lock; the caller unlinks it.

    The dirty and writeback tests are peeks without the page lock.  The reference "isolation" is taken before PG_lru is
    cleared: the release of a page relies on that order.  Source: mm/vmscan.c, v3.3.
    """
    if not page_flags.PageLRU(page):
        rt.reached("isolate: not on the LRU")
        return -Errno.EINVAL
    both = ISOLATE_ACTIVE | ISOLATE_INACTIVE
    if mode & both != both and page_flags.PageActive(page) != bool(mode & ISOLATE_ACTIVE):
        return -Errno.EINVAL
    if page_flags.PageUnevictable(page):
        return -Errno.EINVAL
    if mode & (ISOLATE_CLEAN | ISOLATE_ASYNC_MIGRATE):
        if page_flags.PageWriteback(page):
            rt.reached("isolate: under writeback")
            return -Errno.EBUSY
        if page_flags.PageDirty(page) and not _dirty_page_will_do(page, mode):
            rt.reached("isolate: dirty")
            return -Errno.EBUSY
    if mode & ISOLATE_UNMAPPED and mm.page_mapped(page):
        return -Errno.EBUSY
    if not mm.get_page_unless_zero(page, "isolation"):
        rt.reached("isolate: page being freed")
        return -Errno.EBUSY
    page_flags.ClearPageLRU(page)
    return 0


def _dirty_page_will_do(page: Page, mode: IsolateMode) -> bool:
    """Say whether a dirty page can be migrated without writing it: only its mapping's op knows how."""
    if mode & ISOLATE_CLEAN:
        return False
    mapping = mm.page_mapping(page)
    return mapping is None or mapping.a_ops.migratepage is not None


def isolate_lru_pages(zone: Zone, lru: LruList, nr_to_scan: int, mode: IsolateMode) -> list[Page]:
    """Isolate up to `nr_to_scan` pages from the tail of a list; busy ones go to its head.  Needs lru_lock.

    Source: mm/vmscan.c, v3.3.
    """
    taken: list[Page] = []
    pages = zone.active_list if lru == mmzone.LRU_ACTIVE_FILE else zone.inactive_list
    for page in reversed(pages[-nr_to_scan:]):
        ret = __isolate_lru_page(page, mode)
        if ret == 0:
            swap.del_page_from_lru_list(zone, page, lru)
            taken.append(page)
        else:
            rt.bug_on(ret != -Errno.EBUSY, "isolate_lru_pages: a page on the wrong list", page=page, lru=lru)
            swap.del_page_from_lru_list(zone, page, lru)
            swap.add_page_to_lru_list(zone, page, lru)
    zone.account("NR_ISOLATED", len(taken))
    return taken


def isolate_lru_page(page: Page) -> int:
    """Take a page that the caller holds a reference to off the LRU: 0 or -EBUSY.  Takes "isolation".

    Source: mm/vmscan.c, v3.3.
    """
    rt.bug_on(mm.page_count(page) == 0, "isolate_lru_page: page has no reference", page=page)
    ret = -Errno.EBUSY
    if page_flags.PageLRU(page):
        zone = page.zone
        rt.spin_lock_irq(zone.lru_lock)
        if page_flags.PageLRU(page):
            ret = 0
            mm.get_page(page, "isolation")
            page_flags.ClearPageLRU(page)
            swap.del_page_from_lru_list(zone, page, swap.page_lru(page))
        rt.spin_unlock_irq(zone.lru_lock)
    if ret:
        rt.reached("isolate: not on the LRU")
    return ret


def page_evictable(page: Page) -> bool:
    """Say whether the page may be reclaimed at all.  Source: mm/vmscan.c, v3.3."""
    return not page_flags.PageMlocked(page)


def putback_lru_page(page: Page) -> None:
    """Give an isolated page back to the LRU and drop "isolation"; the last reference frees the page.

    An evictable page goes into a per-CPU pagevec, with a reference of its own; PG_lru comes when that is flushed.
    Source: mm/vmscan.c, v3.3.
    """
    rt.bug_on(page_flags.PageLRU(page), "putback_lru_page: page is on the LRU", page=page)
    was_active = page_flags.TestClearPageActive(page)
    while True:
        page_flags.ClearPageUnevictable(page)
        if page_evictable(page):
            base = swap.page_lru_base_type(page)
            swap.lru_cache_add_lru(page, swap._active(base) if was_active else base)
            break
        rt.reached("putback: unevictable")
        add_page_to_unevictable_list(page)
        # Whoever made it evictable meanwhile may have missed it on our list: look again.
        if not page_evictable(page) or isolate_lru_page(page) != 0:
            break
        rt.reached("putback: evictable again")
        swap.put_page(page, "isolation")
    swap.put_page(page, "isolation")


def add_page_to_unevictable_list(page: Page) -> None:
    """Put a page straight on the unevictable list.  Source: mm/swap.c, v3.3."""
    zone = page.zone
    rt.spin_lock_irq(zone.lru_lock)
    page_flags.SetPageUnevictable(page)
    page_flags.SetPageLRU(page)
    swap.add_page_to_lru_list(zone, page, mmzone.LRU_UNEVICTABLE)
    rt.spin_unlock_irq(zone.lru_lock)


# -- one page ----------------------------------------------------------------------------------------------------


def is_page_cache_freeable(page: Page) -> bool:
    """Say whether only the slot, the isolator and private data hold the page.  Source: mm/vmscan.c, v3.3."""
    return mm.page_count(page) - page_flags.page_has_private(page) == 2


def handle_write_error(mapping: AddressSpace, page: Page, error: int) -> None:
    """Remember a reclaim write's error in the mapping, if the page still is in it.  Sleeps.  Source: vmscan.c, v3.3."""
    filemap.lock_page(page)
    if mm.page_mapping(page) is mapping:
        filemap.mapping_set_error(mapping, error)
    filemap.unlock_page(page)


def pageout(page: Page, mapping: AddressSpace | None) -> Pageout:
    """Write a locked dirty page for reclaim.  PAGE_SUCCESS: ->writepage took it and unlocked it.

    Source: mm/vmscan.c, v3.3.
    """
    if not is_page_cache_freeable(page):
        return Pageout.PAGE_KEEP
    if mapping is None:
        # Some orphans of truncation are dirty in name only: their buffers are clean.
        if page_flags.page_has_private(page) and buffer.try_to_free_buffers(page):
            page_flags.ClearPageDirty(page)
            return Pageout.PAGE_CLEAN
        return Pageout.PAGE_KEEP
    writepage = mapping.a_ops.writepage
    if writepage is None:
        return Pageout.PAGE_ACTIVATE
    if not page_writeback.clear_page_dirty_for_io(page):
        return Pageout.PAGE_CLEAN
    wbc = page_writeback.WritebackControl(
        sync_mode=page_writeback.WB_SYNC_NONE, nr_to_write=mmzone.PAGEVEC_SIZE, for_reclaim=True
    )
    page_flags.SetPageReclaim(page)
    res = writepage(page, wbc)
    if res < 0:
        handle_write_error(mapping, page, res)
    if res == fs.AOP_WRITEPAGE_ACTIVATE:
        page_flags.ClearPageReclaim(page)
        return Pageout.PAGE_ACTIVATE
    if not page_flags.PageWriteback(page):
        # The write is over already, or there was none.
        page_flags.ClearPageReclaim(page)
    rt.reached("reclaim: paged out")
    return Pageout.PAGE_SUCCESS


def __remove_mapping(mapping: AddressSpace, page: Page) -> bool:
    """Remove a locked, clean, unused page from its mapping; on success its count is 0 and the caller frees it.

    Freezes exactly the slot's and the isolator's references: private data must be gone.  The same idiom as migration's,
    so the two can never both win.  Source: mm/vmscan.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "__remove_mapping: page is not locked", page=page)
    rt.bug_on(mapping is not mm.page_mapping(page), "__remove_mapping: another mapping", page=page)
    rt.spin_lock_irq(mapping.tree_lock)
    if not filemap.page_freeze_refs(page, 2):
        rt.reached("reclaim: freeze lost")
        rt.spin_unlock_irq(mapping.tree_lock)
        return False
    # A dirty bit set by a user who has put the page since: with the count frozen no further one can come.
    if page_flags.PageDirty(page):
        rt.reached("reclaim: dirtied before the freeze")
        filemap.page_unfreeze_refs(page, 2)
        rt.spin_unlock_irq(mapping.tree_lock)
        return False
    filemap.__delete_from_page_cache(page)
    page._count.retire("slot", "isolation")
    rt.spin_unlock_irq(mapping.tree_lock)
    return True


# -- a list of pages ---------------------------------------------------------------------------------------------


def set_reclaim_mode(sc: ScanControl, sync: bool) -> None:
    """Say whether this pass is for one page, or for a large order and then may wait.  Source: mm/vmscan.c, v3.3."""
    if sc.order > sc.costly_order or (sc.order and sc.priority < DEF_PRIORITY - 2):
        waits = ReclaimMode.RECLAIM_MODE_SYNC if sync else ReclaimMode.RECLAIM_MODE_ASYNC
        sc.reclaim_mode = ReclaimMode.RECLAIM_MODE_COMPACTION | waits
    else:
        sc.reclaim_mode = _SINGLE


def reset_reclaim_mode(sc: ScanControl) -> None:
    """Give up on a large order: a page stays that no waiting will free.  Source: mm/vmscan.c, v3.3."""
    sc.reclaim_mode = _SINGLE


class _Fate(IntEnum):
    """What `_shrink_page` made of a page: the labels of shrink_page_list."""

    FREE_IT = 0
    GONE = 1
    KEEP_LUMPY = 2
    KEEP = 3
    KEEP_LOCKED = 4
    ACTIVATE_LOCKED = 5
    CULL_MLOCKED = 6


def shrink_page_list(page_list: list[Page], sc: ScanControl) -> list[Page]:
    """Try to free isolated pages; returns those that stay, for the caller to put back.  Adds to sc.nr_reclaimed.

    A page that stays for another reason than its writeback ends the wait for a large order: sc.reclaim_mode.
    Source: mm/vmscan.c, v3.3.
    """
    free_pages: list[Page] = []
    ret_pages: list[Page] = []
    for page in reversed(page_list):
        rt.cond_resched()
        if not filemap.trylock_page(page):
            rt.reached("reclaim: page lock busy")
            fate, reason = _Fate.KEEP, "page-lock"
        else:
            fate, reason = _shrink_page(page, sc)
        rt.note("reclaim", page, "freed" if fate <= _Fate.GONE else "kept", reason)
        if fate <= _Fate.GONE:
            rt.reached("reclaim: freed")
            sc.nr_reclaimed += 1
            if fate == _Fate.FREE_IT:
                free_pages.append(page)
            continue
        if fate != _Fate.KEEP_LUMPY:
            reset_reclaim_mode(sc)
        if fate == _Fate.CULL_MLOCKED:
            filemap.unlock_page(page)
            putback_lru_page(page)
            continue
        if fate == _Fate.ACTIVATE_LOCKED:
            rt.bug_on(page_flags.PageActive(page), "shrink_page_list: page is active", page=page)
            page_flags.SetPageActive(page)
        if fate >= _Fate.KEEP_LOCKED:
            filemap.unlock_page(page)
        ret_pages.insert(0, page)
        rt.bug_on(page_flags.PageLRU(page), "shrink_page_list: isolated page is on the LRU", page=page)
    page_alloc.free_hot_cold_page_list(free_pages)
    return ret_pages


def _shrink_page(page: Page, sc: ScanControl) -> tuple[_Fate, str]:
    """Reclaim one locked, isolated page as far as it goes: the body of shrink_page_list.  Returns (fate, reason).

    FREE_IT: count 0 and unlocked, the caller frees it; GONE: freed by somebody else; KEEP, KEEP_LUMPY: not locked any
    more.  Sleeps for writeback in the synchronous pass, with the page locked.
    """
    rt.bug_on(page_flags.PageActive(page), "shrink_page_list: isolated page is active", page=page)
    sc.nr_scanned += 1
    if not page_evictable(page):
        return _Fate.CULL_MLOCKED, "unevictable"
    if not sc.may_unmap and mm.page_mapped(page):
        return _Fate.KEEP_LOCKED, "mapped"
    if page_flags.PageWriteback(page):
        if not (sc.reclaim_mode & ReclaimMode.RECLAIM_MODE_SYNC and sc.may_enter_fs):
            rt.reached("reclaim: under writeback")
            filemap.unlock_page(page)
            return _Fate.KEEP_LUMPY, "writeback"
        rt.reached("reclaim: waited for writeback")
        filemap.wait_on_page_writeback(page)
    references = page_check_references(page)
    if references == PageReferences.PAGEREF_ACTIVATE:
        return _Fate.ACTIVATE_LOCKED, "mapped"
    if references == PageReferences.PAGEREF_KEEP:
        return _Fate.KEEP_LOCKED, "mapped"
    referenced = references == PageReferences.PAGEREF_RECLAIM_CLEAN
    mapping = mm.page_mapping(page)
    mapped = mm.page_mapped(page) and mapping is not None
    if mapped:
        match rmap.try_to_unmap(page, rmap.TTU_UNMAP):
            case rmap.SwapResult.SWAP_FAIL:
                return _Fate.ACTIVATE_LOCKED, "mapped"
            case rmap.SwapResult.SWAP_AGAIN:
                return _Fate.KEEP_LOCKED, "mapped"
    if page_flags.PageDirty(page):
        kept = _shrink_dirty_page(page, mapping, referenced, sc)
        if kept is not None:
            return kept
        mapping = mm.page_mapping(page)
    return _shrink_clean_page(page, mapping)


def page_check_references(page: Page) -> PageReferences:
    """Say what the use of a locked page since the last look means for it.  Sleeps on i_mmap_mutex if it is mapped.

    A page that was used through one pte gets another round; through two, or for the second time, it is active.
    Source: mm/vmscan.c, v3.3.
    """
    referenced_ptes = rmap.page_referenced(page, True)
    referenced_page = page_flags.TestClearPageReferenced(page)
    if referenced_ptes:
        page_flags.SetPageReferenced(page)
        if referenced_page or referenced_ptes > 1:
            rt.reached("reclaim: used through ptes, active")
            return PageReferences.PAGEREF_ACTIVATE
        rt.reached("reclaim: used through a pte, kept")
        return PageReferences.PAGEREF_KEEP
    return PageReferences.PAGEREF_RECLAIM_CLEAN if referenced_page else PageReferences.PAGEREF_RECLAIM


def _left_to_flusher(page: Page, sc: ScanControl) -> bool:
    """Say whether reclaim leaves a dirty page to the flusher: only kswapd under pressure writes pages of files.

    The flusher is to find it, and the end of its write to rotate it.
    """
    kswapd = bool(rt.current().pf & mmzone.PF_KSWAPD)
    return swap.page_is_file_cache(page) and (not kswapd or sc.priority >= DEF_PRIORITY - 2)


def _shrink_dirty_page(
    page: Page, mapping: AddressSpace | None, referenced: bool, sc: ScanControl
) -> tuple[_Fate, str] | None:
    """Write a dirty page if this reclaimer may; returns (fate, reason), or None: it is clean now and locked."""
    if _left_to_flusher(page, sc):
        rt.reached("reclaim: dirty")
        page_flags.SetPageReclaim(page)
        return _Fate.KEEP_LOCKED, "deferred"
    if referenced or not sc.may_enter_fs or not sc.may_writepage:
        return _Fate.KEEP_LOCKED, "dirty"
    match pageout(page, mapping):
        case Pageout.PAGE_KEEP:
            rt.reached("reclaim: pageout refused")
            return _Fate.KEEP_LOCKED, "dirty"
        case Pageout.PAGE_ACTIVATE:
            rt.reached("reclaim: pageout refused")
            return _Fate.ACTIVATE_LOCKED, "dirty"
        case Pageout.PAGE_SUCCESS:
            if page_flags.PageWriteback(page):
                return _Fate.KEEP_LUMPY, "dirty"
            if page_flags.PageDirty(page):
                return _Fate.KEEP, "dirty"
            # A synchronous write: the page may be clean and free by now, but is not ours.
            if not filemap.trylock_page(page):
                rt.reached("reclaim: page lock busy")
                return _Fate.KEEP, "dirty"
            if page_flags.PageDirty(page) or page_flags.PageWriteback(page):
                return _Fate.KEEP_LOCKED, "dirty"
    return None


def _shrink_clean_page(page: Page, mapping: AddressSpace | None) -> tuple[_Fate, str]:
    """Strip a clean, locked page and remove it from the cache."""
    if page_flags.page_has_private(page):
        if not filemap.try_to_release_page(page):
            rt.reached("reclaim: releasepage failed")
            return _Fate.ACTIVATE_LOCKED, "releasepage"
        if mapping is None and mm.page_count(page) == 1:
            filemap.unlock_page(page)
            if mm.put_page_testzero(page, "isolation"):
                return _Fate.FREE_IT, "orphan"
            # Somebody looked at the page for a moment: that put frees it.
            rt.reached("reclaim: freed by another")
            return _Fate.GONE, "orphan"
    if mapping is None or not __remove_mapping(mapping, page):
        return _Fate.KEEP_LOCKED, "refcount"
    # Nobody can sleep on its lock: that would take a reference, and there is none.
    filemap.__clear_page_locked(page)
    return _Fate.FREE_IT, "clean"


# -- the lists of a zone -----------------------------------------------------------------------------------------


def should_reclaim_stall(nr_taken: int, nr_freed: int, sc: ScanControl) -> bool:
    """Say whether direct reclaim for a large order should go over its pages again and wait.

    Source: mm/vmscan.c, v3.3.
    """
    if rt.current().pf & mmzone.PF_KSWAPD or sc.reclaim_mode & ReclaimMode.RECLAIM_MODE_SINGLE:
        return False
    if nr_freed == nr_taken:
        return False
    return sc.priority <= (DEF_PRIORITY if sc.order > sc.costly_order else DEF_PRIORITY // 3)


def _isolate_mode_of(sc: ScanControl) -> IsolateMode:
    """Return what kind of page this reclaim can do anything with."""
    mode = IsolateMode(0)
    if not sc.may_unmap:
        mode |= ISOLATE_UNMAPPED
    if not sc.may_writepage:
        mode |= ISOLATE_CLEAN
    return mode


def too_many_isolated(zone: Zone) -> bool:
    """Say whether direct reclaim has more pages of the inactive list in hand than it left on it.

    False where nobody counts: the LRU pages of such a machine stand for many more.  Source: mm/vmscan.c, v3.3.
    """
    if not zone.counts or rt.current().pf & mmzone.PF_KSWAPD:
        return False
    inactive = mmzone.zone_page_state(zone, "NR_INACTIVE")
    return mmzone.zone_page_state(zone, "NR_ISOLATED") > inactive


def shrink_inactive_list(machine: Machine, nr_to_scan: int, sc: ScanControl) -> int:
    """Reclaim from the tail of the inactive list; returns how many pages were freed.

    Sleeps; for a large order for writeback too, with the page locked.  A task that is about to die waits for no others:
    left out.  Source: mm/vmscan.c, v3.3.
    """
    zone = machine.zone
    for _ in rt.until_changed():
        if not too_many_isolated(zone):
            break
        rt.reached("reclaim: too many isolated")
        backing_dev.congestion_wait(machine, backing_dev.CONGESTION_TICKS)
    set_reclaim_mode(sc, False)
    swap.lru_add_drain(machine)
    rt.spin_lock_irq(zone.lru_lock)
    isolate_mode = ISOLATE_INACTIVE | _isolate_mode_of(sc)
    page_list = isolate_lru_pages(zone, mmzone.LRU_INACTIVE_FILE, nr_to_scan, isolate_mode)
    rt.spin_unlock_irq(zone.lru_lock)
    nr_taken = len(page_list)
    if not nr_taken:
        return 0
    kswapd = rt.current().pf & mmzone.PF_KSWAPD
    mmzone.count_vm_event(machine, "PGSCAN_KSWAPD_NORMAL" if kswapd else "PGSCAN_DIRECT_NORMAL", nr_taken)
    before = sc.nr_reclaimed
    page_list.reverse()
    page_list = shrink_page_list(page_list, sc)
    if should_reclaim_stall(nr_taken, sc.nr_reclaimed - before, sc):
        set_reclaim_mode(sc, True)
        page_list = shrink_page_list(page_list, sc)
    if sc.nr_reclaimed > before:
        mmzone.count_vm_event(machine, "PGSTEAL_NORMAL", sc.nr_reclaimed - before)
    rt.spin_lock_irq(zone.lru_lock)
    pages_to_free = putback_inactive_pages(zone, page_list)
    zone.account("NR_ISOLATED", -nr_taken)
    rt.spin_unlock_irq(zone.lru_lock)
    page_alloc.free_hot_cold_page_list(pages_to_free)
    return sc.nr_reclaimed - before


def putback_inactive_pages(zone: Zone, page_list: list[Page]) -> list[Page]:
    """Put what reclaim kept straight back on the lists and drop "isolation"; returns the pages to free.

    Needs lru_lock, and drops it for an unevictable page.  The put comes under that lock, right after PG_lru: nobody
    isolates a page that reclaim still holds.  Source: mm/vmscan.c, v3.3.
    """
    pages_to_free: list[Page] = []
    for page in reversed(page_list):
        rt.bug_on(page_flags.PageLRU(page), "putback_inactive_pages: page is on the LRU", page=page)
        if not page_evictable(page):
            rt.spin_unlock_irq(zone.lru_lock)
            putback_lru_page(page)
            rt.spin_lock_irq(zone.lru_lock)
            continue
        page_flags.SetPageLRU(page)
        lru = swap.page_lru(page)
        swap.add_page_to_lru_list(zone, page, lru)
        _put_isolated(zone, page, lru, pages_to_free)
    return pages_to_free


def _put_isolated(zone: Zone, page: Page, lru: LruList, pages_to_free: list[Page]) -> None:
    """Drop "isolation" of a page just put on a list; take it off again if that was the last.  Needs lru_lock."""
    if mm.put_page_testzero(page, "isolation"):
        rt.reached("putback: last reference")
        page_flags.ClearPageLRU(page)
        page_flags.ClearPageActive(page)
        swap.del_page_from_lru_list(zone, page, lru)
        pages_to_free.append(page)


def move_active_pages_to_lru(
    zone: Zone, pages: list[Page], lru: LruList, buffer_heads_over_limit: bool = False
) -> list[Page]:
    """Put aged pages on a list and drop "isolation"; returns the pages to free.

    Needs lru_lock, and drops it to strip the pages of their buffers if the machine has too many of those.
    Source: mm/vmscan.c, v3.3.
    """
    if buffer_heads_over_limit:
        rt.spin_unlock_irq(zone.lru_lock)
        for page in pages:
            _strip_page(page)
        rt.spin_lock_irq(zone.lru_lock)
    pages_to_free: list[Page] = []
    for page in pages:
        rt.bug_on(page_flags.PageLRU(page), "move_active_pages_to_lru: isolated page is on the LRU", page=page)
        page_flags.SetPageLRU(page)
        swap.add_page_to_lru_list(zone, page, lru)
        _put_isolated(zone, page, lru, pages_to_free)
    return pages_to_free


def _strip_page(page: Page) -> None:
    """Try to strip an isolated page of its private data, if its lock is free."""
    if not page_flags.page_has_private(page):
        return
    if not filemap.trylock_page(page):
        rt.reached("strip: page lock busy")
        return
    if page_flags.page_has_private(page):
        filemap.try_to_release_page(page)
    filemap.unlock_page(page)


def shrink_active_list(machine: Machine, nr_to_scan: int, sc: ScanControl) -> None:
    """Move pages from the tail of the active list to the inactive one.

    No page stays active: that is for the code of programs, mapped.  Source: mm/vmscan.c, v3.3.
    """
    zone = machine.zone
    swap.lru_add_drain(machine)
    rt.spin_lock_irq(zone.lru_lock)
    isolate_mode = ISOLATE_ACTIVE | _isolate_mode_of(sc)
    page_list = isolate_lru_pages(zone, mmzone.LRU_ACTIVE_FILE, nr_to_scan, isolate_mode)
    rt.spin_unlock_irq(zone.lru_lock)
    l_inactive: list[Page] = []
    for page in page_list:
        rt.cond_resched()
        if not page_evictable(page):
            putback_lru_page(page)
            continue
        rmap.page_referenced(page, False)  # makes its ptes old; only those of programs' code would keep it active
        page_flags.ClearPageActive(page)
        l_inactive.append(page)
    rt.spin_lock_irq(zone.lru_lock)
    pages_to_free = move_active_pages_to_lru(zone, l_inactive, mmzone.LRU_INACTIVE_FILE, sc.buffer_heads_over_limit)
    zone.account("NR_ISOLATED", -len(page_list))
    rt.spin_unlock_irq(zone.lru_lock)
    page_alloc.free_hot_cold_page_list(pages_to_free)
