"""The flags of a page: the bits of `page.flags`, and one accessor for each thing that is done to one of them.

Invariant: each accessor is one atomic op on one bit.
Not checked: that the caller may touch the bit; the functions that call these say what they need held.
Source: include/linux/page-flags.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import bitops

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page


class PageFlags(IntEnum):
    """Bits of `page.flags` that take part."""

    PG_locked = 0
    PG_error = 1
    PG_referenced = 2
    PG_uptodate = 3
    PG_dirty = 4
    PG_lru = 5
    PG_active = 6
    PG_private = 7
    PG_writeback = 8
    PG_reclaim = 9
    PG_unevictable = 10
    PG_mlocked = 11
    PG_swapbacked = 12
    PG_swapcache = 13
    PG_checked = 14
    PG_mappedtodisk = 15
    PG_buddy = 16
    PG_readahead = 9  # the same bit: reads mean this by it, writes PG_reclaim


PG_locked = PageFlags.PG_locked
PG_error = PageFlags.PG_error
PG_referenced = PageFlags.PG_referenced
PG_uptodate = PageFlags.PG_uptodate
PG_dirty = PageFlags.PG_dirty
PG_lru = PageFlags.PG_lru
PG_active = PageFlags.PG_active
PG_private = PageFlags.PG_private
PG_writeback = PageFlags.PG_writeback
PG_reclaim = PageFlags.PG_reclaim
PG_unevictable = PageFlags.PG_unevictable
PG_mlocked = PageFlags.PG_mlocked
PG_swapbacked = PageFlags.PG_swapbacked
PG_swapcache = PageFlags.PG_swapcache
PG_checked = PageFlags.PG_checked
PG_mappedtodisk = PageFlags.PG_mappedtodisk
PG_buddy = PageFlags.PG_buddy
PG_readahead = PageFlags.PG_readahead

# A page that is freed with one of these set was freed too early: somebody still works on it.
PAGE_FLAGS_CHECK_AT_FREE = sum(
    1 << bit
    for bit in (PG_lru, PG_locked, PG_private, PG_writeback, PG_swapcache, PG_active, PG_unevictable, PG_mlocked)
)

# -- flags -------------------------------------------------------------------------------------------------------
# As PAGEFLAG() and its relatives generate them: each is one atomic op on one bit.

PageTest = Callable[["Page"], bool]
PageChange = Callable[["Page"], None]


def _test(bit: PageFlags) -> PageTest:
    number = int(bit)

    def test(page: Page) -> bool:
        return rt.test_bit(page.flags, number)

    return test


def _set(bit: PageFlags) -> PageChange:
    number = int(bit)

    def set_(page: Page) -> None:
        rt.set_bit(page.flags, number)

    return set_


def _clear(bit: PageFlags) -> PageChange:
    number = int(bit)

    def clear(page: Page) -> None:
        rt.clear_bit(page.flags, number)

    return clear


def _test_set(bit: PageFlags) -> PageTest:
    number = int(bit)

    def test_set(page: Page) -> bool:
        return rt.test_and_set_bit(page.flags, number)

    return test_set


def _test_clear(bit: PageFlags) -> PageTest:
    number = int(bit)

    def test_clear(page: Page) -> bool:
        return rt.test_and_clear_bit(page.flags, number)

    return test_clear


PageLocked = _test(PG_locked)
PageError, SetPageError, ClearPageError = _test(PG_error), _set(PG_error), _clear(PG_error)
TestClearPageError = _test_clear(PG_error)
PageReferenced, SetPageReferenced = _test(PG_referenced), _set(PG_referenced)
ClearPageReferenced, TestClearPageReferenced = _clear(PG_referenced), _test_clear(PG_referenced)
PageUptodate, SetPageUptodate, ClearPageUptodate = _test(PG_uptodate), _set(PG_uptodate), _clear(PG_uptodate)
PageDirty, SetPageDirty, ClearPageDirty = _test(PG_dirty), _set(PG_dirty), _clear(PG_dirty)
TestSetPageDirty, TestClearPageDirty = _test_set(PG_dirty), _test_clear(PG_dirty)
PageLRU, SetPageLRU, ClearPageLRU = _test(PG_lru), _set(PG_lru), _clear(PG_lru)
PageActive, SetPageActive, ClearPageActive = _test(PG_active), _set(PG_active), _clear(PG_active)
TestClearPageActive = _test_clear(PG_active)
PagePrivate, SetPagePrivate, ClearPagePrivate = _test(PG_private), _set(PG_private), _clear(PG_private)
PageWriteback = _test(PG_writeback)
TestSetPageWriteback, TestClearPageWriteback = _test_set(PG_writeback), _test_clear(PG_writeback)
PageReclaim, SetPageReclaim, ClearPageReclaim = _test(PG_reclaim), _set(PG_reclaim), _clear(PG_reclaim)
TestClearPageReclaim = _test_clear(PG_reclaim)
PageReadahead, SetPageReadahead = _test(PG_readahead), _set(PG_readahead)
ClearPageReadahead = _clear(PG_readahead)
PageUnevictable, SetPageUnevictable = _test(PG_unevictable), _set(PG_unevictable)
ClearPageUnevictable, TestClearPageUnevictable = _clear(PG_unevictable), _test_clear(PG_unevictable)
PageMlocked, SetPageMlocked, TestClearPageMlocked = _test(PG_mlocked), _set(PG_mlocked), _test_clear(PG_mlocked)
PageSwapBacked, SetPageSwapBacked = _test(PG_swapbacked), _set(PG_swapbacked)
PageSwapCache, ClearPageSwapCache = _test(PG_swapcache), _clear(PG_swapcache)
PageChecked, SetPageChecked, ClearPageChecked = _test(PG_checked), _set(PG_checked), _clear(PG_checked)
PageMappedToDisk, SetPageMappedToDisk = _test(PG_mappedtodisk), _set(PG_mappedtodisk)
ClearPageMappedToDisk = _clear(PG_mappedtodisk)
bitops.name_accessors(globals())


def page_has_private(page: Page) -> bool:
    """Say whether private data hangs on the page; it is worth one reference.  Source: page-flags.h, v3.3."""
    return PagePrivate(page)
