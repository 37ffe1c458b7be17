"""ext3 on top of page cache and journal: write, writepage, readpage, releasepage, in three data modes.

Invariant: a handle is opened with the page lock held and never the other way round; in ordered mode every buffer that a
write dirtied is filed for the transaction before its handle closes.
Not modelled: bitmaps and indirect blocks (where each block of a file goes is settled when it is made; whether it is
there, the inode says), quotas, extended attributes.
Source: fs/ext3/inode.c, fs/ext3/super.c, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, cast

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head, buffer_page, ext3_truncate, fs, mpage
from mmrace.kernel.fs import inode as inode_
from mmrace.kernel.jbd import jbd, transaction, transaction_page
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.mm import filemap, migrate, mm, page_flags, page_writeback, swap

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpace, AddressSpaceOperations, Inode
    from mmrace.kernel.jbd.jbd import Handle, Journal
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine
    from mmrace.kernel.mm.page_writeback import WritebackControl

EXT3_TRANS_BLOCKS = 2
"""Credits of a handle that touches no metadata but the inode block."""

ALLOC_RETRIES = 3
"""How often a write that finds no free block waits for a commit and tries again (ext3_should_retry_alloc)."""

DEFAULT_LOG_BLOCKS = 256
"""Blocks of the log: more than the commits of one run write."""
DEFAULT_INODE_BLOCKS = 4

MARKS: tuple[tuple[str, str], ...] = (
    ("ext3: writepage inside a handle", "writepage was called with a handle open: page dirtied again, not written"),
    ("ext3: writepage got no handle", "the journal was aborted: page dirtied again, not written"),
    ("ext3: writepage with a handle", "some buffer was unmapped: journal_start under the page lock"),
    ("ext3: writepage filed data without the page lock", "journal_dirty_data after the page was unlocked"),
    ("ext3: write_begin failed", "the page could not be prepared: handle closed, page released"),
    ("ext3: write waited for the commit of a truncation", "no block was free before that: a commit was forced"),
    ("ext3: hole", "a block was asked for that was truncated: there is none"),
    ("ext3: block allocated again", "a write got the block that a truncation had freed"),
    (
        "ext3: freed block not committed yet",
        "a block may not be used again before the transaction that freed it is over",
    ),
    ("ext3: dirty buffer taken over", "data=journal: the transaction took over a buffer that was dirty"),
    ("ext3: inode block changed", "a write journaled its inode's block"),
    ("ext3: inode block unreadable", "an inode's block could not be read: the change is not journaled"),
    ("ext3: block allocated", "a write came to a hole: the block became the file's, in the write's transaction"),
)

_MAP_SHIFT = 32  # in a word of an inode block: above the number of the change, which stays below that, is the block map


class DataMode(Enum):
    """How file data is treated: the data= mount option."""

    ORDERED = "ordered"
    WRITEBACK = "writeback"
    JOURNAL = "journal"


class Ext3:
    """A mounted ext3: where things are on its device, and its settings.  Nothing in it changes during a run.

    Layout: `inodes` inode blocks from block 0 on, the log, the files' data.  Inode i has inode block i % inodes.
    Args: data: "ordered", "writeback" or "journal"; metadata: every write changes its inode's block through the
    journal; the other settings are the journal's (see `Journal`).  Source: fs/ext3/super.c, v3.3.
    """

    __slots__ = ("bdev", "data", "inodes", "journal", "machine", "metadata", "next_block")

    def __init__(
        self,
        machine: Machine,
        bdev: BlockDevice,
        *,
        inodes: int = DEFAULT_INODE_BLOCKS,
        data: str = "ordered",
        metadata: bool = False,
        log_blocks: int = DEFAULT_LOG_BLOCKS,
        **settings: object,
    ) -> None:
        self.machine = machine
        self.bdev = bdev
        self.inodes = inodes
        self.data = DataMode(data)
        self.metadata = metadata
        self.journal: Journal = journal_.journal_init_dev(bdev, inodes, log_blocks, **settings)
        self.next_block = inodes + log_blocks
        bdev.bdev_try_to_free_page = lambda page: bdev_try_to_free_page(self, page)


def ext3_iget(sbi: Ext3, ino: int, blocks: int, holes: int = 0) -> Inode:
    """Make inode `ino` of `blocks` blocks, laid out one after the other, the last `holes` not allocated.  For set-up.

    Source: fs/ext3/inode.c, v3.3.
    """
    inode = inode_.new_inode(sbi, ino, sbi.machine, ext3_set_aops(sbi), blocks)
    inode.i_data = sbi.next_block
    inode.i_laid = blocks - holes
    sbi.next_block += blocks
    return inode


def ext3_set_aops(sbi: Ext3) -> AddressSpaceOperations:
    """Choose the operations of a file's mapping by data mode.  Source: fs/ext3/inode.c, v3.3."""
    match sbi.data:
        case DataMode.ORDERED:
            return ext3_ordered_aops()
        case DataMode.WRITEBACK:
            return ext3_writeback_aops()
        case DataMode.JOURNAL:
            return ext3_journalled_aops()


