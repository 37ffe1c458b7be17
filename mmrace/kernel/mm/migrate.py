"""Page migration: moving the contents of a page to another page frame under its users' feet.

The order of a successful move of a page with buffers: lock the page, look at its writeback, unmap, lock the target,
freeze the page's count under tree_lock, (ASYNC: trylock the buffers,) replace the slot, thaw, (else: lock the buffers,
sleeping,) move the ring, copy data and flags, unlock buffers, target, page.  (6.1 locks the target before the unmap.)
Invariant: in MIGRATE_ASYNC nothing here waits for a page lock, a buffer lock or writeback; after a failure the old page
is as it was.  `page.mapping` of the old page is cleared at the end of the copy, as in v3.3 (3.4 moved that).
An anonymous page has no slot: what its move needs is the isolation's reference alone, and, since nothing maps it
meanwhile, a reference to its anon_vma.
Not modelled: KSM, huge pages, swap cache, memory cgroups: where the kernel tests for one of them, the test would always
be false here.  So every anonymous page that is moved gets its ptes back (remap_swapcache is true).
Source: mm/migrate.c, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import errno
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, fs
from mmrace.kernel.mm import filemap, highmem, mm, mmzone, page_flags, page_writeback, radix_tree, rmap, swap, vmscan

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine

MARKS = (
    ("migrate: no target page", "get_new_page had none: the call ends with -ENOMEM"),
    ("migrate: freed meanwhile", "only the isolation reference was left: nothing to move"),
    ("migrate: source page lock busy", "the page was locked and this pass may not sleep for it"),
    ("migrate: PF_MEMALLOC may not lock", "a direct compactor met a locked page on a forced pass"),
    ("migrate: slept for the page lock", "a forced pass waited for the page lock"),
    ("migrate: under writeback, busy", "the page was under writeback and the mode does not wait for it"),
    ("migrate: under writeback, retry", "the page was under writeback on an unforced pass"),
    ("migrate: waited for writeback", "a forced pass in MIGRATE_SYNC waited for the page's writeback"),
    ("migrate: truncated", "the page had lost its mapping but not its buffers"),
    ("migrate: anonymous, unmapped meanwhile", "nothing mapped an anonymous page any more: its anon_vma may be gone"),
    ("migrate: moved anonymous", "an anonymous page was moved"),
    ("migrate: mapped", "the page was still mapped after the unmap"),
    ("migrate: refcount too high", "somebody else held a reference to the page, or the slot was not its any more"),
    ("migrate: freeze lost", "a reference came between the count test and the freeze"),
    ("async back-out", "a buffer lock was busy in MIGRATE_ASYNC: buffers unlocked, count thawed"),
    ("async back-out: middle of the ring", "buffers had been locked before the busy one was met"),
    ("fallback: dirty, mode may not write", "a dirty page without ->migratepage in ASYNC or SYNC_LIGHT"),
    ("fallback: releasepage failed", "a clean page without ->migratepage kept its private data"),
    ("writeout: no writepage", "a dirty page has neither ->migratepage nor ->writepage"),
    ("writeout: already clean", "the dirty bit was gone when the page was to be written"),
    ("writeout: written", "->writepage was called for a page that could not be moved dirty"),
    ("writeout: error", "->writepage failed"),
    ("migrate: moved dirty", "a dirty page was moved"),
    ("migrate: writeback ended on the target", "the target had PG_writeback set when the copy ended"),
    ("migrate_pages: pass limit", "pages were left over after the last pass"),
)

# Passes of migrate_pages. Source: mm/migrate.c, v3.3.
PASSES = 10
# Passes after this one may sleep for a page lock: they are forced.
FORCE_AFTER = 2


class MigrateMode(IntEnum):
    """How much a migration may block.  Source: include/linux/migrate_mode.h, v3.3."""

    MIGRATE_ASYNC = 0
    MIGRATE_SYNC_LIGHT = 1
    MIGRATE_SYNC = 2


MIGRATE_ASYNC = MigrateMode.MIGRATE_ASYNC
MIGRATE_SYNC_LIGHT = MigrateMode.MIGRATE_SYNC_LIGHT
MIGRATE_SYNC = MigrateMode.MIGRATE_SYNC

GetNewPage = Callable[["Page", object], "Page | None"]


class Refusal(int):
    """A return code that knows why the page was not moved: `reason` is for the "migrate-end" note alone."""

    reason: str

    def __new__(cls, rc: int, reason: str) -> Refusal:
        """Make the code `rc` with its reason."""
        refusal = super().__new__(cls, rc)
        refusal.reason = reason
        return refusal


def _stop(rc: int, reason: str, mark: str) -> int:
    """Return `rc` with the reason why this migration stops here.  Point: never."""
    rt.reached(mark)
    return Refusal(rc, reason)


class _Attempt:
    """One attempt to move a page: what the record is told of it."""

    newpage: Page | None = None
    rc: int = Refusal(-Errno.ENOMEM, "nomem")

    def target(self, newpage: Page | None) -> Page | None:
        """Take note of the target, if any; the reference to it is an isolation's from now on.  Point: never."""
        self.newpage = newpage
        if newpage is None:
            rt.reached("migrate: no target page")
        else:
            newpage._count.rename("new", "isolation")
        return newpage


