"""The page cache: the page lock, the freeze and the lookups that it keeps out, buffered read and write.

Invariant: a slot is changed only under tree_lock; `page.mapping` is stable while the page is locked; whoever sleeps for
the page lock holds a reference.
Not modelled: direct I/O.
Source: mm/filemap.c, include/linux/pagemap.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, fs
from mmrace.kernel.mm import mm, mmzone, page_alloc, page_flags, page_writeback, radix_tree, readahead, slub, swap
from mmrace.kernel.mm.mm import VmFault

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace, FileRaState
    from mmrace.kernel.mm.mm_types import Page, Vma
    from mmrace.kernel.mm.radix_tree import PageCacheTag

MARKS = (
    ("lookup: frozen page", "a lookup found a page whose count was 0 and looked the slot up again"),
    ("lookup: slot changed", "a lookup got a reference, saw that the slot had changed, and started over"),
    ("find_lock_page: mapping changed", "the page was truncated or migrated while its finder slept for its lock"),
    ("add: slot taken", "somebody else filled the slot first"),
    ("read: page gone while waiting for its lock", "a reader found the page without mapping and started over"),
    ("read: filled while waiting for its lock", "a reader slept for the page lock and found the page uptodate"),
    ("read: partially uptodate", "a reader used a page that is not uptodate because its own blocks are"),
    ("read: i/o error", "a page was still not uptodate after its read"),
    ("write: no page", "a writer got no page"),
    ("fault: page gone meanwhile", "a fault found a page that left the mapping before its lock was free"),
    ("fault: beyond the end by now", "a fault had a page locked that the file has not any more"),
)


def mapping_set_error(mapping: AddressSpace, error: int) -> None:
    """Remember a write error for the next fsync.  Source: include/linux/pagemap.h, v3.3."""
    if error:
        rt.set_bit(mapping.flags, fs.AS_ENOSPC if error == -Errno.ENOSPC else fs.AS_EIO)


# -- the page lock -----------------------------------------------------------------------------------------------


def lock_page(page: Page) -> None:
    """Take the page lock, sleeping if need be.  Needs a reference.  Source: include/linux/pagemap.h, v3.3."""
    rt.bit_lock(page.flags, page_flags.PG_locked)


def trylock_page(page: Page) -> bool:
    """Try the page lock without sleeping.  Source: include/linux/pagemap.h, v3.3."""
    return rt.bit_trylock(page.flags, page_flags.PG_locked)


def unlock_page(page: Page) -> None:
    """Release the page lock: clear, then wake.  Source: mm/filemap.c, v3.3."""
    rt.bit_unlock(page.flags, page_flags.PG_locked)


def __set_page_locked(page: Page) -> None:
    """Lock a page that nobody else can see.  The kernel stores plainly; an uncontended trylock is the same here.

    Source: include/linux/pagemap.h, v3.3.
    """
    locked = trylock_page(page)
    rt.bug_on(not locked, "__set_page_locked: page is locked", page=page)


def __clear_page_locked(page: Page) -> None:
    """Unlock a page that nobody else can see: no wake, for nobody can sleep on it.  Source: pagemap.h, v3.3."""
    rt.clear_bit_unlock(page.flags, page_flags.PG_locked)


def wait_on_page_locked(page: Page) -> None:
    """Sleep until the page is unlocked; takes nothing.  Needs a reference.  Source: pagemap.h, v3.3."""
    rt.wait_on_bit(page.flags, page_flags.PG_locked)


def wait_on_page_writeback(page: Page) -> None:
    """Sleep until PG_writeback is clear; takes nothing.  Source: include/linux/pagemap.h, v3.3."""
    rt.note("writeback-wait", page)
    rt.wait_on_bit(page.flags, page_flags.PG_writeback, page)


def end_page_writeback(page: Page) -> None:
    """End the page's writeback and wake who waits for it.  Any context.  Source: mm/filemap.c, v3.3."""
    if page_flags.TestClearPageReclaim(page):
        swap.rotate_reclaimable_page(page)
    was_writeback = page_writeback.test_clear_page_writeback(page)
    rt.bug_on(not was_writeback, "end_page_writeback: page is not under writeback", page=page)
    rt.wake_up_bit(page.flags, page_flags.PG_writeback)