def EXT3_SB(inode: Inode) -> Ext3:
    """Return the file system of an inode.  Source: include/linux/ext3_fs.h, v3.3."""
    return cast(Ext3, inode.i_sb)


def ext3_should_journal_data(inode: Inode) -> bool:
    """Say whether the file's data go through the journal.  Source: include/linux/ext3_jbd.h, v3.3."""
    return EXT3_SB(inode).data is DataMode.JOURNAL


def EXT3_JOURNAL(inode: Inode) -> Journal:
    """Return the journal of an inode.  Source: include/linux/ext3_jbd.h, v3.3."""
    return EXT3_SB(inode).journal


# -- handles -------------------------------------------------------------------------------------------------


def ext3_journal_current_handle() -> Handle | None:
    """Return the handle that this task has open.  Source: include/linux/ext3_jbd.h, v3.3."""
    return transaction.journal_current_handle()


def ext3_journal_start(inode: Inode, nblocks: int) -> Handle:
    """Open a handle; sleeps while the running transaction closes.  -EROFS in its place if the journal was aborted.

    Simplified: 3.3 makes the file system read-only then, and an fsync that begins after that returns 0; here it goes on
    and tells of the abort.  Source: include/linux/ext3_jbd.h, fs/ext3/super.c, v3.3.
    """
    return transaction.journal_start(EXT3_JOURNAL(inode), nblocks)


def ext3_journal_stop(handle: Handle) -> int:
    """Close a handle; 0, or -EIO if its journal was aborted.  Source: include/linux/ext3_jbd.h, v3.3."""
    return transaction.journal_stop(handle)


def ext3_writepage_trans_blocks(inode: Inode) -> int:
    """Say how many credits writing one page can need.  Source: fs/ext3/inode.c, v3.3."""
    sbi = EXT3_SB(inode)
    return EXT3_TRANS_BLOCKS + (sbi.machine.buffers_per_page if sbi.data is DataMode.JOURNAL else 0)


# -- the inode's own block -----------------------------------------------------------------------------------


def _inode_block(inode: Inode) -> int:
    """Return the number of the block that an inode lies in.  Point: never."""
    assert isinstance(inode.i_ino, int), "an inode of ext3 has a number"
    return inode.i_ino % EXT3_SB(inode).inodes


def ext3_get_inode_loc(inode: Inode) -> BufferHead | None:
    """Return the buffer of the inode's block, read and counted; None on a read error.  Sleeps.

    Source: fs/ext3/inode.c, v3.3.
    """
    return buffer.__bread(EXT3_SB(inode).bdev, _inode_block(inode), "ext3")