@contextmanager
def _migrating(page: Page, mode: MigrateMode) -> Iterator[_Attempt]:
    """Tell the record where an attempt begins, and where and how it ends.  Point: never."""
    rt.note("migrate-begin", page, mode.name)
    attempt = _Attempt()
    yield attempt
    reason = attempt.rc.reason if isinstance(attempt.rc, Refusal) else "moved"
    rt.note("migrate-end", page, attempt.newpage, mode.name, errno.errno_name(attempt.rc), reason)


# -- preparation -------------------------------------------------------------------------------------------------


def migrate_prep(machine: Machine) -> None:
    """Flush every CPU's pagevecs, whose references would keep pages from moving.  Sleeps.  Source: migrate.c, v3.3."""
    swap.lru_add_drain_all(machine)


def migrate_prep_local(machine: Machine) -> None:
    """Flush this CPU's pagevecs: what compaction does.  Does not sleep.  Source: mm/migrate.c, v3.3."""
    swap.lru_add_drain(machine)


def putback_lru_pages(pages: list[Page]) -> None:
    """Give back what migrate_pages left on its list, and empty the list.  Source: mm/migrate.c, v3.3."""
    while pages:
        page = pages.pop(0)
        page.zone.account(swap._isolated_statistic(page), -1)
        vmscan.putback_lru_page(page)


# -- the slot ----------------------------------------------------------------------------------------------------


def buffer_migrate_lock_buffers(head: BufferHead, mode: MigrateMode) -> bool:
    """Lock every buffer of a ring, with the reference "migrate" on each; False if ASYNC met a locked one.

    ASYNC only tries (it runs under tree_lock) and undoes all of it on failure; the other modes sleep and cannot fail.
    Source: mm/migrate.c, v3.3.
    """
    if mode != MIGRATE_ASYNC:
        for bh in buffer.ring(head):
            buffer.get_bh(bh, "migrate")
            buffer.lock_buffer(bh)
        return True
    for bh in buffer.ring(head):
        buffer.get_bh(bh, "migrate")
        if not buffer.trylock_buffer(bh):
            # That lock is somebody else's: only the ones from the head up to it are ours to release.
            buffer.put_bh(bh, "migrate")
            _unlock_buffers_before(head, bh)
            return False
    return True


def _unlock_buffers_before(head: BufferHead, failed_bh: BufferHead) -> None:
    """Release the buffers from `head` up to, and without, the one whose trylock failed."""
    bh = head
    while bh is not failed_bh:
        rt.reached("async back-out: middle of the ring")
        buffer.unlock_buffer(bh)
        buffer.put_bh(bh, "migrate")
        following = bh.b_this_page
        assert following is not None
        bh = following