# -- the freeze ------------------------------------------------------------------------------------------------


def page_cache_get_speculative(page: Page, ref: str) -> bool:
    """Take a reference on a page found without a lock; False means: look the slot up again.

    Needs rcu_read_lock.  Source: include/linux/pagemap.h, v3.3.
    """
    return mm.get_page_unless_zero(page, ref)


def page_freeze_refs(page: Page, count: int) -> bool:
    """Swap the count from exactly `count` to 0; True means that only accounted references existed.

    Needs tree_lock, irqs off.  Source: include/linux/pagemap.h, v3.3.
    """
    return page._count.freeze(count)


def page_unfreeze_refs(page: Page, count: int, dropped: str | None = None) -> None:
    """Thaw: store `count` plainly.  Legal only at 0 and for count > 0; `dropped` names a reference that ends here.

    Source: include/linux/pagemap.h, v3.3.
    """
    rt.bug_on(count == 0, "page_unfreeze_refs: thaw to zero", page=page)
    page._count.unfreeze(count, dropped=dropped)


# -- lookup ------------------------------------------------------------------------------------------------------


def _get_slot_page(slot: radix_tree.Slot, ref: str) -> Page | None:
    """The three steps of a lookup: read the slot, get unless zero, read the slot again.  Needs rcu_read_lock."""
    for _ in rt.until_changed():
        page = radix_tree.radix_tree_deref_slot(slot)
        if page is None:
            return None
        if not page_cache_get_speculative(page, ref):
            rt.reached("lookup: frozen page")
            continue
        if radix_tree.radix_tree_deref_slot(slot) is not page:
            rt.reached("lookup: slot changed")
            swap.put_page(page, ref)
            continue
        return page
    raise AssertionError("until_changed never ends by itself")


def find_get_page(mapping: AddressSpace, offset: int, ref: str = "lookup") -> Page | None:
    """Find the page at `offset` and take the reference `ref`; None if there is none.  Never takes tree_lock.

    Against a frozen page it looks again until the count thaws or the slot changes.  Source: mm/filemap.c, v3.3.
    """
    slot = radix_tree.radix_tree_lookup_slot(mapping.page_tree, offset)
    if slot is None:
        return None
    rt.rcu_read_lock()
    page = _get_slot_page(slot, ref)
    rt.rcu_read_unlock()
    return page


def find_lock_page(mapping: AddressSpace, offset: int, ref: str = "lookup") -> Page | None:
    """Find the page at `offset`, take a reference and lock it (sleeps with the reference held); None if there is none.

    Source: mm/filemap.c, v3.3.
    """
    for _ in rt.until_changed():
        page = find_get_page(mapping, offset, ref)
        if page is None:
            return None
        lock_page(page)
        if page.mapping is not mapping:
            rt.reached("find_lock_page: mapping changed")
            unlock_page(page)
            swap.put_page(page, ref)
            continue
        index = page.index
        rt.bug_on(index != offset, "find_lock_page: wrong index", page=page, index=index, offset=offset)
        return page
    raise AssertionError("until_changed never ends by itself")


def _get_slots(slots: list[radix_tree.Slot], ref: str) -> list[Page]:
    return [page for page in (_get_slot_page(slot, ref) for slot in slots) if page is not None]


def find_get_pages(mapping: AddressSpace, start: int, nr_pages: int, ref: str = "lookup") -> list[Page]:
    """Gang lookup: up to `nr_pages` pages from index `start` on, each with a reference.  Source: mm/filemap.c, v3.3."""
    rt.rcu_read_lock()
    pages = _get_slots(radix_tree.radix_tree_gang_lookup_slot(mapping.page_tree, start, nr_pages), ref)
    rt.rcu_read_unlock()
    return pages


