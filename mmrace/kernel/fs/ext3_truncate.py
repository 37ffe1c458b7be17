"""ext3's truncation: the size first, then the page cache, then the blocks.

This is the half of fs/ext3/inode.c that shortens files, which would be too long in one piece; the other half is in
`ext3`.  The kernel has no file of this name.
Invariant: the pages go after the size has changed, so that nobody makes them anew; the blocks go after the pages, when
nothing in memory refers to them any more but what a commit still needs.
Simplified: a file ends where a block does, so no part of one is zeroed; there is no orphan list, so a crash in the
middle leaves blocks that nobody frees; no indirect blocks, so one transaction has room for all that is freed.
Source: fs/ext3/inode.c, mm/truncate.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.fs import ext3, fs
from mmrace.kernel.jbd import jbd, transaction
from mmrace.kernel.mm import truncate

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode

TRUNCATE_CREDITS = 2
"""Credits of a handle that changes the inode's block and its place on the orphan list."""

MARKS: tuple[tuple[str, str], ...] = (
    ("ext3: truncated", "a file got shorter"),
    ("ext3: extended by truncate", "a file got longer by nothing but its size"),
    ("ext3: blocks freed", "blocks of a file were given back"),
    ("ext3: failed write trimmed", "a write that failed beyond the end was truncated again"),
)


def ext3_setattr_size(inode: Inode, size: int) -> int:
    """Make the file `size` words long; what lies beyond is gone.  Needs i_mutex; sleeps.  0 or a negative errno.

    The part of ext3_setattr for sizes.  A shorter size is in the journal before a page goes.
    Source: fs/ext3/inode.c (ext3_setattr), v3.3.
    """
    if size < inode.i_size:
        rt.reached("ext3: truncated")
        handle = ext3.ext3_journal_start(inode, TRUNCATE_CREDITS)
        if jbd.IS_ERR(handle):
            return jbd.PTR_ERR(handle)
        rt.note("truncate-size", inode.i_ino, size, transaction._handle_transaction(handle).t_tid)
        ext3.ext3_mark_inode_dirty(handle, inode)
        ext3.ext3_journal_stop(handle)
    elif size > inode.i_size:
        rt.reached("ext3: extended by truncate")
    if size != inode.i_size:
        fs.i_size_write(inode, size)
        rt.note("drop-begin", inode.i_ino, -(-size // inode.i_mapping.machine.words_per_page))
        truncate.truncate_pagecache(inode, size)
        rt.note("drop-end", inode.i_ino)
        ext3_truncate(inode)
    return 0


def ext3_truncate(inode: Inode) -> None:
    """Free the blocks beyond the end of the file.  Needs i_mutex, and no page of theirs in the cache; sleeps.

    Its handle is started without a page lock; `truncate_mutex` keeps those out who look for blocks to use.
    Source: fs/ext3/inode.c, v3.3.
    """
    handle = ext3.ext3_journal_start(inode, TRUNCATE_CREDITS)
    if jbd.IS_ERR(handle):
        return  # the blocks stay the file's, beyond its end
    tid = transaction._handle_transaction(handle).t_tid
    rt.mutex_lock(inode.truncate_mutex)
    freed, block_map = inode.i_freed, inode.i_map
    gone = {block for block, _ in freed}
    first = -(-inode.i_size // inode.i_mapping.machine.words_per_buffer)
    fresh = tuple(
        (block, tid)
        for block in range(first, inode.i_blocks)
        if block not in gone and (block < inode.i_laid or block_map >> (block - inode.i_laid) & 1)
    )
    if fresh:
        rt.reached("ext3: blocks freed")
        inode.i_freed = (*freed, *fresh)
        inode.i_map = block_map & (1 << max(0, first - inode.i_laid)) - 1
    rt.mutex_unlock(inode.truncate_mutex)
    ext3.ext3_mark_inode_dirty(handle, inode)
    ext3.ext3_journal_stop(handle)


def ext3_truncate_failed_write(inode: Inode) -> None:
    """Take away what a write that failed left beyond the end of the file.  Needs i_mutex; sleeps.

    Source: fs/ext3/inode.c, v3.3.
    """
    rt.reached("ext3: failed write trimmed")
    truncate.truncate_inode_pages(inode.i_mapping, inode.i_size)
    ext3_truncate(inode)
