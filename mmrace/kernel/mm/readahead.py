"""Readahead: a sequential reader's pages are asked for before it wants them.

A window of pages is allocated first, then each goes into the page cache, locked, and into one I/O with those before it
as long as their blocks follow each other.  So a task that reads ahead holds the locks of pages whose I/O it has not
submitted yet, while it allocates for the next of them: whoever waits there for a page lock may wait for itself.
Invariant: an open file's window is touched by the task that reads it only; a page of it is unlocked by its I/O.
Simplified: the window has the kernel's sizes (at first some times what is wanted, then doubled, at most `ra_pages`),
but a read outside any sequence reads just what it wants: no context is looked for before it.
Not modelled: mmap's read-around, POSIX_FADV_RANDOM, a congested device, a plug: what is submitted starts.
Source: mm/readahead.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.mm import filemap, page_flags, radix_tree, swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace, FileRaState
    from mmrace.kernel.mm.mm_types import Page

MARKS = (
    ("readahead: first window", "a file was read from its begin on, or on from where the last read ended"),
    ("readahead: marker met", "a reader came to the page that says: read on now"),
    ("readahead: marker under writeback", "the marker's bit was that of a page under writeback"),
    ("readahead: page cached already", "a page of the window was in the page cache"),
    ("readahead: no page", "no page was to be had, and the window ends there"),
    ("readahead: slot taken", "somebody else filled a slot of the window first"),
)


def page_cache_sync_readahead(mapping: AddressSpace, ra: FileRaState, offset: int, req_size: int) -> None:
    """Read ahead because the page at `offset` is not cached; `req_size` pages are wanted.  May sleep.

    Source: mm/readahead.c, v3.3.
    """
    if not ra.ra_pages:
        return
    ondemand_readahead(mapping, ra, False, offset, req_size)


def page_cache_async_readahead(mapping: AddressSpace, ra: FileRaState, page: Page, offset: int, req_size: int) -> None:
    """Read ahead because a reader came to a page with the marker.  Needs a reference to it.  May sleep.

    Source: mm/readahead.c, v3.3.
    """
    if not ra.ra_pages:
        return
    # The bit is PG_reclaim too, which says something else of a page under writeback.
    if page_flags.PageWriteback(page):
        rt.reached("readahead: marker under writeback")
        return
    page_flags.ClearPageReadahead(page)
    rt.reached("readahead: marker met")
    ondemand_readahead(mapping, ra, True, offset, req_size)


def get_init_ra_size(size: int, max_: int) -> int:
    """Return the size of the first window, for `size` pages that are wanted.  Source: mm/readahead.c, v3.3."""
    newsize = 1 << (size - 1).bit_length()
    if newsize <= max_ // 32:
        return newsize * 4
    return newsize * 2 if newsize <= max_ // 4 else max_


def get_next_ra_size(ra: FileRaState, max_: int) -> int:
    """Return the size of the window after this one.  Source: mm/readahead.c, v3.3."""
    return min(ra.size * (4 if ra.size < max_ // 16 else 2), max_)


def ondemand_readahead(
    mapping: AddressSpace, ra: FileRaState, hit_readahead_marker: bool, offset: int, req_size: int
) -> int:
    """Settle the window for a read at `offset`, and read it; returns how many pages were started.

    Source: mm/readahead.c, v3.3.
    """
    max_ = ra.ra_pages
    if offset and offset in (ra.start + ra.size - ra.async_size, ra.start + ra.size):
        # Sequential so far: the window moves on, and grows.
        ra.start += ra.size
        ra.size = get_next_ra_size(ra, max_)
        ra.async_size = ra.size
    elif offset and hit_readahead_marker:
        # Another window's marker: go on behind what is cached.
        start = _next_hole(mapping, offset + 1, max_)
        if start is None:
            return 0
        ra.start = start
        ra.size = start - offset + req_size
        ra.size = get_next_ra_size(ra, max_)
        ra.async_size = ra.size
    elif offset and offset - ra.prev_index > 1:
        return __do_page_cache_readahead(mapping, offset, req_size, 0)
    else:
        rt.reached("readahead: first window")
        ra.start = offset
        ra.size = get_init_ra_size(req_size, max_)
        ra.async_size = ra.size - req_size if ra.size > req_size else ra.size
    if offset == ra.start and ra.size == ra.async_size:
        # The marker would be the page that is wanted now: take the next window along.
        ra.async_size = get_next_ra_size(ra, max_)
        ra.size += ra.async_size
    return __do_page_cache_readahead(mapping, ra.start, ra.size, ra.async_size)


def _next_hole(mapping: AddressSpace, first: int, max_scan: int) -> int | None:
    """Return the first index from `first` on that has no page; None if it is further than `max_scan`."""
    rt.rcu_read_lock()
    for index in range(first, first + max_scan):
        slot = radix_tree.radix_tree_lookup_slot(mapping.page_tree, index)
        if slot is None or radix_tree.radix_tree_deref_slot(slot) is None:
            rt.rcu_read_unlock()
            return index
    rt.rcu_read_unlock()
    return None


def __do_page_cache_readahead(mapping: AddressSpace, offset: int, nr_to_read: int, lookahead_size: int) -> int:
    """Allocate pages for what is not cached of a window, then read them; returns how many.

    The page `lookahead_size` before the window's end gets the marker.  Source: mm/readahead.c, v3.3.
    """
    isize = mapping.host.i_size
    if isize == 0:
        return 0
    end_index = (isize - 1) // mapping.machine.words_per_page
    page_pool: list[tuple[int, Page]] = []
    for page_idx in range(nr_to_read):
        page_offset = offset + page_idx
        if page_offset > end_index:
            break
        slot = radix_tree.radix_tree_lookup_slot(mapping.page_tree, page_offset)
        if slot is None:
            break
        rt.rcu_read_lock()
        cached = radix_tree.radix_tree_deref_slot(slot) is not None
        rt.rcu_read_unlock()
        if cached:
            rt.reached("readahead: page cached already")
            continue
        page = page_cache_alloc_readahead(mapping)
        if page is None:
            rt.reached("readahead: no page")
            break
        page_pool.append((page_offset, page))
        if page_idx == nr_to_read - lookahead_size:
            page_flags.SetPageReadahead(page)
    if page_pool:
        read_pages(mapping, page_pool)
    return len(page_pool)


def page_cache_alloc_readahead(mapping: AddressSpace) -> Page | None:
    """Allocate a page that need not be had.  Source: include/linux/pagemap.h, v3.3."""
    gfp_mask = filemap.mapping_gfp_mask(mapping) | gfp.__GFP_COLD | gfp.__GFP_NORETRY | gfp.__GFP_NOWARN
    return filemap.page_cache_alloc(mapping, gfp_mask)


def read_pages(mapping: AddressSpace, pages: list[tuple[int, Page]]) -> None:
    """Put pages, each with its index and a reference "lookup", into the cache and read them.  May sleep.

    Source: mm/readahead.c, v3.3.
    """
    readpages, readpage = mapping.a_ops.readpages, mapping.a_ops.readpage
    if readpages is not None:
        readpages(mapping, pages)
        return
    assert readpage is not None
    for index, page in pages:
        if filemap.add_to_page_cache_lru(page, mapping, index, gfp.GFP_KERNEL) == 0:
            readpage(page)
        else:
            rt.reached("readahead: slot taken")
        swap.put_page(page, "lookup")
