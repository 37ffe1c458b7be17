"""The buffer layer's page I/O: reading, writing, dirtying and invalidating whole pages through their rings.

This is the page half of fs/buffer.c, which would be too long in one piece; the other half is in `buffer`.  The kernel
has no file of this name.
Invariant: PG_writeback is set before the page is unlocked and until the last buffer's write ended; a page under read
stays locked until the last buffer's read ended.
Not modelled: delayed allocation.
Source: fs/buffer.c, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.block import device, ownership
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head, fs
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.mm import filemap, highmem, mm, mmzone, page_flags, page_writeback, swap, truncate

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import EndIo
    from mmrace.kernel.fs.fs import AddressSpace, Inode
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.page_writeback import WritebackControl

GetBlock = Callable[["Inode", int, BufferHead, bool], int]

MARKS = (
    ("block_write_full_page: buffer lock busy", "a WB_SYNC_NONE writepage skipped a locked buffer"),
    ("block_write_full_page: nothing to submit", "writeback of a page ended without any I/O"),
    ("block_write_full_page: recover", "get_block failed in the middle of a writepage"),
    ("block_write_full_page: beyond the end", "a page beyond the end of its file was to be written"),
    ("block_read_full_page: filled meanwhile", "a buffer became uptodate between two looks at it"),
    ("write_begin: partial block read", "a block had to be read before part of it was written"),
    ("write_begin: read error", "the read of a partly written block failed"),
)


# -- completions -------------------------------------------------------------------------------------------------------


def end_buffer_async_read(bh: BufferHead, uptodate: bool) -> None:
    """End one read of a page; the last one marks the page uptodate and unlocks it.  Source: fs/buffer.c, v3.3."""
    asynchronous = buffer_head.buffer_async_read(bh)
    rt.bug_on(not asynchronous, "end_buffer_async_read: buffer is not under an asynchronous read", bh=bh)
    page = bh.b_page
    assert page is not None
    if uptodate:
        buffer_head.set_buffer_uptodate(bh)
    else:
        rt.reached("buffer: read error")
        buffer_head.clear_buffer_uptodate(bh)
        page_flags.SetPageError(page)
    first = buffer.page_buffers(page)
    rt.local_irq_disable()
    rt.bit_spin_lock(first.b_state, BufferState.BH_Uptodate_Lock)
    buffer_head.clear_buffer_async_read(bh)
    buffer.unlock_buffer(bh)
    page_uptodate = True
    busy = False
    for tmp in buffer.ring(bh):
        if not buffer_head.buffer_uptodate(tmp):
            page_uptodate = False
        if buffer_head.buffer_async_read(tmp):
            unlocked = not buffer_head.buffer_locked(tmp)
            rt.bug_on(unlocked, "end_buffer_async_read: buffer under I/O is not locked", bh=tmp)
            busy = True
            break
    rt.bit_spin_unlock(first.b_state, BufferState.BH_Uptodate_Lock)
    rt.local_irq_enable()
    if busy:
        return
    if page_uptodate and not page_flags.PageError(page):
        page_flags.SetPageUptodate(page)
    filemap.unlock_page(page)


def end_buffer_async_write(bh: BufferHead, uptodate: bool) -> None:
    """End one write of a page; the last one ends the page's writeback.  Source: fs/buffer.c, v3.3."""
    asynchronous = buffer_head.buffer_async_write(bh)
    rt.bug_on(not asynchronous, "end_buffer_async_write: buffer is not under an asynchronous write", bh=bh)
    page = bh.b_page
    assert page is not None
    if uptodate:
        buffer_head.set_buffer_uptodate(bh)
    else:
        rt.reached("buffer: write error")
        # PG_writeback keeps the page in its mapping; the kernel follows the pointer without a look.
        mapping = page.mapping
        rt.bug_on(mapping is None, "NULL mapping followed in end_buffer_async_write", page=page)
        assert mapping is not None
        rt.set_bit(mapping.flags, fs.AS_EIO)
        buffer_head.set_buffer_write_io_error(bh)
        buffer_head.clear_buffer_uptodate(bh)
        page_flags.SetPageError(page)
    first = buffer.page_buffers(page)
    rt.local_irq_disable()
    rt.bit_spin_lock(first.b_state, BufferState.BH_Uptodate_Lock)
    buffer_head.clear_buffer_async_write(bh)
    buffer.unlock_buffer(bh)
    busy = False
    for tmp in buffer.ring(bh):
        if tmp is not bh and buffer_head.buffer_async_write(tmp):
            unlocked = not buffer_head.buffer_locked(tmp)
            rt.bug_on(unlocked, "end_buffer_async_write: buffer under I/O is not locked", bh=tmp)
            busy = True
            break
    rt.bit_spin_unlock(first.b_state, BufferState.BH_Uptodate_Lock)
    rt.local_irq_enable()
    if not busy:
        filemap.end_page_writeback(page)


