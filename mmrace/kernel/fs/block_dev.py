"""The block device seen as a file: the mapping that metadata and the log live in.

Invariant: block b of the device is block b of its inode; no ->migratepage (it got one only in 2018).
Not modelled: opening, claiming, partitions.
Source: fs/block_dev.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mmrace.kernel import gfp
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_page, fs
from mmrace.kernel.fs import inode as inode_
from mmrace.kernel.fs.fs import Inode

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpaceOperations
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.page_writeback import WritebackControl

MARKS: tuple[tuple[str, str], ...] = ()


def bdget(device: BlockDevice, ino: str = "bdev") -> Inode:
    """Make the device's inode, under a name of its own, and set `bd_inode`.  Called when the scenario is set up.

    Source: fs/block_dev.c, v3.3.
    """
    inode = Inode(device, ino, device.end * device.machine.words_per_buffer, device.end)
    inode.i_mapping = inode_._new_mapping(inode, device.machine, def_blk_aops(), None)
    inode.i_mapping.gfp_mask = gfp.GFP_USER
    device.bd_inode = inode
    return inode


def I_BDEV(inode: Inode) -> BlockDevice:
    """Return the device of a device's inode."""
    return cast("BlockDevice", inode.i_sb)


def def_blk_aops() -> AddressSpaceOperations:
    """Return the operations of a block device's pages, as they are bound now.  Source: fs/block_dev.c, v3.3."""
    return fs.AddressSpaceOperations(
        readpage=blkdev_readpage,
        writepage=blkdev_writepage,
        releasepage=blkdev_releasepage,
    )


def blkdev_get_block(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
    """Map a block of the device to itself; -EIO beyond its end.  Source: fs/block_dev.c, v3.3."""
    if iblock >= inode.i_blocks:
        return -Errno.EIO
    buffer.map_bh(bh, I_BDEV(inode), iblock)
    return 0


def blkdev_readpage(page: Page) -> int:
    """Read a page of the device; it is unlocked when the I/O is done.  Source: fs/block_dev.c, v3.3."""
    return buffer_page.block_read_full_page(page, blkdev_get_block)


def blkdev_writepage(page: Page, wbc: WritebackControl) -> int:
    """Write a page of the device; unlocks it.  Source: fs/block_dev.c, v3.3."""
    return buffer_page.block_write_full_page(page, blkdev_get_block, wbc)


def blkdev_releasepage(page: Page) -> bool:
    """Try to strip the page, the way that the mounted file system wants it.  Source: fs/block_dev.c, v3.3."""
    mapping = page.mapping
    assert mapping is not None
    bdev_try_to_free_page = I_BDEV(mapping.host).bdev_try_to_free_page
    if bdev_try_to_free_page is not None:
        return bdev_try_to_free_page(page)
    return buffer.try_to_free_buffers(page)
