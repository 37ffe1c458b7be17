"""Reclaim: isolation from the LRU, putback, and the shrinking of a list of pages.

Invariant: PG_lru is cleared under lru_lock by exactly one isolator, after it took a reference; a page leaves the page
cache only through the freeze of exactly the references that reclaim accounts for.
Not modelled: anonymous pages and swap, lumpy reclaim, watermarks, scan balance, memory cgroups.
Source: mm/vmscan.c, v3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, fs
from mmrace.kernel.mm import filemap, mm, mmzone, page_alloc, page_flags, page_writeback, rmap, swap

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
    ("reclaim: page lock busy", "reclaim skipped a locked page"),
    ("reclaim: under writeback", "reclaim skipped a page under writeback"),
    ("reclaim: dirty", "reclaim kept a dirty page"),
    ("reclaim: paged out", "reclaim wrote a dirty page"),
    ("reclaim: pageout refused", "a dirty page could not be written by reclaim"),
    ("reclaim: releasepage failed", "a page kept its private data and was activated"),
    ("reclaim: freed by another", "an orphan's last other reference went away while reclaim had it"),
    ("reclaim: freeze lost", "the page had references that reclaim does not account for"),
    ("reclaim: dirtied before the freeze", "a page became dirty just before its references were frozen"),
    ("reclaim: freed", "a page was reclaimed"),
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


@dataclass(slots=True)
class ScanControl:
    """What one reclaim may do, and how far it got.  Belongs to one task.  Source: mm/vmscan.c, v3.3.

    may_enter_fs stands for the GFP mask (__GFP_FS).  buffer_heads_over_limit makes active pages lose their buffers.
    """

    priority: int = DEF_PRIORITY
    may_writepage: bool = False
    may_enter_fs: bool = True
    buffer_heads_over_limit: bool = False
    nr_scanned: int = 0
    nr_reclaimed: int = 0


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
            swap.lru_cache_add_lru(page, mmzone.LRU_ACTIVE_FILE if was_active else mmzone.LRU_INACTIVE_FILE)
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


class PageFate(IntEnum):
    """What `shrink_page` made of a page: the labels of shrink_page_list."""

    FREED = 0
    GONE = 1
    KEEP = 2
    KEEP_LOCKED = 3
    ACTIVATE_LOCKED = 4
    CULL_MLOCKED = 5


def shrink_page_list(page_list: list[Page], sc: ScanControl) -> list[Page]:
    """Try to free isolated pages; returns those that stay, for the caller to put back.  Adds to sc.nr_reclaimed.

    Source: mm/vmscan.c, v3.3.
    """
    free_pages: list[Page] = []
    ret_pages: list[Page] = []
    for page in reversed(page_list):
        rt.cond_resched()
        if not filemap.trylock_page(page):
            rt.reached("reclaim: page lock busy")
            fate, reason = PageFate.KEEP, "page-lock"
        else:
            fate, reason = shrink_page(page, sc)
        rt.note("reclaim", page, "freed" if fate <= PageFate.GONE else "kept", reason)
        if fate <= PageFate.GONE:
            rt.reached("reclaim: freed")
            sc.nr_reclaimed += 1
            if fate == PageFate.FREED:
                free_pages.append(page)
            continue
        if fate == PageFate.CULL_MLOCKED:
            filemap.unlock_page(page)
            putback_lru_page(page)
            continue
        if fate == PageFate.ACTIVATE_LOCKED:
            rt.bug_on(page_flags.PageActive(page), "shrink_page_list: page is active", page=page)
            page_flags.SetPageActive(page)
        if fate != PageFate.KEEP:
            filemap.unlock_page(page)
        ret_pages.insert(0, page)
        rt.bug_on(page_flags.PageLRU(page), "shrink_page_list: isolated page is on the LRU", page=page)
    page_alloc.free_hot_cold_page_list(free_pages)
    return ret_pages


def shrink_page(page: Page, sc: ScanControl) -> tuple[PageFate, str]:
    """Reclaim one locked, isolated page as far as it goes: the body of shrink_page_list.  Returns (fate, reason).

    FREED: count 0 and unlocked, the caller frees it; GONE: freed by somebody else; KEEP: not locked any more.
    Source: mm/vmscan.c, v3.3.
    """
    rt.bug_on(page_flags.PageActive(page), "shrink_page_list: isolated page is active", page=page)
    sc.nr_scanned += 1
    if not page_evictable(page):
        return PageFate.CULL_MLOCKED, "unevictable"
    if page_flags.PageWriteback(page):
        rt.reached("reclaim: under writeback")
        filemap.unlock_page(page)
        return PageFate.KEEP, "writeback"
    referenced = page_flags.TestClearPageReferenced(page)
    mapping = mm.page_mapping(page)
    mapped = mm.page_mapped(page) and mapping is not None
    if mapped and rmap.try_to_unmap(page) != rmap.SwapResult.SWAP_SUCCESS:
        return PageFate.KEEP_LOCKED, "mapped"
    if page_flags.PageDirty(page):
        fate = shrink_dirty_page(page, mapping, referenced, sc)
        if fate is not None:
            return fate, "dirty"
        mapping = mm.page_mapping(page)
    return shrink_clean_page(page, mapping)


def shrink_dirty_page(page: Page, mapping: AddressSpace | None, referenced: bool, sc: ScanControl) -> PageFate | None:
    """Write a dirty page if this reclaimer may; None: it is clean now and locked.  Source: mm/vmscan.c, v3.3."""
    kswapd = bool(rt.current().pf & mmzone.PF_KSWAPD)
    if swap.page_is_file_cache(page) and (not kswapd or sc.priority >= DEF_PRIORITY - 2):
        # Only kswapd under pressure writes; the flusher is to find it, and its completion to rotate it.
        rt.reached("reclaim: dirty")
        page_flags.SetPageReclaim(page)
        return PageFate.KEEP_LOCKED
    if referenced or not sc.may_enter_fs or not sc.may_writepage:
        return PageFate.KEEP_LOCKED
    match pageout(page, mapping):
        case Pageout.PAGE_KEEP:
            rt.reached("reclaim: pageout refused")
            return PageFate.KEEP_LOCKED
        case Pageout.PAGE_ACTIVATE:
            rt.reached("reclaim: pageout refused")
            return PageFate.ACTIVATE_LOCKED
        case Pageout.PAGE_SUCCESS:
            if page_flags.PageWriteback(page) or page_flags.PageDirty(page):
                return PageFate.KEEP
            # A synchronous write: the page may be clean and free by now, but is not ours.
            if not filemap.trylock_page(page):
                rt.reached("reclaim: page lock busy")
                return PageFate.KEEP
            if page_flags.PageDirty(page) or page_flags.PageWriteback(page):
                return PageFate.KEEP_LOCKED
    return None


def shrink_clean_page(page: Page, mapping: AddressSpace | None) -> tuple[PageFate, str]:
    """Strip a clean, locked page and remove it from the cache.  Source: mm/vmscan.c, v3.3."""
    if page_flags.page_has_private(page):
        if not filemap.try_to_release_page(page):
            rt.reached("reclaim: releasepage failed")
            return PageFate.ACTIVATE_LOCKED, "releasepage"
        if mapping is None and mm.page_count(page) == 1:
            filemap.unlock_page(page)
            if mm.put_page_testzero(page, "isolation"):
                return PageFate.FREED, "orphan"
            # Somebody looked at the page for a moment: that put frees it.
            rt.reached("reclaim: freed by another")
            return PageFate.GONE, "orphan"
    if mapping is None or not __remove_mapping(mapping, page):
        return PageFate.KEEP_LOCKED, "refcount"
    # Nobody can sleep on its lock: that would take a reference, and there is none.
    filemap.__clear_page_locked(page)
    return PageFate.FREED, "clean"


# -- the lists of a zone -----------------------------------------------------------------------------------------


def shrink_inactive_list(machine: Machine, nr_to_scan: int, sc: ScanControl) -> int:
    """Reclaim from the tail of the inactive list; returns how many pages were freed.  Source: mm/vmscan.c, v3.3."""
    zone = machine.zone
    swap.lru_add_drain(machine)
    rt.spin_lock_irq(zone.lru_lock)
    page_list = isolate_lru_pages(zone, mmzone.LRU_INACTIVE_FILE, nr_to_scan, ISOLATE_INACTIVE)
    rt.spin_unlock_irq(zone.lru_lock)
    if not page_list:
        return 0
    before = sc.nr_reclaimed
    page_list.reverse()
    putback_inactive_pages(zone, shrink_page_list(page_list, sc))
    zone.account("NR_ISOLATED", -len(page_list))
    return sc.nr_reclaimed - before


def putback_inactive_pages(zone: Zone, page_list: list[Page]) -> None:
    """Put what reclaim kept straight back on the lists and drop "isolation".  Source: mm/vmscan.c, v3.3."""
    back: list[Page] = []
    rt.spin_lock_irq(zone.lru_lock)
    for page in page_list:
        rt.bug_on(page_flags.PageLRU(page), "putback_inactive_pages: page is on the LRU", page=page)
        if not page_evictable(page):
            rt.spin_unlock_irq(zone.lru_lock)
            putback_lru_page(page)
            rt.spin_lock_irq(zone.lru_lock)
            continue
        page_flags.SetPageLRU(page)
        swap.add_page_to_lru_list(zone, page, swap.page_lru(page))
        back.append(page)
    rt.spin_unlock_irq(zone.lru_lock)
    swap.release_pages(back, "isolation")


def shrink_active_list(machine: Machine, nr_to_scan: int, sc: ScanControl) -> None:
    """Move pages from the tail of the active list to the inactive one, stripping them if there are too many buffers.

    Source: mm/vmscan.c, v3.3.
    """
    zone = machine.zone
    swap.lru_add_drain(machine)
    rt.spin_lock_irq(zone.lru_lock)
    page_list = isolate_lru_pages(zone, mmzone.LRU_ACTIVE_FILE, nr_to_scan, ISOLATE_ACTIVE)
    rt.spin_unlock_irq(zone.lru_lock)
    inactive: list[Page] = []
    for page in page_list:
        rt.cond_resched()
        if not page_evictable(page):
            putback_lru_page(page)
            continue
        if sc.buffer_heads_over_limit:
            strip_page(page)
        page_flags.ClearPageActive(page)
        inactive.append(page)
    rt.spin_lock_irq(zone.lru_lock)
    zone.account("NR_ISOLATED", -len(page_list))
    for page in inactive:
        rt.bug_on(page_flags.PageLRU(page), "shrink_active_list: isolated page is on the LRU", page=page)
        page_flags.SetPageLRU(page)
        swap.add_page_to_lru_list(zone, page, mmzone.LRU_INACTIVE_FILE)
    rt.spin_unlock_irq(zone.lru_lock)
    swap.release_pages(inactive, "isolation")


def strip_page(page: Page) -> bool:
    """Try to strip a page of its private data if its lock is free; returns whether it was stripped.

    What pagevec_strip and shrink_active_list share.  Needs a reference.  Source: mm/swap.c, mm/vmscan.c, v3.3.
    """
    if not page_flags.page_has_private(page):
        return False
    if not filemap.trylock_page(page):
        rt.reached("strip: page lock busy")
        return False
    stripped = page_flags.page_has_private(page) and filemap.try_to_release_page(page)
    filemap.unlock_page(page)
    return stripped
