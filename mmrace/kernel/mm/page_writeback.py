"""Writeback of the page cache: dirty and writeback bits, tags, accounting, and the walk over a mapping.

Invariant: PG_writeback is set only while the page is locked; the slot's tags change under tree_lock, the page bits
beside them in the same section; NR_FILE_DIRTY counts pages whose PG_dirty was accounted.
Not modelled: dirty limits and throttling (`balance_dirty_pages`), per-device bandwidth.
Source: mm/page-writeback.c, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, fs, fs_writeback
from mmrace.kernel.mm import filemap, mm, mmzone, page_flags, radix_tree, rmap, swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page

MARKS = (
    ("writeback: page truncated or moved", "the page left the mapping before the walk had its lock"),
    ("writeback: already clean", "somebody else wrote the page before the walk had its lock"),
    ("writeback: skipped, under writeback", "a WB_SYNC_NONE walk skipped a page that is being written"),
    ("writeback: waited for writeback", "a WB_SYNC_ALL walk waited for an earlier write of the page"),
    ("writeback: pte was dirty", "page_mkclean found dirt in a pte"),
    ("writeback: writepage refused", "->writepage activated the page instead of writing it"),
    ("dirty: mapping went away", "a page lost its mapping between its dirty bit and its tag"),
)


class SyncMode(IntEnum):
    """How hard a writeback tries.  Source: include/linux/writeback.h, v3.3."""

    WB_SYNC_NONE = 0
    WB_SYNC_ALL = 1


WB_SYNC_NONE = SyncMode.WB_SYNC_NONE
WB_SYNC_ALL = SyncMode.WB_SYNC_ALL

# More pages than any file here has: "no limit" for `nr_to_write` and `range_end`.
LONG_MAX = 2**31 - 1


@dataclass(slots=True)
class WritebackControl:
    """What the caller of a writeback wants, and how far it got.  Belongs to one task.  Source: writeback.h, v3.3."""

    sync_mode: SyncMode = WB_SYNC_NONE
    nr_to_write: int = LONG_MAX
    pages_skipped: int = 0
    range_start: int = 0
    range_end: int = LONG_MAX
    for_reclaim: bool = False
    tagged_writepages: bool = False


# -- dirty -------------------------------------------------------------------------------------------------------


def account_page_dirtied(page: Page) -> None:
    """Count a page that became dirty.  Needs tree_lock.  Point: never.  Source: mm/page-writeback.c, v3.3."""
    page.zone.account("NR_FILE_DIRTY", 1)


def __set_page_dirty_nobuffers(page: Page) -> bool:
    """Dirty a page without touching its buffers; returns whether it was clean.  Source: mm/page-writeback.c, v3.3."""
    if page_flags.TestSetPageDirty(page):
        return False
    mapping = mm.page_mapping(page)
    if mapping is None:
        return True
    rt.spin_lock_irq(mapping.tree_lock)
    mapping2 = mm.page_mapping(page)
    if mapping2 is not None:  # else truncation was first
        rt.bug_on(mapping2 is not mapping, "__set_page_dirty_nobuffers: mapping changed", page=page)
        account_page_dirtied(page)
        index = mm.page_index(page)
        radix_tree.radix_tree_tag_set(mapping.page_tree, index, radix_tree.PAGECACHE_TAG_DIRTY)
    else:
        rt.reached("dirty: mapping went away")
    rt.spin_unlock_irq(mapping.tree_lock)
    fs_writeback.__mark_inode_dirty(mapping.host, fs.InodeState.I_DIRTY_PAGES)
    return True


def redirty_page_for_writepage(wbc: WritebackControl, page: Page) -> bool:
    """Put back the dirty bit of a page that ->writepage cannot write now.  Source: mm/page-writeback.c, v3.3."""
    wbc.pages_skipped += 1
    return __set_page_dirty_nobuffers(page)


def set_page_dirty(page: Page) -> bool:
    """Dirty a page the way its mapping wants it; returns whether it was clean.  Source: mm/page-writeback.c, v3.3."""
    mapping = mm.page_mapping(page)
    if mapping is not None:
        page_flags.ClearPageReclaim(page)
        if mapping.a_ops.set_page_dirty is not None:
            return mapping.a_ops.set_page_dirty(page)
        return buffer.__set_page_dirty_buffers(page)
    if not page_flags.PageDirty(page):
        return not page_flags.TestSetPageDirty(page)
    return False


def set_page_dirty_balance(page: Page, page_mkwrite: bool) -> None:
    """Dirty a page for a fault.  Simplified: what a newly dirty page is for, throttling, is not modelled.

    Source: mm/page-writeback.c, v3.3.
    """
    set_page_dirty(page)


def clear_page_dirty_for_io(page: Page) -> bool:
    """Take the dirty bit of a page that is about to be written; returns whether it was set.

    Needs the page lock.  Leaves the DIRTY tag: ->writepage sets PG_writeback or dirties the page again, and both put
    the tag right.  Leaves PG_reclaim too: reclaim set it so that the end of this write rotates the page.
    Source: mm/page-writeback.c, v3.3.
    """
    mapping = mm.page_mapping(page)
    rt.bug_on(not page_flags.PageLocked(page), "clear_page_dirty_for_io: page is not locked", page=page)
    if mapping is None:
        return page_flags.TestClearPageDirty(page)
    if rmap.page_mkclean(page):
        rt.reached("writeback: pte was dirty")
        set_page_dirty(page)
    if page_flags.TestClearPageDirty(page):
        page.zone.account("NR_FILE_DIRTY", -1)
        return True
    return False


# -- under writeback ---------------------------------------------------------------------------------------------


def test_set_page_writeback(page: Page) -> bool:
    """Set PG_writeback and put the slot's tags right; returns whether it was set.  Needs the page lock.

    Source: mm/page-writeback.c, v3.3.
    """
    mapping = mm.page_mapping(page)
    if mapping is None:
        was_set = page_flags.TestSetPageWriteback(page)
    else:
        tree, index = mapping.page_tree, mm.page_index(page)
        rt.spin_lock_irqsave(mapping.tree_lock)
        was_set = page_flags.TestSetPageWriteback(page)
        if not was_set:
            radix_tree.radix_tree_tag_set(tree, index, radix_tree.PAGECACHE_TAG_WRITEBACK)
        if not page_flags.PageDirty(page):
            radix_tree.radix_tree_tag_clear(tree, index, radix_tree.PAGECACHE_TAG_DIRTY)
        radix_tree.radix_tree_tag_clear(tree, index, radix_tree.PAGECACHE_TAG_TOWRITE)
        rt.spin_unlock_irqrestore(mapping.tree_lock)
    if not was_set:
        rt.note("writeback-begin", page)
        page.zone.account("NR_WRITEBACK", 1)
    return was_set


def set_page_writeback(page: Page) -> None:
    """Set PG_writeback.  Needs the page lock.  Source: include/linux/page-flags.h, v3.3."""
    test_set_page_writeback(page)


def test_clear_page_writeback(page: Page) -> bool:
    """Clear PG_writeback and the slot's tag; returns whether it was set.  Any context; does not wake.

    Source: mm/page-writeback.c, v3.3.
    """
    mapping = mm.page_mapping(page)
    rt.note("writeback-end", page)
    if mapping is None:
        was_set = page_flags.TestClearPageWriteback(page)
    else:
        rt.spin_lock_irqsave(mapping.tree_lock)
        was_set = page_flags.TestClearPageWriteback(page)
        if was_set:
            index = mm.page_index(page)
            radix_tree.radix_tree_tag_clear(mapping.page_tree, index, radix_tree.PAGECACHE_TAG_WRITEBACK)
        rt.spin_unlock_irqrestore(mapping.tree_lock)
    if was_set:
        page.zone.account("NR_WRITEBACK", -1)
    return was_set


# -- the walk over a mapping -------------------------------------------------------------------------------------

WritePage = Callable[["Page", WritebackControl], int]


def tag_pages_for_writeback(mapping: AddressSpace, start: int, end: int) -> None:
    """Give the TOWRITE tag to what is dirty now, so that an integrity walk ends.  Source: page-writeback.c, v3.3."""
    rt.spin_lock_irq(mapping.tree_lock)
    radix_tree.radix_tree_range_tag_if_tagged(
        mapping.page_tree, start, end, radix_tree.PAGECACHE_TAG_DIRTY, radix_tree.PAGECACHE_TAG_TOWRITE
    )
    rt.spin_unlock_irq(mapping.tree_lock)
    rt.cond_resched()


def write_cache_pages(mapping: AddressSpace, wbc: WritebackControl, writepage: WritePage) -> int:
    """Write the dirty pages of a mapping by `writepage`, which unlocks them; 0 or the first error.

    WB_SYNC_ALL writes exactly what was dirty at the start and waits where a page is under writeback; WB_SYNC_NONE skips
    such pages and stops after `nr_to_write`.  Pages stay referenced until their batch is released.
    Source: mm/page-writeback.c, v3.3.
    """
    integrity = wbc.sync_mode == WB_SYNC_ALL or wbc.tagged_writepages
    tag = radix_tree.PAGECACHE_TAG_TOWRITE if integrity else radix_tree.PAGECACHE_TAG_DIRTY
    if integrity:
        tag_pages_for_writeback(mapping, wbc.range_start, wbc.range_end)
    ret = 0
    done = False
    index = wbc.range_start
    while not done and index <= wbc.range_end:
        pages, index = filemap.find_get_pages_tag(mapping, index, tag, mmzone.PAGEVEC_SIZE)
        if not pages:
            break
        for page in pages:
            if mm.page_index(page) > wbc.range_end:
                done = True
                break
            filemap.lock_page(page)
            if not _wants_writing(page, mapping, wbc):
                filemap.unlock_page(page)
                continue
            rc = writepage(page, wbc)
            if rc == fs.AOP_WRITEPAGE_ACTIVATE:
                rt.reached("writeback: writepage refused")
                filemap.unlock_page(page)
                rc = 0
            if rc:
                ret = ret or rc
                done = True
                break
            wbc.nr_to_write -= 1
            if wbc.nr_to_write <= 0 and wbc.sync_mode == WB_SYNC_NONE:
                done = True
                break
        swap.pagevec_release(mapping.machine, pages)
        rt.cond_resched()
    return ret


def _wants_writing(page: Page, mapping: AddressSpace, wbc: WritebackControl) -> bool:
    """Say whether a page that was just locked is still to be written; takes its dirty bit if so."""
    if page.mapping is not mapping:
        rt.reached("writeback: page truncated or moved")
        return False
    if not page_flags.PageDirty(page):
        rt.reached("writeback: already clean")
        return False
    if page_flags.PageWriteback(page):
        if wbc.sync_mode == WB_SYNC_NONE:
            rt.reached("writeback: skipped, under writeback")
            return False
        rt.reached("writeback: waited for writeback")
        filemap.wait_on_page_writeback(page)
    rt.bug_on(page_flags.PageWriteback(page), "write_cache_pages: page is under writeback", page=page)
    return clear_page_dirty_for_io(page)


def __writepage(page: Page, wbc: WritebackControl) -> int:
    """Call the mapping's ->writepage and remember its error there.  Source: mm/page-writeback.c, v3.3."""
    mapping = page.mapping
    rt.bug_on(mapping is None, "NULL mapping followed in __writepage", page=page)
    assert mapping is not None
    writepage = mapping.a_ops.writepage
    assert writepage is not None
    ret = writepage(page, wbc)
    filemap.mapping_set_error(mapping, ret if ret < 0 else 0)
    return ret