def find_get_pages_tag(
    mapping: AddressSpace, index: int, tag: PageCacheTag, nr_pages: int, ref: str = "lookup"
) -> tuple[list[Page], int]:
    """Gang lookup by tag: (up to `nr_pages` pages with a reference each, index to go on from).

    Tags are read first and slots after, without a lock: a page may have lost its tag.  Source: mm/filemap.c, v3.3.
    """
    rt.rcu_read_lock()
    pages = _get_slots(radix_tree.radix_tree_gang_lookup_tag_slot(mapping.page_tree, index, nr_pages, tag), ref)
    rt.rcu_read_unlock()
    if pages:
        index = mm.page_index(pages[-1]) + 1
    return pages, index


# -- insertion and removal ---------------------------------------------------------------------------------------


def mapping_gfp_mask(mapping: AddressSpace) -> int:
    """Return how pages of the mapping are allocated.  Point: never.  Source: include/linux/pagemap.h, v3.3."""
    return mapping.gfp_mask


def page_cache_alloc(mapping: AddressSpace, gfp_mask: int | None = None) -> Page | None:
    """Allocate a page for the mapping; its reference is named "lookup", as if found.

    Args: gfp_mask: None, the mapping's own.  Source: include/linux/pagemap.h (__page_cache_alloc), v3.3.
    """
    page = page_alloc.alloc_page(mapping.machine, mapping_gfp_mask(mapping) if gfp_mask is None else gfp_mask)
    if page is not None:
        page._count.rename("new", "lookup")
    return page


