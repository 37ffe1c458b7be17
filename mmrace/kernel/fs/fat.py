"""FAT on top of the page cache: no journal, no ->migratepage, pages written whole.

What a USB stick has on it.  Its ->writepages is mpage_writepages, which takes no buffer lock; its ->writepage, which
reclaim and migration call, is block_write_full_page, which does.
Invariant: the clusters of a file are one run of blocks, in the order of the file; `mmu_private` is the size up to which
it has clusters, and changes under i_mutex only.
Simplified: which cluster a file gets next is settled before, and there always is one, so that the allocation table and
the directory are neither read nor written; nor is the inode.  Not modelled: a gap that is filled with zeros, because
somebody writes beyond the end (cont_expand_zero); truncation, and that of what a failed write had allocated; names.
Source: fs/fat/inode.c, cache.c, misc.c, file.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head, buffer_page, fs, mpage
from mmrace.kernel.fs import inode as inode_
from mmrace.kernel.mm import filemap

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpace, AddressSpaceOperations, Inode
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine
    from mmrace.kernel.mm.page_writeback import WritebackControl

MARKS = (
    ("fat: cluster allocated", "a write came to the end of its file's clusters: it got one more"),
    ("fat: corrupted file size", "a block was to be allocated that is not the next: refused"),
)

_LATER: Any = None  # a ghost that the constructor sets at once


class MsdosSbInfo(rt.Struct):
    """A mounted FAT: its device, and how many blocks a cluster has.  Source: fs/fat/fat.h, v3.3."""

    fat_lock = rt.mutex()
    machine: Machine = rt.ghost(_LATER)
    bdev: BlockDevice = rt.ghost(_LATER)
    sec_per_clus: int = rt.ghost(1)
    next_block: int = rt.ghost(0)

    def __init__(self, machine: Machine, bdev: BlockDevice, sec_per_clus: int = 1) -> None:
        super().__init__(("fat", 0), machine=machine, bdev=bdev, sec_per_clus=sec_per_clus, next_block=bdev.first)


def fat_iget(sbi: MsdosSbInfo, ino: int, blocks: int) -> Inode:
    """Make an empty file, `ino`, that can come to have `blocks` blocks.  For set-up.

    Source: fs/fat/inode.c (fat_build_inode), v3.3.
    """
    inode = inode_.new_inode(sbi, ino, sbi.machine, fat_aops(), blocks)
    fs.i_size_write(inode, 0)
    inode.i_data = sbi.next_block
    sbi.next_block += blocks
    return inode


def MSDOS_SB(inode: Inode) -> MsdosSbInfo:
    """Return the file system of an inode.  Source: fs/fat/fat.h, v3.3."""
    return cast(MsdosSbInfo, inode.i_sb)


# -- blocks ------------------------------------------------------------------------------------------------------------


def fat_add_cluster(inode: Inode) -> None:
    """Append a cluster to the file.  Needs i_mutex; sleeps for fat_lock.

    Source: fs/fat/inode.c, misc.c (fat_chain_add), fatent.c (fat_alloc_clusters), v3.3.
    """
    sbi = MSDOS_SB(inode)
    rt.reached("fat: cluster allocated")
    rt.mutex_lock(sbi.fat_lock)
    inode.i_clusters = inode.i_clusters + 1
    rt.mutex_unlock(sbi.fat_lock)


def fat_bmap(inode: Inode, sector: int, create: bool) -> int | None:
    """Return where on the device a block of the file is; None if it has none.

    What is beyond the end of the file is only looked up to be written.  Source: fs/fat/cache.c, v3.3.
    """
    sbi = MSDOS_SB(inode)
    words = sbi.machine.words_per_buffer
    beyond = sector >= -(-inode.i_size // words)
    if beyond and not (create and sector < -(-inode.mmu_private // words)):
        return None
    if sector // sbi.sec_per_clus >= inode.i_clusters:
        return None
    return inode.i_data + sector


def fat_get_block(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
    """Map a buffer to its block; with `create` the block after the file's last gets one, and the buffer is new.

    0, or -EIO for a block further on.  Source: (__fat_get_block) fs/fat/inode.c, v3.3.
    """
    sbi = MSDOS_SB(inode)
    phys = fat_bmap(inode, iblock, create)
    if phys is None and create:
        words = sbi.machine.words_per_buffer
        if iblock != inode.mmu_private // words:
            rt.reached("fat: corrupted file size")
            return -Errno.EIO
        if iblock % sbi.sec_per_clus == 0:
            fat_add_cluster(inode)
        inode.mmu_private = inode.mmu_private + words
        phys = fat_bmap(inode, iblock, create)
        rt.bug_on(phys is None, "__fat_get_block: no block after its allocation", inode=inode)
        buffer_head.set_buffer_new(bh)
    if phys is not None:
        buffer.map_bh(bh, sbi.bdev, phys)
    return 0


# -- the operations ----------------------------------------------------------------------------------------------------


def fat_readpage(page: Page) -> int:
    """Start reading a locked page; the end of the I/O unlocks it.  Source: fs/fat/inode.c, v3.3."""
    return mpage.mpage_readpage(page, fat_get_block)


def fat_writepage(page: Page, wbc: WritebackControl) -> int:
    """Write a locked page buffer by buffer; unlocks it.  Source: fs/fat/inode.c, v3.3."""
    return buffer_page.block_write_full_page(page, fat_get_block, wbc)


def fat_writepages(mapping: AddressSpace, wbc: WritebackControl) -> int:
    """Write the dirty pages of a file, whole where that can be.  Source: fs/fat/inode.c, v3.3."""
    return mpage.mpage_writepages(mapping, wbc, fat_get_block)


def fat_write_begin(mapping: AddressSpace, pos: int, length: int) -> tuple[int, Page | None]:
    """Lock and prepare the page of a write: (0, page) or (error, None).  Needs i_mutex; sleeps.

    Source: fs/fat/inode.c, fs/buffer.c (cont_write_begin), v3.3.
    """
    rt.bug_on(pos > mapping.host.mmu_private, "fat_write_begin: a gap, which is not modelled", pos=pos)
    return buffer_page.block_write_begin(mapping, pos, length, fat_get_block)


def fat_write_end(mapping: AddressSpace, pos: int, length: int, copied: int, page: Page) -> int:
    """End a write: buffers dirty, size grown, page unlocked.  Source: fs/fat/inode.c, v3.3."""
    return buffer_page.generic_write_end(mapping, pos, length, copied, page)


def fat_file_fsync(inode: Inode) -> int:
    """Bring a file's data to the disk: 0 or a negative errno.  No flush of the disk's cache is asked for.

    Source: fs/fat/file.c, fs/libfs.c (generic_file_fsync), v3.3.
    """
    return filemap.filemap_write_and_wait(inode.i_mapping)


def fat_aops() -> AddressSpaceOperations:
    """Return the operations of a file, as they are bound now: no migratepage.  Source: fs/fat/inode.c, v3.3."""
    return fs.AddressSpaceOperations(
        readpage=fat_readpage,
        writepage=fat_writepage,
        writepages=fat_writepages,
        write_begin=fat_write_begin,
        write_end=fat_write_end,
    )