def ext3_do_update_inode(handle: Handle, inode: Inode, bh: BufferHead) -> None:
    """Store the inode in its block and file the block.

    Sleeps on the buffer lock, which keeps others out of the block; where the inode lies in it is settled before, so
    that who moved the block to another page meanwhile loses this change.  What is stored is the number of the change
    and the map of the blocks, in every word: a torn block shows.  Simplified: of the inodes in a block, one at most has
    holes.  Source: fs/ext3/inode.c, v3.3.
    """
    page, offset = buffer._data_of(bh)
    buffer.lock_buffer(bh)
    held = page.words.read(offset)
    block, change = _inode_block(inode), _raw_inode(inode, held)
    rt.note("change-begin", block, held, change)
    for i in range(bh.b_size):
        page.words.write(offset + i, change)
    rt.note("change-end", block, change)
    buffer.unlock_buffer(bh)
    transaction.journal_dirty_metadata(handle, bh)
    inode.i_sync_tid = transaction._handle_transaction(handle).t_tid


def _raw_inode(inode: Inode, held: int) -> int:
    """Return the word to store where `held` is.  An inode without holes leaves the map of its neighbour alone."""
    block_map = inode.i_map if inode.i_laid < inode.i_blocks else held >> _MAP_SHIFT
    return block_map << _MAP_SHIFT | held % (1 << _MAP_SHIFT) + 1


def _blocks_mapped(word: int) -> set[int]:
    """Return which blocks beyond those from the start a stored inode has, counted from `i_laid` on.  Point: never."""
    block_map = word >> _MAP_SHIFT
    return {number for number in range(block_map.bit_length()) if block_map >> number & 1}


def ext3_mark_inode_dirty(handle: Handle, inode: Inode) -> None:
    """Change the inode's block in this transaction.  Sleeps.  Source: fs/ext3/inode.c, v3.3."""
    rt.reached("ext3: inode block changed")
    bh = ext3_get_inode_loc(inode)
    if bh is None:
        rt.reached("ext3: inode block unreadable")
        return
    if transaction.journal_get_write_access(handle, bh) == 0:
        ext3_do_update_inode(handle, inode, bh)
    buffer.__brelse(bh, "ext3")


def ext3_dirty_inode(inode: Inode) -> None:
    """Change the inode's block in a handle of its own, or in the one that is open.  Sleeps.

    What chmod(2), utime(2) and their kind end in.  Needs no page lock.  Source: fs/ext3/inode.c, v3.3.
    """
    handle = ext3_journal_start(inode, EXT3_TRANS_BLOCKS)
    if jbd.IS_ERR(handle):
        return
    ext3_mark_inode_dirty(handle, inode)
    ext3_journal_stop(handle)


# -- blocks --------------------------------------------------------------------------------------------------


def _freed_by(inode: Inode, iblock: int) -> int:
    """Return the transaction that freed a block of the file, 0 if none did since it was the file's."""
    return next((tid for block, tid in inode.i_freed if block == iblock), 0)


def _is_allocated(inode: Inode, iblock: int) -> bool:
    """Look a block up."""
    if _freed_by(inode, iblock):
        return False
    return iblock < inode.i_laid or bool(inode.i_map >> (iblock - inode.i_laid) & 1)