def mark_buffer_async_read(bh: BufferHead) -> None:
    """Make a locked buffer's I/O one of a page read.  Source: fs/buffer.c, v3.3."""
    bh.b_end_io = end_buffer_async_read
    buffer_head.set_buffer_async_read(bh)


def mark_buffer_async_write_endio(bh: BufferHead, handler: EndIo) -> None:
    """Make a locked buffer's I/O one of a page writeback that ends with `handler`.  Source: fs/buffer.c, v3.3."""
    bh.b_end_io = handler
    buffer_head.set_buffer_async_write(bh)


# -- writing a page ----------------------------------------------------------------------------------------------------


def __block_write_full_page(
    inode: Inode, page: Page, get_block: GetBlock | None, wbc: WritebackControl, handler: EndIo
) -> int:
    """Write the dirty buffers of a locked page whose dirty bit the caller took; unlocks the page.  May sleep.

    The writes hold no buffer reference: PG_writeback keeps the ring.  Returns 0 or an error of `get_block`.
    Source: fs/buffer.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "__block_write_full_page: page is not locked", page=page)
    if not buffer.page_has_buffers(page):
        buffer.create_empty_buffers(page, dirty=True, uptodate=True)
    head = buffer.page_buffers(page)
    error = _map_dirty_buffers(inode, page, head, get_block)
    if error:
        return _recover_write(page, head, handler, error)
    for bh in buffer.ring(head):
        if not buffer_head.buffer_mapped(bh):
            continue
        # Background writeback skips a buffer that somebody else is at; the page stays dirty for the next round.
        if wbc.sync_mode != page_writeback.WB_SYNC_NONE:
            buffer.lock_buffer(bh)
        elif not buffer.trylock_buffer(bh):
            rt.reached("block_write_full_page: buffer lock busy")
            page_writeback.redirty_page_for_writepage(wbc, page)
            continue
        if buffer_head.test_clear_buffer_dirty(bh):
            mark_buffer_async_write_endio(bh, handler)
        else:
            buffer.unlock_buffer(bh)
    rt.bug_on(page_flags.PageWriteback(page), "__block_write_full_page: page is under writeback", page=page)
    page_writeback.set_page_writeback(page)
    nr_underway = _submit_async_writes(head)
    filemap.unlock_page(page)
    if nr_underway == 0:
        # Nobody else ends this writeback; the page is not touched after it.
        rt.reached("block_write_full_page: nothing to submit")
        filemap.end_page_writeback(page)
    return 0


def _map_dirty_buffers(inode: Inode, page: Page, head: BufferHead, get_block: GetBlock | None) -> int:
    """Map each dirty buffer that has no block yet; those beyond the file's end become clean.  May sleep."""
    machine = mmzone.page_machine(page)
    last_block = (inode.i_size - 1) // machine.words_per_buffer
    block = mm.page_index(page) * machine.buffers_per_page
    for bh in buffer.ring(head):
        if block > last_block:
            buffer_head.clear_buffer_dirty(bh)
            buffer_head.set_buffer_uptodate(bh)
        elif not buffer_head.buffer_mapped(bh) and buffer_head.buffer_dirty(bh):
            rt.bug_on(get_block is None, "__block_write_full_page: an unmapped buffer and no get_block", bh=bh)
            assert get_block is not None
            error = get_block(inode, block, bh, True)
            if error:
                return error
            buffer_head.clear_buffer_delay(bh)
            if buffer_head.buffer_new(bh):
                buffer_head.clear_buffer_new(bh)
                _forget_metadata(bh)
        block += 1
    return 0


def _forget_metadata(bh: BufferHead) -> None:
    bdev = bh.b_bdev
    assert bdev is not None
    buffer.unmap_underlying_metadata(bdev, bh.b_blocknr)


def _submit_async_writes(head: BufferHead) -> int:
    """Submit the buffers that are marked; returns how many.  PG_writeback keeps the ring meanwhile."""
    nr_underway = 0
    bh = head
    while True:
        next_bh = bh.b_this_page
        if buffer_head.buffer_async_write(bh):
            buffer.submit_bh(device.WRITE, bh)
            nr_underway += 1
        assert next_bh is not None
        bh = next_bh
        if bh is head:
            return nr_underway


