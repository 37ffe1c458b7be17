"""Inodes and their mappings: the structs that file systems and page cache share.

Invariant: an inode's blocks are one run on its device: file block b is, or is going to be, block i_data + b.
Not modelled: links, times, the inode's own writeback (only I_DIRTY_PAGES is kept).
Source: include/linux/fs.h, v3.3 (the flags of a mapping: pagemap.h).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from mmrace import runtime as rt
from mmrace.kernel import gfp

if TYPE_CHECKING:
    from mmrace.kernel.mm.migrate import MigrateMode
    from mmrace.kernel.mm.mm_types import Page, Vma
    from mmrace.kernel.mm.mmzone import Machine
    from mmrace.kernel.mm.page_writeback import WritebackControl
    from mmrace.kernel.mm.radix_tree import RadixTreeRoot

# What a page lock is released with after ->writepage when the caller still holds it. Source: include/linux/fs.h, v3.3.
AOP_WRITEPAGE_ACTIVATE = 0x80000

_LATER: Any = None  # a ghost that the constructor, or the set-up, sets at once


class AddressSpaceFlags(IntEnum):
    """Bits of `mapping.flags`.  Source: include/linux/pagemap.h, v3.3."""

    AS_EIO = 0
    AS_ENOSPC = 1


AS_EIO = AddressSpaceFlags.AS_EIO
AS_ENOSPC = AddressSpaceFlags.AS_ENOSPC


@dataclass(frozen=True, slots=True)
class AddressSpaceOperations:
    """A file system's operations on its pages; one that it lacks is None.  The struct file argument is left out.

    readpages(mapping, pages) takes pages with their indexes, each with a reference "lookup", which it drops.
    write_begin(mapping, pos, len) returns (0, locked page with a reference "lookup") or (negative errno, None);
    write_end(mapping, pos, len, copied, page) unlocks and releases it and returns what was copied, or an error.  pos
    and len count words of the file.  Source: include/linux/fs.h, v3.3.
    """

    readpage: Callable[[Page], int] | None = None
    readpages: Callable[[AddressSpace, list[tuple[int, Page]]], int] | None = None
    writepage: Callable[[Page, WritebackControl], int] | None = None
    writepages: Callable[[AddressSpace, WritebackControl], int] | None = None
    set_page_dirty: Callable[[Page], bool] | None = None
    write_begin: Callable[[AddressSpace, int, int], tuple[int, Page | None]] | None = None
    write_end: Callable[[AddressSpace, int, int, int, Page], int] | None = None
    invalidatepage: Callable[[Page, int], None] | None = None
    releasepage: Callable[[Page], bool] | None = None
    migratepage: Callable[[AddressSpace, Page, Page, MigrateMode], int] | None = None
    is_partially_uptodate: Callable[[Page, int, int], bool] | None = None


class AddressSpace(rt.Struct):
    """The pages of one inode.

    `host` and `a_ops` are plain pointers in the kernel, and ghosts here: following them is no op, so nothing here can
    tell whether the mapping they are read from still lives.  That waits for a cast that drops inodes.
    """

    tree_lock = rt.irq_spinlock()
    private_lock = rt.spinlock()
    i_mmap_mutex = rt.mutex()
    i_mmap: rt.Field[tuple[Vma, ...]] = rt.shared(())
    nrpages: rt.Field[int] = rt.shared(
        0, benign="fsync asks without tree_lock whether there are pages at all; the sweep that follows looks at each"
    )
    flags = rt.flag_word(AddressSpaceFlags)
    page_tree: RadixTreeRoot = rt.ghost(_LATER)
    host: Inode = rt.ghost(_LATER)
    a_ops: AddressSpaceOperations = rt.ghost(_LATER)
    machine: Machine = rt.ghost(_LATER)
    gfp_mask: int = rt.ghost(gfp.GFP_HIGHUSER_MOVABLE)

    def __init__(self, host: Inode, machine: Machine, a_ops: AddressSpaceOperations, page_tree: RadixTreeRoot) -> None:
        super().__init__(("mapping", host.i_ino))
        self.host = host
        self.machine = machine
        self.a_ops = a_ops
        self.page_tree = page_tree


class FileRaState(rt.Struct):
    """How an open file reads ahead: its window, of pages.  Of the task that has the file open, and of no other.

    `ra_pages`: its largest size, 0 for none; `prev_index`: the page that was read last.  Source: include/linux/fs.h,
    v3.3.
    """

    start: int = rt.ghost(0)
    size: int = rt.ghost(0)
    async_size: int = rt.ghost(0)
    ra_pages: int = rt.ghost(0)
    prev_index: int = rt.ghost(-1)

    def __init__(self, ra_pages: int) -> None:
        super().__init__(rt.fresh("ra"), ra_pages=ra_pages)


class InodeState(IntEnum):
    """Bits of `inode.i_state`.  Source: include/linux/fs.h, v3.3."""

    I_DIRTY_SYNC = 0
    I_DIRTY_DATASYNC = 1
    I_DIRTY_PAGES = 2


class Inode(rt.Struct):
    """A file, or a block device seen as one.  `i_size` counts words; `i_data` is its first block on the device.

    Of FAT's own inode: `i_clusters`, how many clusters its chain has; `mmu_private`, up to where it has blocks.  Of
    ext3's own inode: `i_sync_tid`, the last transaction that changed this one; `i_map`, which of its blocks from
    `i_laid` on were ever allocated, a bit each (those before are from the start); `i_freed`, which blocks a truncation
    freed, each with its transaction; `truncate_mutex`.
    """

    i_mutex = rt.mutex()
    truncate_mutex = rt.mutex()
    i_lock = rt.spinlock()
    i_state = rt.flag_word(InodeState)
    i_size: rt.Field[int] = rt.shared(
        0, benign="i_size_read takes no lock: who finds the file longer than it is by now meets truncation at the page"
    )
    i_freed: rt.Field[tuple[tuple[int, int], ...]] = rt.shared(
        (), benign="a block is looked up without truncate_mutex; only who wants to have one asks again under it"
    )
    i_sync_tid: rt.Field[int] = rt.shared(
        0, benign="an atomic_t: fsync reads it without a lock, and waits for whichever transaction it finds"
    )
    i_map: rt.Field[int] = rt.shared(
        0, benign="who looks a block up goes without truncate_mutex, and who then allocates it looks again under that"
    )
    i_clusters: rt.Field[int] = rt.shared(
        0, benign="who looks a block up that the file has does not need fat_lock: its cluster was chained before"
    )
    mmu_private: rt.Field[int] = rt.shared(0)
    i_ino: int | str = rt.ghost(0)
    i_sb: object = rt.ghost(_LATER)
    i_data: int = rt.ghost(0)
    i_blocks: int = rt.ghost(0)
    i_laid: int = rt.ghost(0)
    i_mapping: AddressSpace = rt.ghost(_LATER)

    def __init__(self, sb: object, ino: int | str, size: int, blocks: int) -> None:
        super().__init__(("inode", ino), i_size=size, i_ino=ino, i_sb=sb, i_blocks=blocks, i_laid=blocks)


def i_size_write(inode: Inode, size: int) -> None:
    """Make the file `size` words long.  Needs i_mutex.  Source: include/linux/fs.h, v3.3."""
    inode.i_size = size