def add_to_page_cache_locked(page: Page, mapping: AddressSpace, offset: int, gfp_mask: int) -> int:
    """Put a locked page into an empty slot; -EEXIST if it is taken, -ENOMEM.  Takes the "slot" reference.

    May sleep for memory, as the mask says.  Source: mm/filemap.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "add_to_page_cache_locked: page is not locked", page=page)
    error = slub.radix_tree_preload(mapping.machine, gfp_mask)
    if error:
        return error
    mm.get_page(page, "slot")
    page.mapping = mapping
    page.index = offset
    rt.spin_lock_irq(mapping.tree_lock)
    error = radix_tree.radix_tree_insert(mapping.page_tree, offset, page)
    if error:
        rt.reached("add: slot taken")
        page.mapping = None
        rt.spin_unlock_irq(mapping.tree_lock)
        swap.put_page(page, "slot")
        return error
    mapping.nrpages = mapping.nrpages + 1
    page.zone.account("NR_FILE_PAGES", 1)
    rt.spin_unlock_irq(mapping.tree_lock)
    return 0


def add_to_page_cache(page: Page, mapping: AddressSpace, offset: int, gfp_mask: int) -> int:
    """Lock a new page and put it into the cache; unlocked again on failure.  Source: pagemap.h, v3.3."""
    __set_page_locked(page)
    error = add_to_page_cache_locked(page, mapping, offset, gfp_mask)
    if error:
        __clear_page_locked(page)
    return error


def add_to_page_cache_lru(page: Page, mapping: AddressSpace, offset: int, gfp_mask: int) -> int:
    """Put a new page into the cache, locked, and on its way to the LRU.  Source: mm/filemap.c, v3.3."""
    error = add_to_page_cache(page, mapping, offset, gfp_mask)
    if not error:
        swap.lru_cache_add_file(page)
    return error


def __delete_from_page_cache(page: Page) -> None:
    """Empty the page's slot.  Needs the page lock and tree_lock; the caller drops the "slot" reference.

    Source: mm/filemap.c, v3.3.
    """
    mapping = page.mapping
    assert mapping is not None
    radix_tree.radix_tree_delete(mapping.page_tree, mm.page_index(page))
    page.mapping = None
    mapping.nrpages = mapping.nrpages - 1
    page.zone.account("NR_FILE_PAGES", -1)
    rt.bug_on(mm.page_mapped(page), "__delete_from_page_cache: page is mapped", page=page)
    # Some file systems dirty the page again after its dirt was cancelled: keep the statistics right.
    if page_flags.PageDirty(page):
        page.zone.account("NR_FILE_DIRTY", -1)


def delete_from_page_cache(page: Page) -> None:
    """Remove a locked page from the cache and drop the "slot" reference.  Source: mm/filemap.c, v3.3."""
    mapping = page.mapping
    rt.bug_on(not page_flags.PageLocked(page), "delete_from_page_cache: page is not locked", page=page)
    assert mapping is not None
    rt.spin_lock_irq(mapping.tree_lock)
    __delete_from_page_cache(page)
    rt.spin_unlock_irq(mapping.tree_lock)
    swap.put_page(page, "slot")


def find_or_create_page(mapping: AddressSpace, index: int, gfp_mask: int | None = None) -> Page | None:
    """Find or add the page at `index`, locked and with a reference "lookup"; None when memory is out.

    Args: gfp_mask: of the allocation; None: the mapping's own.  Source: mm/filemap.c, v3.3.
    """
    for _ in rt.until_changed():
        page = find_lock_page(mapping, index)
        if page is not None:
            return page
        page = page_cache_alloc(mapping, gfp_mask)
        if page is None:
            return None
        gfp_mask = mapping_gfp_mask(mapping) if gfp_mask is None else gfp_mask
        error = add_to_page_cache_lru(page, mapping, index, gfp_mask & gfp.GFP_RECLAIM_MASK)
        if error == 0:
            return page
        swap.put_page(page, "lookup")
        if error != -Errno.EEXIST:
            return None
    raise AssertionError("until_changed never ends by itself")


def grab_cache_page_write_begin(mapping: AddressSpace, index: int) -> Page | None:
    """Find or add the page at `index` for a write: as `find_or_create_page`, and not under writeback.

    Waits for writeback with the page lock held.  Source: mm/filemap.c, v3.3.
    """
    page = find_or_create_page(mapping, index)
    if page is not None:
        wait_on_page_writeback(page)
    return page


def try_to_release_page(page: Page) -> bool:
    """Try to strip the page's private data, by ->releasepage or try_to_free_buffers.  Needs the page lock.

    Source: mm/filemap.c, v3.3.
    """
    mapping = page.mapping
    rt.bug_on(not page_flags.PageLocked(page), "try_to_release_page: page is not locked", page=page)
    if page_flags.PageWriteback(page):
        return False
    if mapping is not None and mapping.a_ops.releasepage is not None:
        return mapping.a_ops.releasepage(page)
    return buffer.try_to_free_buffers(page)


# -- buffered read and write -------------------------------------------------------------------------------------


def do_generic_file_read(mapping: AddressSpace, pos: int, count: int, ra: FileRaState | None = None) -> list[int] | int:
    """Read `count` words from word `pos` of the file, all in one page, or as far as the file goes.

    Returns them, or a negative errno.  Args: ra: how the open file reads ahead; None: not at all.

    The copy is made with a reference and without the page lock.  Source: mm/filemap.c, v3.3.
    """
    words_per_page = mapping.machine.words_per_page
    index, offset = divmod(pos, words_per_page)
    rt.bug_on(offset + count > words_per_page, "do_generic_file_read: crosses a page", pos=pos, count=count)
    for _ in rt.until_changed():
        page = find_get_page(mapping, index)
        if ra is not None:
            page = _read_ahead(mapping, ra, page, index)
        if page is None:
            page = page_cache_alloc(mapping)
            if page is None:
                return -Errno.ENOMEM
            error = add_to_page_cache_lru(page, mapping, index, gfp.GFP_KERNEL)
            if error == -Errno.EEXIST:
                swap.put_page(page, "lookup")
                continue
            error = error or _readpage(mapping, page)
        else:
            error = _page_ok(mapping, page, offset, count)
        if error == -Errno.EAGAIN:
            swap.put_page(page, "lookup")
            continue
        if error:
            swap.put_page(page, "lookup")
            return error
        # The size is read after the page was found uptodate: a page that was truncated meanwhile shows nothing.
        count = min(count, max(0, mapping.host.i_size - pos))
        swap.mark_page_accessed(page)
        values = [page.words.read(offset + i) for i in range(count)]
        swap.put_page(page, "lookup")
        return values
    raise AssertionError("until_changed never ends by itself")


def _read_ahead(mapping: AddressSpace, ra: FileRaState, page: Page | None, index: int) -> Page | None:
    """Read ahead where the reader's page is not cached, or says so; returns the page if it is cached now."""
    if page is None:
        readahead.page_cache_sync_readahead(mapping, ra, index, 1)
        page = find_get_page(mapping, index)
    if page is not None and page_flags.PageReadahead(page):
        readahead.page_cache_async_readahead(mapping, ra, page, index, 1)
    ra.prev_index = index
    return page