def generic_writepages(mapping: AddressSpace, wbc: WritebackControl) -> int:
    """Write a mapping page by page through ->writepage.  Source: mm/page-writeback.c, v3.3."""
    if mapping.a_ops.writepage is None:
        return 0
    return write_cache_pages(mapping, wbc, __writepage)


def do_writepages(mapping: AddressSpace, wbc: WritebackControl) -> int:
    """Write a mapping by ->writepages, or page by page.  Source: mm/page-writeback.c, v3.3."""
    if wbc.nr_to_write <= 0:
        return 0
    if mapping.a_ops.writepages is not None:
        return mapping.a_ops.writepages(mapping, wbc)
    return generic_writepages(mapping, wbc)


def write_one_page(page: Page, wait: bool) -> int:
    """Write one locked page and unlock it; wait for the write if asked.  Source: mm/page-writeback.c, v3.3."""
    mapping = page.mapping
    rt.bug_on(not page_flags.PageLocked(page), "write_one_page: page is not locked", page=page)
    assert mapping is not None and mapping.a_ops.writepage is not None
    wbc = WritebackControl(sync_mode=WB_SYNC_ALL, nr_to_write=1)
    if wait:
        filemap.wait_on_page_writeback(page)
    if not clear_page_dirty_for_io(page):
        filemap.unlock_page(page)
        return 0
    mm.get_page(page, "writeback")
    ret = mapping.a_ops.writepage(page, wbc)
    if ret == 0 and wait:
        filemap.wait_on_page_writeback(page)
        if page_flags.PageError(page):
            ret = -Errno.EIO
    swap.put_page(page, "writeback")
    return ret
