"""Truncation of the page cache.

Invariant: a page leaves the cache only locked and not under writeback; its dirty accounting is given back first.
Not modelled: cleancache.
Source: mm/truncate.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer_page
from mmrace.kernel.mm import filemap, highmem, memory, mm, mmzone, page_flags, swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace, Inode
    from mmrace.kernel.mm.mm_types import Page

MARKS = (
    ("truncate: page lock busy", "the first pass of a truncation skipped a locked page"),
    ("truncate: under writeback", "the first pass of a truncation skipped a page under writeback"),
    ("dirty: cancelled", "the dirty bit of a page that will not be written was cleared"),
    ("truncate: part of a page", "the size ends in the middle of a page: the rest of it was zeroed"),
    ("truncate: page was mapped", "a fault mapped a page after truncation had unmapped the file's end"),
    ("truncate: page moved", "a page was not in the mapping any more when truncation had its lock"),
)


def cancel_dirty_page(page: Page) -> None:
    """Clear the dirty bit of a page that will not be written, and give its accounting back.

    Needs the page lock, or private_lock where buffers are being dropped.
    Source: truncate.c, v3.3.
    """
    if page_flags.TestClearPageDirty(page):
        rt.reached("dirty: cancelled")
        mapping = page.mapping
        if mapping is not None:
            page.zone.account("NR_FILE_DIRTY", -1)


def do_invalidatepage(page: Page, offset: int) -> None:
    """Drop the page's private data from word `offset` on.  Needs the page lock.  Source: mm/truncate.c, v3.3."""
    mapping = page.mapping
    assert mapping is not None
    if mapping.a_ops.invalidatepage is not None:
        mapping.a_ops.invalidatepage(page, offset)
    else:
        buffer_page.block_invalidatepage(page, offset)


def truncate_complete_page(mapping: AddressSpace, page: Page) -> int:
    """Remove a locked page from its mapping; -EIO if it is another's by now.  Source: mm/truncate.c, v3.3."""
    if page.mapping is not mapping:
        rt.reached("truncate: page moved")
        return -Errno.EIO
    if page_flags.page_has_private(page):
        do_invalidatepage(page, 0)
    cancel_dirty_page(page)
    page_flags.ClearPageMappedToDisk(page)
    filemap.delete_from_page_cache(page)
    return 0


def truncate_inode_page(mapping: AddressSpace, page: Page) -> int:
    """Unmap a locked page, if it is mapped, and remove it.  Sleeps.  Source: mm/truncate.c, v3.3."""
    if mm.page_mapped(page):
        rt.reached("truncate: page was mapped")
        memory.unmap_mapping_range(mapping, mm.page_index(page), 1, False)
    return truncate_complete_page(mapping, page)


def truncate_partial_page(page: Page, partial: int) -> None:
    """Zero a locked page from word `partial` on, and drop the private data of that part.  Source: truncate.c, v3.3."""
    rt.reached("truncate: part of a page")
    highmem.zero_user_segment(page, partial, mmzone.page_machine(page).words_per_page)
    if page_flags.page_has_private(page):
        do_invalidatepage(page, partial)


def truncate_inode_pages(mapping: AddressSpace, lstart: int) -> None:
    """Remove what the cache has from word `lstart` on: first the pages that are free, then all, waiting for each.

    Holds a reference to each page of a batch throughout.  Needs i_mutex; sleeps.  Source: mm/truncate.c, v3.3.
    """
    words_per_page = mapping.machine.words_per_page
    start, partial = -(-lstart // words_per_page), lstart % words_per_page
    index = start
    while True:
        pages = filemap.find_get_pages(mapping, index, mmzone.PAGEVEC_SIZE)
        if not pages:
            break
        for page in pages:
            index = mm.page_index(page) + 1
            if not filemap.trylock_page(page):
                rt.reached("truncate: page lock busy")
                continue
            if page_flags.PageWriteback(page):
                rt.reached("truncate: under writeback")
            else:
                truncate_inode_page(mapping, page)
            filemap.unlock_page(page)
        swap.pagevec_release(mapping.machine, pages)
        rt.cond_resched()
    if partial:
        last = filemap.find_lock_page(mapping, start - 1)
        if last is not None:
            filemap.wait_on_page_writeback(last)
            truncate_partial_page(last, partial)
            filemap.unlock_page(last)
            swap.put_page(last, "lookup")
    while True:
        pages = filemap.find_get_pages(mapping, start, mmzone.PAGEVEC_SIZE)
        if not pages:
            break
        for page in pages:
            filemap.lock_page(page)
            filemap.wait_on_page_writeback(page)
            truncate_inode_page(mapping, page)
            filemap.unlock_page(page)
        swap.pagevec_release(mapping.machine, pages)
        rt.cond_resched()


def truncate_pagecache(inode: Inode, newsize: int) -> None:
    """Take away the ptes and the pages beyond word `newsize` of a file that is shorter by now.  Needs i_mutex; sleeps.

    Ptes go twice: first all at once, and after the pages what private mappings made meanwhile.
    Source: mm/truncate.c, v3.3.
    """
    mapping = inode.i_mapping
    first = -(-newsize // mapping.machine.words_per_page)
    memory.unmap_mapping_range(mapping, first, None, True)
    truncate_inode_pages(mapping, newsize)
    memory.unmap_mapping_range(mapping, first, None, True)