def _page_ok(mapping: AddressSpace, page: Page, offset: int, count: int) -> int:
    """Make a page that was found readable: 0, -EAGAIN (it left the mapping: look up again), or an error."""
    if page_flags.PageUptodate(page):
        return 0
    several = mapping.machine.buffers_per_page > 1
    if several and mapping.a_ops.is_partially_uptodate is not None and trylock_page(page):
        partial = page.mapping is not None and mapping.a_ops.is_partially_uptodate(page, offset, count)
        if partial:
            unlock_page(page)
            rt.reached("read: partially uptodate")
            return 0
    else:
        lock_page(page)
    # Here the page is locked: truncation, reclaim or migration may have been first.
    if page.mapping is None:
        rt.reached("read: page gone while waiting for its lock")
        unlock_page(page)
        return -Errno.EAGAIN
    if page_flags.PageUptodate(page):
        rt.reached("read: filled while waiting for its lock")
        unlock_page(page)
        return 0
    return _readpage(mapping, page)


def _readpage(mapping: AddressSpace, page: Page) -> int:
    """Fill a locked page by ->readpage, which unlocks it when the I/O is done; 0, -EAGAIN or -EIO."""
    page_flags.ClearPageError(page)
    readpage = mapping.a_ops.readpage
    assert readpage is not None
    error = readpage(page)
    if error:
        return error
    if page_flags.PageUptodate(page):
        return 0
    lock_page(page)
    if not page_flags.PageUptodate(page):
        gone = page.mapping is None
        unlock_page(page)
        if gone:
            rt.reached("read: page gone while waiting for its lock")
            return -Errno.EAGAIN
        rt.reached("read: i/o error")
        return -Errno.EIO
    unlock_page(page)
    return 0


def page_cache_read(mapping: AddressSpace, offset: int) -> int:
    """Add a page to the cache and start reading it, unless somebody else did: 0 or a negative errno.

    Source: mm/filemap.c, v3.3.
    """
    page = page_cache_alloc(mapping)
    if page is None:
        return -Errno.ENOMEM
    error = add_to_page_cache_lru(page, mapping, offset, gfp.GFP_KERNEL)
    if error == -Errno.EEXIST:
        error = 0
    elif error == 0:
        readpage = mapping.a_ops.readpage
        assert readpage is not None
        error = readpage(page)
    swap.put_page(page, "lookup")
    return error


def filemap_fault(vma: Vma, pgoff: int) -> tuple[VmFault, Page | None]:
    """Find a page for a fault: (VM_FAULT_LOCKED, page), locked, uptodate and with a reference, or (error, None).

    A fault is for the program alone, so an access beyond the end of the file is SIGBUS; the size counts when the page
    is locked, so that truncation, which takes the size first and the pages after, misses none.
    Source: mm/filemap.c, v3.3.
    """
    mapping = vma.vm_file
    if pgoff >= _pages_of(mapping):
        return VmFault.VM_FAULT_SIGBUS, None
    for _ in rt.until_changed():
        page = _find_locked(mapping, pgoff)
        if page is None:
            error = page_cache_read(mapping, pgoff)
            if error:
                return VmFault.VM_FAULT_OOM if error == -Errno.ENOMEM else VmFault.VM_FAULT_SIGBUS, None
            page = _find_locked(mapping, pgoff)
        if page is not None and not page_flags.PageUptodate(page):
            if not _read_for_fault(mapping, page):
                return VmFault.VM_FAULT_SIGBUS, None
            page = _find_locked(mapping, pgoff)
        if page is None:
            rt.reached("fault: page gone meanwhile")
            continue
        if not page_flags.PageUptodate(page):
            unlock_page(page)
            swap.put_page(page, "lookup")
            continue
        if pgoff >= _pages_of(mapping):
            rt.reached("fault: beyond the end by now")
            unlock_page(page)
            swap.put_page(page, "lookup")
            return VmFault.VM_FAULT_SIGBUS, None
        return VmFault.VM_FAULT_LOCKED, page
    raise AssertionError("until_changed never ends by itself")


