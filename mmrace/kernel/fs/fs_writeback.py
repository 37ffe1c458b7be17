"""Writeback of one inode: its dirty state, and the flusher's way with its pages.

Invariant: I_DIRTY_PAGES is cleared before the pages are walked, so that a page dirtied meanwhile sets it again.
Not modelled: lists of dirty inodes, the flusher's own pace, the write of the inode itself, and I_SYNC, which keeps
two writebacks of one inode apart: there is one flusher.
Source: fs/fs-writeback.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.fs import fs
from mmrace.kernel.mm import filemap, page_writeback, radix_tree

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode, InodeState

MARKS: tuple[tuple[str, str], ...] = (
    ("flusher: inode is clean", "nothing to write: no page was dirtied since the last round"),
    ("flusher: pages left", "pages are still dirty, or again: the inode is, too"),
)


def __mark_inode_dirty(inode: Inode, flag: InodeState) -> None:
    """Say that the inode has something to write.  Any context but irq.

    i_state is a plain word: i_lock makes its read-modify-write whole, and the first look goes without.
    Source: fs/fs-writeback.c, v3.3.
    """
    if inode.i_state.load() & 1 << flag:
        return
    rt.spin_lock(inode.i_lock)
    state = inode.i_state.load()
    if not state & 1 << flag:
        inode.i_state.store(state | 1 << flag)
    rt.spin_unlock(inode.i_lock)


def writeback_single_inode(inode: Inode, wbc: page_writeback.WritebackControl) -> int:
    """Write an inode's dirty pages, the flusher's way; returns 0 or the first error.

    I_DIRTY_PAGES goes before the walk and comes back if pages are still tagged after it.  Waits for what was written
    only if wbc says WB_SYNC_ALL.  Simplified: no I_SYNC.  Source: fs/fs-writeback.c, v3.3.
    """
    rt.spin_lock(inode.i_lock)
    inode.i_state.store(inode.i_state.load() & ~(1 << fs.InodeState.I_DIRTY_PAGES))
    rt.spin_unlock(inode.i_lock)
    ret = page_writeback.do_writepages(inode.i_mapping, wbc)
    if wbc.sync_mode == page_writeback.WB_SYNC_ALL:
        waited = filemap.filemap_fdatawait(inode.i_mapping)
        ret = ret or waited
    if radix_tree.radix_tree_tagged(inode.i_mapping.page_tree, radix_tree.PAGECACHE_TAG_DIRTY):
        rt.reached("flusher: pages left")
        __mark_inode_dirty(inode, fs.InodeState.I_DIRTY_PAGES)
    return ret


def writeback_sb_inodes(inode: Inode, wbc: page_writeback.WritebackControl) -> int:
    """Write an inode if it is dirty; returns 0 or the first error.

    Simplified: the kernel goes through a list of the dirty inodes, which here is one that is dirty or not.
    Source: fs/fs-writeback.c, v3.3.
    """
    rt.spin_lock(inode.i_lock)
    state = inode.i_state.load()
    rt.spin_unlock(inode.i_lock)
    if not state:
        rt.reached("flusher: inode is clean")
        return 0
    return writeback_single_inode(inode, wbc)
