"""`struct page`: one page frame.

Invariant: a struct page is type-stable: its count, its flags and its map count may be touched at any time, all other
fields only while the page is allocated.
Not checked: who holds which reference (the ledger oracle does, from the names).
Source: include/linux/mm_types.h, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmrace import runtime as rt
from mmrace.kernel.mm.page_flags import PageFlags

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mmzone import FreeList, Zone

_LATER: Any = None  # a ghost that the constructor, or the machine, sets at once


class Page(rt.Struct):
    """One page frame.  Made once per pfn; freed and allocated again under the same pfn with a new generation.

    `order` is what the kernel keeps in `private` while the page is the first of a free block.  `list_of` stands for the
    links of that block's list; `block_order` is the order that the page was last allocated with.
    """

    flags = rt.flag_word(PageFlags, waitable=(PageFlags.PG_locked, PageFlags.PG_writeback))
    _count = rt.refcount()
    _mapcount: rt.Field[int] = rt.shared(
        -1,
        benign="whether a frame is the first of a free block is asked without the zone's lock, and then again under it",
    )
    mapping: rt.Field[AddressSpace | None] = rt.shared(
        None,
        benign="page_mapping() needs no lock: isolation, reclaim and mark_buffer_dirty look at what truncation may be "
        "clearing, and what they take from it is only a hint, or asked again under tree_lock or the page lock",
    )
    index: rt.Field[int | None] = rt.shared(None)
    private: rt.Field[BufferHead | None] = rt.shared(None)
    words = rt.words()
    lazy: ClassVar[bool] = True  # most frames of a run are never touched
    benign: ClassVar[dict[str, str]] = {
        "words": "read(2) copies without the page lock, and v3.3 lets a write go on while the page is being written out"
    }
    order: rt.Field[int] = rt.shared(
        0, benign="who walks the frames without the zone's lock takes the order of a free block as a hint"
    )
    pfn = rt.ghost(0)
    generation = rt.ghost(0)
    zone: Zone = rt.ghost(_LATER)
    list_of: FreeList | None = rt.ghost(None)
    block_order = rt.ghost(0)

    def __init__(self, pfn: int, nr_words: int) -> None:
        super().__init__(("page", pfn), words=nr_words)
        self.pfn = pfn


# What may be touched in a free page: a late speculative get and a recheck must find memory that is still a page.
TYPE_STABLE = ("_count", "flags", "_mapcount", "order")


def new_page(pfn: int, nr_words: int) -> Page:
    """Make the struct page of `pfn`, free.  Called when the machine is built, never later."""
    page = Page(pfn, nr_words)
    rt.poison(page, keep=TYPE_STABLE)
    return page