def _pages_of(mapping: AddressSpace) -> int:
    """Return how many pages the file has, by its size."""
    return -(-mapping.host.i_size // mapping.machine.words_per_page)


def _find_locked(mapping: AddressSpace, pgoff: int) -> Page | None:
    """Look once for the page at `pgoff`; return it locked, None if it is not in the mapping, or not any more."""
    page = find_get_page(mapping, pgoff)
    if page is None:
        return None
    lock_page(page)
    if page.mapping is not mapping:
        rt.reached("fault: page gone meanwhile")
        unlock_page(page)
        swap.put_page(page, "lookup")
        return None
    return page


def _read_for_fault(mapping: AddressSpace, page: Page) -> bool:
    """Read a locked page that is not uptodate, and let go of it; say whether that went well."""
    page_flags.ClearPageError(page)
    readpage = mapping.a_ops.readpage
    assert readpage is not None
    error = readpage(page)
    if not error:
        wait_on_page_locked(page)
        if not page_flags.PageUptodate(page):
            error = -Errno.EIO
    swap.put_page(page, "lookup")
    return not error


def generic_perform_write(mapping: AddressSpace, pos: int, values: Sequence[int]) -> int:
    """Write words from word `pos` of the file on; returns how many were written, or a negative errno if none was.

    Needs i_mutex.  The page is locked from write_begin to write_end.  Source: mm/filemap.c, v3.3.
    """
    write_begin, write_end = mapping.a_ops.write_begin, mapping.a_ops.write_end
    assert write_begin is not None and write_end is not None
    words_per_page = mapping.machine.words_per_page
    written = 0
    status = 0
    while written < len(values):
        offset = pos % words_per_page
        count = min(words_per_page - offset, len(values) - written)
        status, page = write_begin(mapping, pos, count)
        if status or page is None:
            rt.reached("write: no page")
            break
        for i in range(count):
            page.words.write(offset + i, values[written + i])
        swap.mark_page_accessed(page)
        status = write_end(mapping, pos, count, count, page)
        rt.cond_resched()
        if status < 0:
            break
        pos += count
        written += count
    return written if written else status


# -- whole-file writeback ----------------------------------------------------------------------------------------


def filemap_fdatawrite(mapping: AddressSpace) -> int:
    """Start writing every dirty page, waiting for those already under writeback.  Source: mm/filemap.c, v3.3."""
    wbc = page_writeback.WritebackControl(sync_mode=page_writeback.WB_SYNC_ALL)
    return page_writeback.do_writepages(mapping, wbc)


def filemap_fdatawait(mapping: AddressSpace) -> int:
    """Wait until no page is under writeback; -EIO if a write failed since last time.  Source: mm/filemap.c, v3.3."""
    ret = 0
    index = 0
    while True:
        pages, index = find_get_pages_tag(mapping, index, radix_tree.PAGECACHE_TAG_WRITEBACK, mmzone.PAGEVEC_SIZE)
        if not pages:
            break
        for page in pages:
            wait_on_page_writeback(page)
            if page_flags.TestClearPageError(page):
                ret = -Errno.EIO
        swap.pagevec_release(mapping.machine, pages)
        rt.cond_resched()
    if rt.test_and_clear_bit(mapping.flags, fs.AS_ENOSPC):
        ret = -Errno.ENOSPC
    if rt.test_and_clear_bit(mapping.flags, fs.AS_EIO):
        ret = -Errno.EIO
    return ret


def filemap_write_and_wait(mapping: AddressSpace) -> int:
    """Write every dirty page and wait for it; 0 or a negative errno.  Source: mm/filemap.c, v3.3."""
    error = 0
    if mapping.nrpages:
        error = filemap_fdatawrite(mapping)
        if error != -Errno.EIO:
            waited = filemap_fdatawait(mapping)
            error = error or waited
    return error