def ext3_get_block(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
    """Map a buffer to its block on the device.  A hole stays unmapped, or gets a block with `create`, and may sleep.

    0, or -ENOSPC if the block was freed by a transaction that is not committed yet: the disk has no other for the file.
    A new block is the file's as soon as the inode says so, which is logged with the open handle's transaction; what the
    device has there is whatever it had before.  Source: (ext3_get_blocks_handle) fs/ext3/inode.c, v3.3.
    """
    new = False
    if not _is_allocated(inode, iblock):
        if not create:
            rt.reached("ext3: hole")
            return 0
        handle = ext3_journal_current_handle()
        rt.bug_on(handle is None, "block allocated without a handle", inode=inode)
        assert handle is not None
        rt.mutex_lock(inode.truncate_mutex)
        new = not _is_allocated(inode, iblock)
        error = ext3_splice_branch(handle, inode, iblock) if new else 0
        rt.mutex_unlock(inode.truncate_mutex)
        if error:
            return error
    if new:
        buffer_head.set_buffer_new(bh)
    buffer.map_bh(bh, EXT3_SB(inode).bdev, inode.i_data + iblock)
    return 0


def ext3_splice_branch(handle: Handle, inode: Inode, iblock: int) -> int:
    """Make a block the file's: enter it in the inode, and log that; 0 or -ENOSPC.  Needs truncate_mutex; sleeps.

    One that was freed is free once that is committed, as the bitmap's committed copy has it in 3.3.  Simplified: the
    block is reserved for the file, so no bitmap says that it is taken.
    Source: fs/ext3/inode.c, fs/ext3/balloc.c (ext3_test_allocatable), v3.3.
    """
    tid = _freed_by(inode, iblock)
    if tid > EXT3_JOURNAL(inode).j_commit_sequence:
        rt.reached("ext3: freed block not committed yet")
        return -Errno.ENOSPC
    if tid:
        rt.reached("ext3: block allocated again")
        inode.i_freed = tuple(freed for freed in inode.i_freed if freed[0] != iblock)
    if iblock >= inode.i_laid:
        rt.reached("ext3: block allocated")
        inode.i_map = inode.i_map | 1 << (iblock - inode.i_laid)
    ext3_mark_inode_dirty(handle, inode)
    return 0


def walk_page_buffers(
    handle: Handle | None,
    head: BufferHead,
    from_: int,
    to: int,
    fn: Callable[[Handle | None, BufferHead], int],
    partial: list[BufferHead] | None = None,
) -> int:
    """Call `fn` on each buffer of a ring that overlaps words [from_, to); stop at its first non-zero return.

    Walks by b_this_page from `head`, whatever page the ring hangs on; the link is read first, for after `fn` the buffer
    may be gone.  Args: partial: gets the buffers outside that are not uptodate (a flag in the kernel).
    Source: fs/ext3/inode.c, v3.3.
    """
    block_start, bh, following = 0, head, head.b_this_page
    while True:
        block_end = block_start + bh.b_size
        if block_end <= from_ or block_start >= to:
            if partial is not None and not buffer_head.buffer_uptodate(bh):
                partial.append(bh)
        else:
            ret = fn(handle, bh)
            if ret:
                return ret
        if following is head:
            return 0
        rt.bug_on(following is None, "a buffer ring does not close", head=head)
        assert following is not None
        block_start, bh, following = block_end, following, following.b_this_page


def bget_one(handle: Handle | None, bh: BufferHead) -> int:
    """Count a buffer.  Source: fs/ext3/inode.c, v3.3."""
    buffer.get_bh(bh, "ext3")
    return 0


def bput_one(handle: Handle | None, bh: BufferHead) -> int:
    """Undo `bget_one`.  Source: fs/ext3/inode.c, v3.3."""
    buffer.put_bh(bh, "ext3")
    return 0


def buffer_unmapped(handle: Handle | None, bh: BufferHead) -> int:
    """Say whether a buffer has no block.  Source: fs/ext3/inode.c, v3.3."""
    return int(not buffer_head.buffer_mapped(bh))


def journal_dirty_data_fn(handle: Handle | None, bh: BufferHead) -> int:
    """File a mapped, uptodate buffer as ordered data.  May sleep.  Source: fs/ext3/inode.c, v3.3."""
    assert handle is not None
    if buffer_head.buffer_mapped(bh) and buffer_head.buffer_uptodate(bh):
        return transaction.journal_dirty_data(handle, bh)
    return 0


def do_journal_get_write_access(handle: Handle | None, bh: BufferHead) -> int:
    """Take write access to a data buffer that is journalled; a dirty one the transaction takes over.  Sleeps.

    A dirty bit is cleared before the journal looks, and set again for the journal only; the page lock keeps writeback
    from the buffer meanwhile, nothing keeps a checkpoint (R30).  Source: fs/ext3/inode.c, v3.3.
    """
    assert handle is not None
    dirty = buffer_head.buffer_dirty(bh)
    if not buffer_head.buffer_mapped(bh) or jbd.buffer_freed(bh):
        return 0
    if dirty:
        rt.reached("ext3: dirty buffer taken over")
        buffer_head.clear_buffer_dirty(bh)
    ret = transaction.journal_get_write_access(handle, bh)
    if ret == 0 and dirty:
        transaction.journal_dirty_metadata(handle, bh)
    return ret


def write_end_fn(handle: Handle | None, bh: BufferHead) -> int:
    """File a data buffer as metadata, in data=journal mode.  Source: fs/ext3/inode.c, v3.3."""
    assert handle is not None
    if not buffer_head.buffer_mapped(bh) or jbd.buffer_freed(bh):
        return 0
    buffer_head.set_buffer_uptodate(bh)
    transaction.journal_dirty_metadata(handle, bh)
    return 0


# -- write ---------------------------------------------------------------------------------------------------


def ext3_write_begin(mapping: AddressSpace, pos: int, length: int) -> tuple[int, Page | None]:
    """Lock the page of a write, open a handle under that lock, read what the write does not cover.  Sleeps.

    Returns (0, locked page) with the handle left open, or (negative errno, None).  If no block is free it waits for a
    commit, which may free some, and tries again.  Source: fs/ext3/inode.c, v3.3.
    """
    for _ in range(ALLOC_RETRIES):
        ret, page = _write_begin(mapping, pos, length)
        if ret != -Errno.ENOSPC or not journal_.journal_force_commit_nested(EXT3_JOURNAL(mapping.host)):
            return ret, page
        rt.reached("ext3: write waited for the commit of a truncation")
    return _write_begin(mapping, pos, length)


def _write_begin(mapping: AddressSpace, pos: int, length: int) -> tuple[int, Page | None]:
    """Try once to begin a write; what it made beyond the file's end is truncated again if it fails."""
    inode = mapping.host
    index, from_ = divmod(pos, mapping.machine.words_per_page)
    page = filemap.grab_cache_page_write_begin(mapping, index)
    if page is None:
        return -Errno.ENOMEM, None
    # One credit more than writepage: the inode on the orphan list.
    handle = ext3_journal_start(inode, ext3_writepage_trans_blocks(inode) + 1)
    if jbd.IS_ERR(handle):
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        return jbd.PTR_ERR(handle), None
    ret = buffer_page.__block_write_begin(page, pos, length, ext3_get_block)
    if ret == 0 and EXT3_SB(inode).data is DataMode.JOURNAL:
        head = buffer.page_buffers(page)
        ret = walk_page_buffers(handle, head, from_, from_ + length, do_journal_get_write_access)
    if ret:
        rt.reached("ext3: write_begin failed")
        ext3_journal_stop(handle)
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        if pos + length > inode.i_size:
            ext3_truncate.ext3_truncate_failed_write(inode)
        return ret, None
    return 0, page


def update_file_sizes(handle: Handle, inode: Inode, pos: int, copied: int) -> None:
    """Account a write in the inode: with `metadata` that changes its block.

    Simplified: 3.3 changes the block here, under the page lock, only if the file grew; else, for the times, before
    write_begin and without the page lock.  Source: fs/ext3/inode.c, v3.3.
    """
    if pos + copied > inode.i_size:
        fs.i_size_write(inode, pos + copied)
    if EXT3_SB(inode).metadata:
        ext3_mark_inode_dirty(handle, inode)


def _finish_write(handle: Handle, page: Page, ret: int, copied: int) -> int:
    """Close the handle, then unlock and release the page; returns what was copied or an error."""
    stopped = ext3_journal_stop(handle)
    ret = ret or stopped
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")
    return ret if ret else copied


def ext3_ordered_write_end(mapping: AddressSpace, pos: int, length: int, copied: int, page: Page) -> int:
    """End a write: buffers dirty and filed as ordered data, handle closed, page unlocked.

    Source: fs/ext3/inode.c, v3.3.
    """
    handle = _current_handle()
    inode = mapping.host
    copied = buffer_page.block_write_end(mapping, pos, length, copied, page)
    from_ = pos % mapping.machine.words_per_page
    head = buffer.page_buffers(page)
    ret = walk_page_buffers(handle, head, from_, from_ + copied, journal_dirty_data_fn)
    if ret == 0:
        update_file_sizes(handle, inode, pos, copied)
    return _finish_write(handle, page, ret, copied)


def ext3_writeback_write_end(mapping: AddressSpace, pos: int, length: int, copied: int, page: Page) -> int:
    """End a write: buffers dirty, no order kept with the transaction.  Source: fs/ext3/inode.c, v3.3."""
    handle = _current_handle()
    copied = buffer_page.block_write_end(mapping, pos, length, copied, page)
    update_file_sizes(handle, mapping.host, pos, copied)
    return _finish_write(handle, page, 0, copied)


def ext3_journalled_write_end(mapping: AddressSpace, pos: int, length: int, copied: int, page: Page) -> int:
    """End a write: buffers filed as metadata of the transaction.  Source: fs/ext3/inode.c, v3.3."""
    handle = _current_handle()
    from_ = pos % mapping.machine.words_per_page
    if copied < length:
        # A short copy into a page that is not uptodate counts as nothing.
        if not page_flags.PageUptodate(page):
            copied = 0
        buffer_page.page_zero_new_buffers(page, from_ + copied, from_ + length)
    partial: list[BufferHead] = []
    ret = walk_page_buffers(handle, buffer.page_buffers(page), from_, from_ + copied, write_end_fn, partial)
    if not partial:
        page_flags.SetPageUptodate(page)
    update_file_sizes(handle, mapping.host, pos, copied)
    return _finish_write(handle, page, ret, copied)


def _current_handle() -> Handle:
    """Return the handle that write_begin left open."""
    handle = ext3_journal_current_handle()
    rt.bug_on(handle is None, "write_end without a handle")
    assert handle is not None
    return handle


# -- writepage -----------------------------------------------------------------------------------------------


def _refuse_writepage(page: Page, wbc: WritebackControl, error: int = 0) -> int:
    """Give up writing a page, because a handle is open or none can be had: dirty it again and unlock it."""
    rt.reached("ext3: writepage got no handle" if error else "ext3: writepage inside a handle")
    page_writeback.redirty_page_for_writepage(wbc, page)
    filemap.unlock_page(page)
    return error


def ext3_ordered_writepage(page: Page, wbc: WritebackControl) -> int:
    """Write a page; if some buffer has no block yet, within a handle, and file the buffers as ordered data after.

    Needs the page lock, which it releases.  When the buffers are filed the page may be unlocked, written, migrated or
    truncated already: only the counts on the buffers keep the ring.  Source: fs/ext3/inode.c, v3.3.
    """
    mapping = page.mapping
    assert mapping is not None
    inode = mapping.host
    words = mapping.machine.words_per_page
    rt.bug_on(not page_flags.PageLocked(page), "writepage on an unlocked page", page=page)
    if ext3_journal_current_handle() is not None:
        return _refuse_writepage(page, wbc)
    if not buffer.page_has_buffers(page):
        buffer.create_empty_buffers(page, dirty=True, uptodate=True)
    elif not walk_page_buffers(None, buffer.page_buffers(page), 0, words, buffer_unmapped):
        return buffer_page.block_write_full_page(page, None, wbc)
    page_bufs = buffer.page_buffers(page)
    rt.reached("ext3: writepage with a handle")
    handle = ext3_journal_start(inode, ext3_writepage_trans_blocks(inode))
    if jbd.IS_ERR(handle):
        return _refuse_writepage(page, wbc, jbd.PTR_ERR(handle))
    walk_page_buffers(handle, page_bufs, 0, words, bget_one)
    ret = buffer_page.block_write_full_page(page, ext3_get_block, wbc)
    if ret == 0:
        rt.reached("ext3: writepage filed data without the page lock")
        ret = walk_page_buffers(handle, page_bufs, 0, words, journal_dirty_data_fn)
    walk_page_buffers(handle, page_bufs, 0, words, bput_one)
    stopped = ext3_journal_stop(handle)
    return ret or stopped


def ext3_writeback_writepage(page: Page, wbc: WritebackControl) -> int:
    """Write a page; within a handle if some buffer has no block yet.  Needs the page lock, which it releases.

    Source: fs/ext3/inode.c, v3.3.
    """
    mapping = page.mapping
    assert mapping is not None
    inode = mapping.host
    words = mapping.machine.words_per_page
    if ext3_journal_current_handle() is not None:
        return _refuse_writepage(page, wbc)
    if buffer.page_has_buffers(page) and not walk_page_buffers(
        None, buffer.page_buffers(page), 0, words, buffer_unmapped
    ):
        return buffer_page.block_write_full_page(page, None, wbc)
    rt.reached("ext3: writepage with a handle")
    handle = ext3_journal_start(inode, ext3_writepage_trans_blocks(inode))
    if jbd.IS_ERR(handle):
        return _refuse_writepage(page, wbc, jbd.PTR_ERR(handle))
    ret = buffer_page.block_write_full_page(page, ext3_get_block, wbc)
    stopped = ext3_journal_stop(handle)
    return ret or stopped


def ext3_journalled_writepage(page: Page, wbc: WritebackControl) -> int:
    """Write a page whose data is journalled: through the journal if PG_checked, else as any other.

    Needs the page lock, which it releases.  Source: fs/ext3/inode.c, v3.3.
    """
    mapping = page.mapping
    assert mapping is not None
    inode = mapping.host
    words = mapping.machine.words_per_page
    if ext3_journal_current_handle() is not None:
        return _refuse_writepage(page, wbc)
    handle = ext3_journal_start(inode, ext3_writepage_trans_blocks(inode))
    if jbd.IS_ERR(handle):
        return _refuse_writepage(page, wbc, jbd.PTR_ERR(handle))
    if not buffer.page_has_buffers(page) or page_flags.PageChecked(page):
        page_flags.ClearPageChecked(page)
        ret = buffer_page.__block_write_begin(page, mm.page_index(page) * words, words, ext3_get_block)
        if ret:
            ext3_journal_stop(handle)
            filemap.unlock_page(page)
            return ret
        head = buffer.page_buffers(page)
        ret = walk_page_buffers(handle, head, 0, words, do_journal_get_write_access)
        error = walk_page_buffers(handle, head, 0, words, write_end_fn)
        ret = ret or error
        filemap.unlock_page(page)
    else:
        # Its buffers are the journal's already or clean: write what is dirty.
        ret = buffer_page.block_write_full_page(page, ext3_get_block, wbc)
    stopped = ext3_journal_stop(handle)
    return ret or stopped


# -- the other operations ------------------------------------------------------------------------------------


def ext3_readpage(page: Page) -> int:
    """Start reading a page.  Needs the page lock, which the end of the I/O releases.

    A page without buffers is read whole and gets none: they come with its first write.
    Source: fs/ext3/inode.c, v3.3.
    """
    return mpage.mpage_readpage(page, ext3_get_block)


def ext3_readpages(mapping: AddressSpace, pages: list[tuple[int, Page]]) -> int:
    """Put pages into the cache and start reading them.  Source: fs/ext3/inode.c, v3.3."""
    return mpage.mpage_readpages(mapping, pages, ext3_get_block)


def ext3_invalidatepage(page: Page, offset: int) -> None:
    """Truncate a page's buffers from word `offset` on.  Needs the page lock; sleeps.  Source: fs/ext3/inode.c, v3.3."""
    mapping = page.mapping
    assert mapping is not None
    if offset == 0:
        page_flags.ClearPageChecked(page)
    transaction_page.journal_invalidatepage(EXT3_JOURNAL(mapping.host), page, offset)


def ext3_releasepage(page: Page) -> bool:
    """Strip a page of its buffers if the journal lets them go.  Needs the page lock.  Source: fs/ext3/inode.c, v3.3."""
    mapping = page.mapping
    assert mapping is not None
    if not buffer.page_has_buffers(page):
        return False
    return transaction_page.journal_try_to_free_buffers(EXT3_JOURNAL(mapping.host), page)


def ext3_journalled_set_page_dirty(page: Page) -> bool:
    """Dirty a page in data=journal mode: PG_checked tells writepage to journal it.  Source: fs/ext3/inode.c, v3.3."""
    page_flags.SetPageChecked(page)
    return page_writeback.__set_page_dirty_nobuffers(page)


def bdev_try_to_free_page(sbi: Ext3, page: Page) -> bool:
    """Strip a page of the device's own mapping of its buffers, journal heads included.  Needs the page lock.

    Source: fs/ext3/super.c, v3.3.
    """
    if not buffer.page_has_buffers(page):
        return False
    return transaction_page.journal_try_to_free_buffers(sbi.journal, page)


# -- tables --------------------------------------------------------------------------------------------------
# Made anew for each inode, inside the run, so that a variant that rebinds one of the functions is heard.


def ext3_ordered_aops() -> AddressSpaceOperations:
    """Return the operations of a file in data=ordered mode.  Source: fs/ext3/inode.c, v3.3."""
    return fs.AddressSpaceOperations(
        readpage=ext3_readpage,
        readpages=ext3_readpages,
        writepage=ext3_ordered_writepage,
        write_begin=ext3_write_begin,
        write_end=ext3_ordered_write_end,
        invalidatepage=ext3_invalidatepage,
        releasepage=ext3_releasepage,
        migratepage=migrate.buffer_migrate_page,
        is_partially_uptodate=buffer_page.block_is_partially_uptodate,
    )


def ext3_writeback_aops() -> AddressSpaceOperations:
    """Return the operations of a file in data=writeback mode.  Source: fs/ext3/inode.c, v3.3."""
    return fs.AddressSpaceOperations(
        readpage=ext3_readpage,
        readpages=ext3_readpages,
        writepage=ext3_writeback_writepage,
        write_begin=ext3_write_begin,
        write_end=ext3_writeback_write_end,
        invalidatepage=ext3_invalidatepage,
        releasepage=ext3_releasepage,
        migratepage=migrate.buffer_migrate_page,
        is_partially_uptodate=buffer_page.block_is_partially_uptodate,
    )


def ext3_journalled_aops() -> AddressSpaceOperations:
    """Return the operations of a file in data=journal mode: no migratepage.  Source: fs/ext3/inode.c, v3.3."""
    return fs.AddressSpaceOperations(
        readpage=ext3_readpage,
        readpages=ext3_readpages,
        writepage=ext3_journalled_writepage,
        write_begin=ext3_write_begin,
        write_end=ext3_journalled_write_end,
        set_page_dirty=ext3_journalled_set_page_dirty,
        invalidatepage=ext3_invalidatepage,
        releasepage=ext3_releasepage,
        is_partially_uptodate=buffer_page.block_is_partially_uptodate,
    )