def migrate_page_move_mapping(
    mapping: AddressSpace | None, newpage: Page, page: Page, head: BufferHead | None, mode: MigrateMode
) -> int:
    """Put newpage into the slot of page: 0 or -EAGAIN, then nothing has changed.  Does not sleep.

    Needs both page locks, the page unmapped, newpage's mapping and index set.  The references that may exist are the
    slot's, the isolator's and the private data's; the freeze proves that there are no others, and keeps lookups out
    until the slot shows newpage.  In ASYNC with buffers returns with every buffer of `head` locked.
    Source: mm/migrate.c, v3.3.
    """
    if mapping is None:
        # An anonymous page: nothing leads to it but its ptes, and they are gone.
        if mm.page_count(page) != 1:
            return _stop(-Errno.EAGAIN, "refcount", "migrate: refcount too high")
        rt.reached("migrate: moved anonymous")
        return 0
    rt.spin_lock_irq(mapping.tree_lock)
    slot = radix_tree.radix_tree_lookup_slot(mapping.page_tree, mm.page_index(page))
    assert slot is not None
    expected_count = 2 + page_flags.page_has_private(page)
    if mm.page_count(page) != expected_count or radix_tree.radix_tree_deref_slot_protected(slot) is not page:
        rt.spin_unlock_irq(mapping.tree_lock)
        return _stop(-Errno.EAGAIN, "refcount", "migrate: refcount too high")
    if not filemap.page_freeze_refs(page, expected_count):
        rt.spin_unlock_irq(mapping.tree_lock)
        return _stop(-Errno.EAGAIN, "freeze", "migrate: freeze lost")
    # What can fail must come before the slot moves: once the count has thawed, a lookup that came too late may hold it
    # up for a moment, and moving the slot back could mean to wait, which ASYNC must not.
    if mode == MIGRATE_ASYNC and head is not None and not buffer_migrate_lock_buffers(head, mode):
        filemap.page_unfreeze_refs(page, expected_count)
        rt.spin_unlock_irq(mapping.tree_lock)
        return _stop(-Errno.EAGAIN, "buffer-lock", "async back-out")
    mm.get_page(newpage, "slot")
    radix_tree.radix_tree_replace_slot(slot, newpage)
    _thaw_moved(page, expected_count)
    page.zone.account("NR_FILE_PAGES", -1)
    newpage.zone.account("NR_FILE_PAGES", 1)
    rt.spin_unlock_irq(mapping.tree_lock)
    return 0


def _thaw_moved(page: Page, expected_count: int) -> None:
    """Thaw the old page, whose slot is newpage's now: the slot's reference to it ends with this store."""
    filemap.page_unfreeze_refs(page, expected_count - 1, dropped="slot")


# -- the contents ------------------------------------------------------------------------------------------------


def migrate_page_copy(newpage: Page, page: Page) -> None:
    """Copy data, then flags and dirtiness, then cut the old page off its mapping.  Needs both page locks.

    PG_reclaim and PG_readahead are not copied.  Source: mm/migrate.c, v3.3.
    """
    highmem.copy_highpage(newpage, page)
    if page_flags.PageError(page):
        page_flags.SetPageError(newpage)
    if page_flags.PageReferenced(page):
        page_flags.SetPageReferenced(newpage)
    if page_flags.PageUptodate(page):
        page_flags.SetPageUptodate(newpage)
    if page_flags.TestClearPageActive(page):
        rt.bug_on(page_flags.PageUnevictable(page), "migrate_page_copy: active and unevictable", page=page)
        page_flags.SetPageActive(newpage)
    elif page_flags.TestClearPageUnevictable(page):
        page_flags.SetPageUnevictable(newpage)
    if page_flags.PageChecked(page):
        page_flags.SetPageChecked(newpage)
    if page_flags.PageMappedToDisk(page):
        page_flags.SetPageMappedToDisk(newpage)
    if page_flags.PageDirty(page):
        rt.reached("migrate: moved dirty")
        page_writeback.clear_page_dirty_for_io(page)
        # Not set_page_dirty: that would dirty every buffer, and theirs moved with the ring.
        page_writeback.__set_page_dirty_nobuffers(newpage)
    if page_flags.TestClearPageMlocked(page):
        page_flags.SetPageMlocked(newpage)
    page_flags.ClearPageSwapCache(page)
    page_flags.ClearPagePrivate(page)
    page.private = None
    _leave_mapping(page)
    # Somebody may be waiting for writeback of the target: newpage was reachable all the time.
    if page_flags.PageWriteback(newpage):
        rt.reached("migrate: writeback ended on the target")
        filemap.end_page_writeback(newpage)