def _recover_write(page: Page, head: BufferHead, handler: EndIo, error: int) -> int:
    """Write the mapped buffers in spite of get_block's error, then return that error.  Unlocks the page."""
    rt.reached("block_write_full_page: recover")
    for bh in buffer.ring(head):
        if buffer_head.buffer_mapped(bh) and buffer_head.buffer_dirty(bh) and not buffer_head.buffer_delay(bh):
            buffer.lock_buffer(bh)
            mark_buffer_async_write_endio(bh, handler)
        else:
            # The page is going to have an error on it: do not let the dirty bit bring it back for ever.
            buffer_head.clear_buffer_dirty(bh)
    page_flags.SetPageError(page)
    rt.bug_on(page_flags.PageWriteback(page), "__block_write_full_page: page is under writeback", page=page)
    mapping = page.mapping
    assert mapping is not None
    filemap.mapping_set_error(mapping, error)
    page_writeback.set_page_writeback(page)
    nr_underway = 0
    for bh in buffer.ring(head):
        if buffer_head.buffer_async_write(bh):
            buffer_head.clear_buffer_dirty(bh)
            buffer.submit_bh(device.WRITE, bh)
            nr_underway += 1
    filemap.unlock_page(page)
    if nr_underway == 0:
        filemap.end_page_writeback(page)
    return error


def block_write_full_page(page: Page, get_block: GetBlock | None, wbc: WritebackControl) -> int:
    """Write a locked page, as ->writepage; unlocks it.  Source: fs/buffer.c, v3.3."""
    return block_write_full_page_endio(page, get_block, wbc, end_buffer_async_write)


def block_write_full_page_endio(page: Page, get_block: GetBlock | None, wbc: WritebackControl, handler: EndIo) -> int:
    """Write a locked page with `handler` as end handler; what lies beyond the file's end is dropped or zeroed.

    Source: fs/buffer.c, v3.3.
    """
    mapping = page.mapping
    assert mapping is not None
    inode = mapping.host
    words_per_page = mapping.machine.words_per_page
    end_index, offset = divmod(inode.i_size, words_per_page)
    index = mm.page_index(page)
    if index < end_index:
        return __block_write_full_page(inode, page, get_block, wbc, handler)
    if index >= end_index + 1 or offset == 0:
        rt.reached("block_write_full_page: beyond the end")
        truncate.do_invalidatepage(page, 0)
        filemap.unlock_page(page)
        return 0
    highmem.zero_user_segment(page, offset, words_per_page)
    return __block_write_full_page(inode, page, get_block, wbc, handler)


# -- reading a page ----------------------------------------------------------------------------------------------------


def block_read_full_page(page: Page, get_block: GetBlock) -> int:
    """Read what a locked page lacks, as ->readpage; it is unlocked when the last read ended.  May sleep.

    Source: fs/buffer.c, v3.3.
    """
    mapping = page.mapping
    rt.bug_on(mapping is None, "NULL mapping followed in readpage", page=page)
    assert mapping is not None
    rt.bug_on(not page_flags.PageLocked(page), "block_read_full_page: page is not locked", page=page)
    if not buffer.page_has_buffers(page):
        buffer.create_empty_buffers(page)
    bhs = _buffers_to_read(mapping.host, page, get_block)
    if not bhs:
        # Everything was there, or there was an error: nothing is to be waited for.
        if not page_flags.PageError(page):
            page_flags.SetPageUptodate(page)
        filemap.unlock_page(page)
        return 0
    for bh in bhs:
        buffer.lock_buffer(bh)
        mark_buffer_async_read(bh)
    ownership.page_lock_to_reads(page)
    for bh in bhs:
        if buffer_head.buffer_uptodate(bh):
            # Somebody read it under the buffer lock meanwhile: our read of it ends here.
            rt.reached("block_read_full_page: filled meanwhile")
            with ownership.acting_for(page):
                end_buffer_async_read(bh, True)
        else:
            buffer.submit_bh(device.READ, bh)
    return 0


