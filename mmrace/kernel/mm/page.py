"""`struct page`: flags, count, and the small helpers of the page headers.

Keeps: a struct page is type-stable: its count, its flags and its map count may be touched at any time, all other
fields only while the page is allocated. Every count change names the reference it makes or drops.
Does not check: who holds which reference (the ledger oracle does, from the names).
Source: include/linux/mm_types.h, page-flags.h, mm.h, pagemap.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from mmrace import runtime as rt
from mmrace.kernel import bitops
from mmrace.kernel.mm import swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.mm.filemap import AddressSpace
    from mmrace.kernel.mm.mmzone import Zone

MARKS: tuple[tuple[str, str], ...] = ()

_LATER: Any = None  # a ghost that the constructor, or the machine, sets at once


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
    PG_readahead = 17


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


class Page(rt.Struct):
    """One page frame. Made once per pfn; freed and allocated again under the same pfn with a new generation."""

    flags = rt.flag_word(PageFlags, waitable=(PG_locked, PG_writeback))
    _count = rt.refcount()
    _mapcount: rt.Field[int] = rt.shared(0)
    mapping: rt.Field[AddressSpace | None] = rt.shared(None)
    index: rt.Field[int | None] = rt.shared(None)
    private: rt.Field[BufferHead | None] = rt.shared(None)
    words = rt.words()
    lazy: ClassVar[bool] = True  # most frames of a run are never touched
    benign: ClassVar[dict[str, str]] = {
        "words": "read(2) copies without the page lock, and v3.3 lets a write go on while the page is being written out"
    }
    pfn = rt.ghost(0)
    generation = rt.ghost(0)
    zone: Zone = rt.ghost(_LATER)
    # Why the migration of this page last stopped; written by its isolator alone, for the "migrate-end" note.
    migrate_reason = rt.ghost("")

    def __init__(self, pfn: int, nr_words: int) -> None:
        super().__init__(("page", pfn), words=nr_words)
        self.pfn = pfn


# What may be touched in a free page: a late speculative get and a recheck must find memory that is still a page.
TYPE_STABLE = ("_count", "flags", "_mapcount")


def new_page(pfn: int, nr_words: int) -> Page:
    """Make the struct page of `pfn`, free. Called when the machine is built, never later."""
    page = Page(pfn, nr_words)
    rt.poison(page, keep=TYPE_STABLE)
    return page


# -- flags -------------------------------------------------------------------------------------------------------
# As PAGEFLAG() and its relatives generate them: each is one atomic op on one bit.

PageTest = Callable[[Page], bool]
PageChange = Callable[[Page], None]


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
PageUnevictable, SetPageUnevictable = _test(PG_unevictable), _set(PG_unevictable)
ClearPageUnevictable, TestClearPageUnevictable = _clear(PG_unevictable), _test_clear(PG_unevictable)
PageMlocked, SetPageMlocked, TestClearPageMlocked = _test(PG_mlocked), _set(PG_mlocked), _test_clear(PG_mlocked)
PageSwapBacked, SetPageSwapBacked = _test(PG_swapbacked), _set(PG_swapbacked)
PageSwapCache, ClearPageSwapCache = _test(PG_swapcache), _clear(PG_swapcache)
PageChecked, SetPageChecked, ClearPageChecked = _test(PG_checked), _set(PG_checked), _clear(PG_checked)
PageMappedToDisk, SetPageMappedToDisk = _test(PG_mappedtodisk), _set(PG_mappedtodisk)
ClearPageMappedToDisk = _clear(PG_mappedtodisk)
bitops.name_accessors(globals())


# -- references --------------------------------------------------------------------------------------------------


def get_page(page: Page, ref: str) -> None:
    """Take the reference `ref`. Needs one already held. Source: include/linux/mm.h, v3.3."""
    page._count.get(ref)


def put_page_testzero(page: Page, ref: str) -> bool:
    """Drop the reference `ref` and say whether it was the last; the caller then frees the page."""
    return page._count.put(ref) == 0


def put_page(page: Page, ref: str) -> None:
    """Drop the reference `ref`; the last put takes the page off its LRU and frees it.

    Usable in any context: the free path takes irq-safe locks only. Source: mm/swap.c, v3.3.
    """
    if put_page_testzero(page, ref):
        swap.__put_single_page(page)


def get_page_unless_zero(page: Page, ref: str) -> bool:
    """Take the reference `ref` unless the count is 0 (page free or frozen); returns whether it did."""
    return page._count.get_unless_zero(ref)


def page_cache_get_speculative(page: Page, ref: str) -> bool:
    """Take a reference on a page found without a lock; False means: look the slot up again.

    Needs rcu_read_lock. Source: include/linux/pagemap.h, v3.3.
    """
    return get_page_unless_zero(page, ref)


def page_count(page: Page) -> int:
    """Read the reference count."""
    return page._count.read()


def page_freeze_refs(page: Page, count: int) -> bool:
    """Swap the count from exactly `count` to 0; True means that only accounted references existed.

    Needs tree_lock, irqs off. Source: include/linux/pagemap.h, v3.3.
    """
    return page._count.freeze(count)


def page_unfreeze_refs(page: Page, count: int, dropped: str | None = None) -> None:
    """Thaw: store `count` plainly. Legal only at 0 and for count > 0; `dropped` names a reference that ends here."""
    rt.bug_on(count == 0, "page_unfreeze_refs: thaw to zero", page=page)
    page._count.unfreeze(count, dropped=dropped)


# -- fields ------------------------------------------------------------------------------------------------------


def page_mapping(page: Page) -> AddressSpace | None:
    """Read the page's mapping (no anonymous or swap-cache pages here, so it is the plain field)."""
    return page.mapping


def page_index(page: Page) -> int:
    """Read the page's slot index. Needs a page that is or was in a mapping."""
    index = page.index
    rt.bug_on(index is None, "page_index: page has no index", page=page)
    assert index is not None
    return index


def page_mapped(page: Page) -> bool:
    """Say whether a pte maps the page. Nothing maps pages in this cast, but the question is still one read."""
    return page._mapcount > 0


def page_has_private(page: Page) -> bool:
    """Say whether private data hangs on the page; it is worth one reference. Source: page-flags.h, v3.3."""
    return PagePrivate(page)


def page_has_buffers(page: Page) -> bool:
    """Say whether a ring of buffers hangs on the page."""
    return PagePrivate(page)


def page_buffers(page: Page) -> BufferHead:
    """Return the head of the page's ring. BUG if PG_private is clear. Source: include/linux/buffer_head.h, v3.3."""
    rt.bug_on(not PagePrivate(page), "page_buffers: page has no buffers", page=page)
    head = page.private
    rt.bug_on(head is None, "page_buffers: PG_private with an empty private", page=page)
    assert head is not None
    return head


def page_is_file_cache(page: Page) -> bool:
    """Say whether the page belongs to the file LRUs. Source: include/linux/mm_inline.h, v3.3."""
    return not PageSwapBacked(page)


def copy_highpage(to: Page, from_: Page) -> None:
    """Copy the data of a page word by word, with a point before each word. Source: include/linux/highmem.h, v3.3."""
    for i in range(len(from_.words)):
        to.words.write(i, from_.words.read(i))