def _leave_mapping(page: Page) -> None:
    """Cut the old page off its mapping: in v3.3, before the buffers are unlocked and the ptes restored."""
    page.mapping = None


def migrate_page(mapping: AddressSpace | None, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Move a page that has no buffers: 0 or -EAGAIN.  Needs both page locks.  Source: mm/migrate.c, v3.3."""
    rt.bug_on(page_flags.PageWriteback(page), "migrate_page: page is under writeback", page=page)
    rc = migrate_page_move_mapping(mapping, newpage, page, None, mode)
    if rc:
        return rc
    migrate_page_copy(newpage, page)
    return 0


def _move_ring(newpage: Page, page: Page, head: BufferHead) -> None:
    """Hang a page's ring on another page, with the reference that the ring has.

    Part of buffer_migrate_page: needs both page locks and, in the correct protocol, the buffer locks.
    """
    page_flags.ClearPagePrivate(page)
    newpage.private = page.private
    page.private = None
    swap.put_page(page, "private")
    mm.get_page(newpage, "private")
    for bh in buffer.ring(head):
        buffer.set_bh_page(bh, newpage, buffer.bh_offset(bh))
    page_flags.SetPagePrivate(newpage)


def buffer_migrate_page(mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Move a page with its ring of buffers: 0 or -EAGAIN.  Needs both page locks; sleeps for buffers unless ASYNC.

    Usable only if the file system guarantees that nobody else works on the page through other references: it takes no
    private_lock and never looks at b_count.  Source: mm/migrate.c, v3.3.
    """
    if not buffer.page_has_buffers(page):
        return migrate_page(mapping, newpage, page, mode)
    head = buffer.page_buffers(page)
    rc = migrate_page_move_mapping(mapping, newpage, page, head, mode)
    if rc:
        return rc
    # Here the slot shows newpage already, and the old page still owns ring and data until the buffers are ours.
    if mode != MIGRATE_ASYNC:
        buffer_migrate_lock_buffers(head, mode)
    _move_ring(newpage, page, head)
    migrate_page_copy(newpage, page)
    for bh in buffer.ring(head):
        buffer.unlock_buffer(bh)
        buffer.put_bh(bh, "migrate")
    return 0


def writeout(mapping: AddressSpace, page: Page) -> int:
    """Write a dirty page that cannot be moved dirty; never 0: -EAGAIN for another try later, else an error.  Sleeps.

    Needs the page lock: ->writepage drops it, and this function takes it again.  Source: mm/migrate.c, v3.3.
    """
    wbc = page_writeback.WritebackControl(sync_mode=page_writeback.WB_SYNC_NONE, nr_to_write=1, for_reclaim=True)
    if mapping.a_ops.writepage is None:
        return _stop(-Errno.EINVAL, "writeout", "writeout: no writepage")
    if not page_writeback.clear_page_dirty_for_io(page):
        return _stop(-Errno.EAGAIN, "writeout", "writeout: already clean")
    # The page may be unlocked by ->writepage: its users must be able to get at it, not at a migration entry.
    rmap.remove_migration_ptes(page, page)
    rc = mapping.a_ops.writepage(page, wbc)
    if rc != fs.AOP_WRITEPAGE_ACTIVATE:
        filemap.lock_page(page)
    if rc < 0:
        return _stop(-Errno.EIO, "writeout", "writeout: error")
    return _stop(-Errno.EAGAIN, "writeout", "writeout: written")


def fallback_migrate_page(mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Move a page whose mapping has no ->migratepage: written first if dirty (SYNC only), stripped of private data.

    Source: mm/migrate.c, v3.3.
    """
    if page_flags.PageDirty(page):
        if mode != MIGRATE_SYNC:
            return _stop(-Errno.EBUSY, "dirty", "fallback: dirty, mode may not write")
        return writeout(mapping, page)
    if page_flags.page_has_private(page) and not filemap.try_to_release_page(page):
        return _stop(-Errno.EAGAIN, "releasepage", "fallback: releasepage failed")
    return migrate_page(mapping, newpage, page, mode)


# -- one page ----------------------------------------------------------------------------------------------------


def move_to_new_page(newpage: Page, page: Page, remap_swapcache: bool, mode: MigrateMode) -> int:
    """Move a locked, unmapped page to newpage, which nobody else knows: 0 or a negative errno.

    The old page stays locked; newpage is unlocked at the end, and reachable through the slot if the move succeeded.
    Source: mm/migrate.c, v3.3.
    """
    rt.bug_on(not filemap.trylock_page(newpage), "move_to_new_page: newpage is locked", page=newpage)
    newpage.index = page.index
    newpage.mapping = page.mapping
    if page_flags.PageSwapBacked(page):
        page_flags.SetPageSwapBacked(newpage)
    rc = _move_by_op(newpage, page, mode)
    _settle_move(newpage, page, remap_swapcache, rc)
    filemap.unlock_page(newpage)
    return rc


def _move_by_op(newpage: Page, page: Page, mode: MigrateMode) -> int:
    """The part of move_to_new_page that has the page moved: by its mapping's op, if there is one."""
    mapping = mm.page_mapping(page)
    if mapping is None:
        return migrate_page(mapping, newpage, page, mode)
    if mapping.a_ops.migratepage is not None:
        return mapping.a_ops.migratepage(mapping, newpage, page, mode)
    return fallback_migrate_page(mapping, newpage, page, mode)


def _settle_move(newpage: Page, page: Page, remap_swapcache: bool, rc: int) -> None:
    """The part of move_to_new_page that follows: the ptes go to newpage, or newpage out of the mapping."""
    if rc:
        newpage.mapping = None
    elif remap_swapcache:
        rmap.remove_migration_ptes(page, newpage)


def _lock_source(page: Page, force: bool, mode: MigrateMode) -> int:
    """Lock the page to be moved: 0, or -EAGAIN if it is locked and this pass, mode or task may not sleep for it."""
    if filemap.trylock_page(page):
        return 0
    if not force or mode == MIGRATE_ASYNC:
        return _stop(-Errno.EAGAIN, "page-lock", "migrate: source page lock busy")
    # A direct compactor may itself hold, further up, the lock of a page of the same unsubmitted readahead bio.
    if rt.current().pf & mmzone.PF_MEMALLOC:
        return _stop(-Errno.EAGAIN, "page-lock", "migrate: PF_MEMALLOC may not lock")
    rt.reached("migrate: slept for the page lock")
    filemap.lock_page(page)
    return 0


def __unmap_and_move(page: Page, newpage: Page, force: bool, offlining: bool, mode: MigrateMode) -> int:
    """Lock, wait or refuse, unmap and move one page: 0 or a negative errno.

    `offlining` matters to KSM pages only.
    Source: mm/migrate.c, v3.3.
    """
    rc = _lock_source(page, force, mode)
    if rc:
        return rc
    rc = _unmap_and_move_locked(page, newpage, force, mode)
    filemap.unlock_page(page)
    return rc


def _unmap_and_move_locked(page: Page, newpage: Page, force: bool, mode: MigrateMode) -> int:
    """The part of __unmap_and_move that runs under the page lock."""
    if page_flags.PageWriteback(page):
        if mode != MIGRATE_SYNC:
            return _stop(-Errno.EBUSY, "writeback", "migrate: under writeback, busy")
        if not force:
            return _stop(-Errno.EAGAIN, "writeback", "migrate: under writeback, retry")
        rt.reached("migrate: waited for writeback")
        filemap.wait_on_page_writeback(page)
    anon_vma = None
    if mm.PageAnon(page):
        # Unmapped, it keeps nobody from freeing its anon_vma, by which its ptes are to be found again.
        anon_vma = rmap.page_get_anon_vma(page)
        if anon_vma is None:
            return _stop(-Errno.EAGAIN, "anon-unmapped", "migrate: anonymous, unmapped meanwhile")
    if page.mapping is None:
        if page_flags.page_has_private(page):
            # An orphan of truncation: without its buffers it is free, which the next pass finds out.
            rc = _stop(-Errno.EAGAIN, "truncated", "migrate: truncated")
            buffer.try_to_free_buffers(page)
            return rc
    else:
        rmap.try_to_unmap(page, rmap.TTU_MIGRATION | rmap.TTU_IGNORE_MLOCK | rmap.TTU_IGNORE_ACCESS)
    if mm.page_mapped(page):
        rc = _stop(-Errno.EAGAIN, "mapped", "migrate: mapped")
    else:
        rc = move_to_new_page(newpage, page, True, mode)
    if rc:
        rmap.remove_migration_ptes(page, page)
    if anon_vma is not None:
        rmap.put_anon_vma(anon_vma, "migrate")
    return rc


def unmap_and_move(
    get_new_page: GetNewPage,
    private: object,
    page: Page,
    force: bool,
    offlining: bool,
    mode: MigrateMode,
    from_: list[Page],
) -> int:
    """Get a target and move one page: 0, -EAGAIN (the page stays on `from_`), -ENOMEM, or a permanent failure.

    Unless -EAGAIN or -ENOMEM the page is taken off `from_` and put back: on success that frees it.  The target is put
    back always: on failure it dies when its pagevec is flushed.  Source: mm/migrate.c, v3.3.
    """
    with _migrating(page, mode) as attempt:
        newpage = attempt.target(get_new_page(page, private))
        if newpage is None:
            return -Errno.ENOMEM
        if mm.page_count(page) == 1:
            rc = _stop(0, "freed", "migrate: freed meanwhile")
        else:
            rc = __unmap_and_move(page, newpage, force, offlining, mode)
        attempt.rc = rc
    if rc != -Errno.EAGAIN:
        from_.remove(page)
        page.zone.account(swap._isolated_statistic(page), -1)
        vmscan.putback_lru_page(page)
    vmscan.putback_lru_page(newpage)
    return rc


# -- a list of pages ---------------------------------------------------------------------------------------------


def migrate_pages(
    from_: list[Page],
    get_new_page: GetNewPage,
    private: object,
    offlining: bool,
    mode: MigrateMode,
    passes: int = PASSES,
) -> int:
    """Move isolated pages: 0 if all moved, else how many did not, or -ENOMEM.

    Unless 0 the caller gives back what is left on `from_` with putback_lru_pages.  Args: get_new_page(page, private)
    returns a page with one reference "new", or None; passes: rounds over the pages that said -EAGAIN, forced from the
    fourth on.  Source: mm/migrate.c, v3.3.
    """
    task = rt.current()
    swapwrite = task.pf & mmzone.PF_SWAPWRITE
    task.pf |= mmzone.PF_SWAPWRITE
    retry = 1
    nr_failed = 0
    rc = 0
    for number in range(passes):
        if not retry:
            break
        retry = 0
        for page in list(from_):
            rt.cond_resched()
            rc = unmap_and_move(get_new_page, private, page, number > FORCE_AFTER, offlining, mode, from_)
            if rc == -Errno.ENOMEM:
                break
            if rc == -Errno.EAGAIN:
                retry += 1
            elif rc:
                nr_failed += 1
        if rc == -Errno.ENOMEM:
            break
    if not swapwrite:
        task.pf &= ~mmzone.PF_SWAPWRITE
    if rc == -Errno.ENOMEM:
        return rc
    if retry:
        rt.reached("migrate_pages: pass limit")
    return nr_failed + retry