def _buffers_to_read(inode: Inode, page: Page, get_block: GetBlock) -> list[BufferHead]:
    """Collect the buffers of a locked page that must be read; zeroes those beyond the file's end."""
    machine = mmzone.page_machine(page)
    block = mm.page_index(page) * machine.buffers_per_page
    end_block = -(-inode.i_size // machine.words_per_buffer)
    fully_mapped = True
    found: list[BufferHead] = []
    for bh in buffer.ring(buffer.page_buffers(page)):
        block += 1
        if buffer_head.buffer_uptodate(bh):
            continue
        if not buffer_head.buffer_mapped(bh):
            fully_mapped = False
            error = 0
            if block - 1 < end_block:
                error = get_block(inode, block - 1, bh, False)
                if error:
                    page_flags.SetPageError(page)
            if not buffer_head.buffer_mapped(bh):
                start = buffer.bh_offset(bh)
                highmem.zero_user_segment(page, start, start + bh.b_size)
                if not error:
                    buffer_head.set_buffer_uptodate(bh)
                continue
            # get_block may have filled the buffer itself.
            if buffer_head.buffer_uptodate(bh):
                continue
        found.append(bh)
    if fully_mapped:
        page_flags.SetPageMappedToDisk(page)
    return found


def block_is_partially_uptodate(page: Page, from_: int, count: int) -> bool:
    """Say whether the buffers that hold words from_..from_+count-1 are uptodate.  Needs the page lock.

    Source: fs/buffer.c, v3.3.
    """
    if not buffer.page_has_buffers(page):
        return False
    size = mmzone.page_machine(page).words_per_buffer
    start = 0
    for bh in buffer.ring(buffer.page_buffers(page)):
        if start + size > from_ and not buffer_head.buffer_uptodate(bh):
            return False
        start += size
        if start >= from_ + count:
            break
    return True


# -- changing a page ---------------------------------------------------------------------------------------------------


def __block_write_begin(page: Page, pos: int, count: int, get_block: GetBlock) -> int:
    """Prepare a locked page for a write of `count` words at word `pos` of the file; 0 or an error.  May sleep.

    Blocks that are written only in part and are not uptodate are read first.  Source: fs/buffer.c, v3.3.
    """
    mapping = page.mapping
    rt.bug_on(mapping is None, "NULL mapping followed in __block_write_begin", page=page)
    assert mapping is not None
    rt.bug_on(not page_flags.PageLocked(page), "__block_write_begin: page is not locked", page=page)
    machine = mapping.machine
    from_ = pos % machine.words_per_page
    to = from_ + count
    if not buffer.page_has_buffers(page):
        buffer.create_empty_buffers(page)
    block = mm.page_index(page) * machine.buffers_per_page
    wait: list[BufferHead] = []
    error = 0
    for number, bh in enumerate(buffer.ring(buffer.page_buffers(page))):
        start = number * bh.b_size
        end = start + bh.b_size
        if end <= from_ or start >= to:
            if page_flags.PageUptodate(page) and not buffer_head.buffer_uptodate(bh):
                buffer_head.set_buffer_uptodate(bh)
            continue
        error = _prepare_block(mapping.host, page, bh, block + number, get_block, (from_, to), wait)
        if error:
            break
    for bh in wait:
        buffer.wait_on_buffer(bh)
        if not buffer_head.buffer_uptodate(bh):
            rt.reached("write_begin: read error")
            error = -Errno.EIO
    if error:
        page_zero_new_buffers(page, from_, to)
    return error


def _prepare_block(
    inode: Inode,
    page: Page,
    bh: BufferHead,
    block: int,
    get_block: GetBlock,
    written: tuple[int, int],
    wait: list[BufferHead],
) -> int:
    """Map one block that is to be written, and start reading it if only part of it is."""
    from_, to = written
    start = buffer.bh_offset(bh)
    end = start + bh.b_size
    if buffer_head.buffer_new(bh):
        buffer_head.clear_buffer_new(bh)
    if not buffer_head.buffer_mapped(bh):
        error = get_block(inode, block, bh, True)
        if error:
            return error
        if buffer_head.buffer_new(bh):
            _forget_metadata(bh)
            if page_flags.PageUptodate(page):
                buffer_head.clear_buffer_new(bh)
                buffer_head.set_buffer_uptodate(bh)
                buffer.mark_buffer_dirty(bh)
                return 0
            highmem.zero_user_segment(page, start, max(start, from_))
            highmem.zero_user_segment(page, min(end, to), end)
            return 0
    if page_flags.PageUptodate(page):
        if not buffer_head.buffer_uptodate(bh):
            buffer_head.set_buffer_uptodate(bh)
        return 0
    if not buffer_head.buffer_uptodate(bh) and (start < from_ or end > to):
        rt.reached("write_begin: partial block read")
        buffer.ll_rw_block(device.READ, [bh])
        wait.append(bh)
    return 0


def page_zero_new_buffers(page: Page, from_: int, to: int) -> None:
    """Zero the new blocks of a write that failed, so that nothing stale is shown.  Source: fs/buffer.c, v3.3."""
    rt.bug_on(not page_flags.PageLocked(page), "page_zero_new_buffers: page is not locked", page=page)
    if not buffer.page_has_buffers(page):
        return
    for number, bh in enumerate(buffer.ring(buffer.page_buffers(page))):
        start = number * bh.b_size
        end = start + bh.b_size
        if buffer_head.buffer_new(bh) and end > from_ and start < to:
            if not page_flags.PageUptodate(page):
                highmem.zero_user_segment(page, max(from_, start), min(to, end))
                buffer_head.set_buffer_uptodate(bh)
            buffer_head.clear_buffer_new(bh)
            buffer.mark_buffer_dirty(bh)


def __block_commit_write(page: Page, from_: int, to: int) -> int:
    """Mark the blocks of a finished write uptodate and dirty, and the page uptodate if all are.  Needs the page lock.

    Source: fs/buffer.c, v3.3.
    """
    partial = False
    for number, bh in enumerate(buffer.ring(buffer.page_buffers(page))):
        start = number * bh.b_size
        if start + bh.b_size <= from_ or start >= to:
            if not buffer_head.buffer_uptodate(bh):
                partial = True
        else:
            buffer_head.set_buffer_uptodate(bh)
            buffer.mark_buffer_dirty(bh)
        buffer_head.clear_buffer_new(bh)
    if not partial:
        page_flags.SetPageUptodate(page)
    return 0


def block_write_begin(mapping: AddressSpace, pos: int, count: int, get_block: GetBlock) -> tuple[int, Page | None]:
    """Lock and prepare the page of a write: (0, page) or (error, None).  Source: fs/buffer.c, v3.3."""
    page = filemap.grab_cache_page_write_begin(mapping, pos // mapping.machine.words_per_page)
    if page is None:
        return -Errno.ENOMEM, None
    error = __block_write_begin(page, pos, count, get_block)
    if error:
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        return error, None
    return 0, page


def block_write_end(mapping: AddressSpace, pos: int, count: int, copied: int, page: Page) -> int:
    """Commit the blocks of a write of which `copied` words were stored; returns `copied`.

    Source: fs/buffer.c, v3.3.
    """
    start = pos % mapping.machine.words_per_page
    if copied < count:
        # A short copy into a block that is not uptodate counts as nothing.
        if not page_flags.PageUptodate(page):
            copied = 0
        page_zero_new_buffers(page, start + copied, start + count)
    __block_commit_write(page, start, start + copied)
    return copied


def generic_write_end(mapping: AddressSpace, pos: int, count: int, copied: int, page: Page) -> int:
    """Commit a write, grow the file if it went beyond its end, unlock and release.  Source: fs/buffer.c, v3.3."""
    copied = block_write_end(mapping, pos, count, copied, page)
    if pos + copied > mapping.host.i_size:
        fs.i_size_write(mapping.host, pos + copied)
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")
    return copied


# -- invalidating a page -----------------------------------------------------------------------------------------------


def discard_buffer(bh: BufferHead) -> None:
    """Make a buffer mean nothing.  Needs the page lock; sleeps for the buffer lock.  Source: fs/buffer.c, v3.3."""
    buffer.lock_buffer(bh)
    buffer_head.clear_buffer_dirty(bh)
    bh.b_bdev = None
    buffer_head.clear_buffer_mapped(bh)
    buffer_head.clear_buffer_req(bh)
    buffer_head.clear_buffer_new(bh)
    buffer_head.clear_buffer_delay(bh)
    buffer_head.clear_buffer_unwritten(bh)
    buffer.unlock_buffer(bh)


def block_invalidatepage(page: Page, offset: int) -> None:
    """Discard the buffers from word `offset` on; for a whole page try to strip them too.  Needs the page lock.

    Source: fs/buffer.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "block_invalidatepage: page is not locked", page=page)
    if not buffer.page_has_buffers(page):
        return
    for number, bh in enumerate(buffer.ring(buffer.page_buffers(page))):
        if offset <= number * bh.b_size:
            discard_buffer(bh)
    # Only a whole page may lose its ring: with a part, somebody else may hold on to what is left.
    if offset == 0:
        filemap.try_to_release_page(page)
