"""Inodes, as far as the page cache needs them.

Keeps: an inode's blocks are one run on its device: file block b is block i_data + b.
Does not check: allocation of blocks, links, times, the inode's own writeback (only I_DIRTY_PAGES is kept).
Source: fs/inode.c, fs/fs-writeback.c, include/linux/fs.h, v3.3.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from mmrace import runtime as rt
from mmrace.kernel.mm import filemap, page_writeback, radix_tree

if TYPE_CHECKING:
    from mmrace.kernel.mm.filemap import AddressSpace, AddressSpaceOperations
    from mmrace.kernel.mm.mmzone import Machine

MARKS: tuple[tuple[str, str], ...] = ()

_LATER: Any = None  # a ghost that the constructor, or the set-up, sets at once


class InodeState(IntEnum):
    """Bits of `inode.i_state`. Source: include/linux/fs.h, v3.3."""

    I_DIRTY_SYNC = 0
    I_DIRTY_DATASYNC = 1
    I_DIRTY_PAGES = 2


class Inode(rt.Struct):
    """A file, or a block device seen as one. `i_size` counts words; `i_data` is its first block on the device."""

    i_mutex = rt.mutex()
    i_lock = rt.spinlock()
    i_state = rt.flag_word(InodeState)
    i_size: rt.Field[int] = rt.shared(0)
    i_ino: int | str = rt.ghost(0)
    i_sb: object = rt.ghost(_LATER)
    i_data: int = rt.ghost(0)
    i_blocks: int = rt.ghost(0)
    i_mapping: AddressSpace = rt.ghost(_LATER)

    def __init__(self, sb: object, ino: int | str, size: int, blocks: int) -> None:
        super().__init__(("inode", ino), i_size=size, i_ino=ino, i_sb=sb, i_blocks=blocks)


def new_inode(sb: object, ino: int, machine: Machine, a_ops: AddressSpaceOperations, blocks: int) -> Inode:
    """Make the inode of a file of `blocks` blocks, all of which exist. Called when the scenario is set up.

    The file system sets `i_data`.
    """
    inode = Inode(sb, ino, blocks * machine.words_per_buffer, blocks)
    nr_slots = -(-blocks // machine.buffers_per_page)
    inode.i_mapping = filemap.new_mapping(inode, machine, a_ops, nr_slots)
    return inode


def i_size_extend(inode: Inode, size: int) -> None:
    """Make the file at least `size` words long. Needs i_mutex. Source: include/linux/fs.h (i_size_write), v3.3."""
    if size > inode.i_size:
        inode.i_size = size


def __mark_inode_dirty(inode: Inode, flag: InodeState) -> None:
    """Say that the inode has something to write. Any context but irq. Source: fs/fs-writeback.c, v3.3."""
    if rt.test_bit(inode.i_state, flag):
        return
    rt.spin_lock(inode.i_lock)
    rt.set_bit(inode.i_state, flag)
    rt.spin_unlock(inode.i_lock)


def writeback_single_inode(inode: Inode, wbc: page_writeback.WritebackControl) -> int:
    """Write an inode's dirty pages, the flusher's way; returns 0 or the first error.

    I_DIRTY_PAGES goes before the walk and comes back if pages are still tagged after it. Waits for what was written
    only if wbc says WB_SYNC_ALL. Source: fs/fs-writeback.c, v3.3.
    """
    rt.spin_lock(inode.i_lock)
    rt.clear_bit(inode.i_state, InodeState.I_DIRTY_PAGES)
    rt.spin_unlock(inode.i_lock)
    ret = page_writeback.do_writepages(inode.i_mapping, wbc)
    if wbc.sync_mode == page_writeback.WB_SYNC_ALL:
        waited = filemap.filemap_fdatawait(inode.i_mapping)
        ret = ret or waited
    if radix_tree.radix_tree_tagged(inode.i_mapping.page_tree, radix_tree.PAGECACHE_TAG_DIRTY):
        __mark_inode_dirty(inode, InodeState.I_DIRTY_PAGES)
    return ret
