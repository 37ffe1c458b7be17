"""Reading whole pages by one I/O, without buffers.

Invariant: a page under such a read is locked, and nothing but its I/O unlocks it; no buffer is made for it.
Simplified: an I/O is of one page, since nothing here reads ahead.  Not modelled: ->readpages, writing (ext3 does not
write this way).
Source: fs/mpage.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.fs import buffer, buffer_head, buffer_page
from mmrace.kernel.mm import filemap, highmem, mm, page_flags

if TYPE_CHECKING:
    from mmrace.kernel.block.device import Bio, BlockDevice
    from mmrace.kernel.fs.buffer_page import GetBlock
    from mmrace.kernel.mm.mm_types import Page

MARKS = (
    ("mpage: page read whole", "a page was read by one I/O and has no buffers"),
    ("mpage: confused", "a page had buffers, or its blocks were not one run: read buffer by buffer"),
    ("mpage: read error", "the read of a whole page failed"),
)


def mpage_end_io(bio: Bio, error: int) -> None:
    """End the read of pages, from the last: mark it uptodate, or in error, and unlock it.  Irq context.

    Source: fs/mpage.c, v3.3.
    """
    for part in reversed(bio.bi_io_vec):
        page = part.bv_page
        if error:
            rt.reached("mpage: read error")
            page_flags.ClearPageUptodate(page)
            page_flags.SetPageError(page)
        else:
            page_flags.SetPageUptodate(page)
        filemap.unlock_page(page)


def mpage_readpage(page: Page, get_block: GetBlock) -> int:
    """Start reading a locked page, as ->readpage; the end of the I/O unlocks it.  May sleep.

    A page that has buffers, or whose blocks do not follow each other on the device, is read through its ring; a hole at
    its end is zeroed.
    Source: fs/mpage.c (do_mpage_readpage), v3.3.
    """
    mapping = page.mapping
    rt.bug_on(mapping is None, "NULL mapping followed in readpage", page=page)
    assert mapping is not None
    found = None if buffer.page_has_buffers(page) else _blocks_of(page, get_block)
    if found is None:
        rt.reached("mpage: confused")
        return buffer_page.block_read_full_page(page, get_block)
    bdev, first, mapped = found
    length = mapped * mapping.machine.words_per_buffer
    words_per_page = mapping.machine.words_per_page
    if length < words_per_page:
        highmem.zero_user_segment(page, length, words_per_page)
        if bdev is None:
            page_flags.SetPageUptodate(page)
            filemap.unlock_page(page)
            return 0
    else:
        page_flags.SetPageMappedToDisk(page)
    assert bdev is not None
    rt.reached("mpage: page read whole")
    device.submit_bio(device.READ, device.Bio(bdev, first, (device.BioVec(page, 0, length),), None, mpage_end_io))
    return 0


def _blocks_of(page: Page, get_block: GetBlock) -> tuple[BlockDevice | None, int, int] | None:
    """Find the blocks of a page: (device, first block, how many from the page's begin on); None if they are no run.

    What lies beyond the file's end has no block, nor has a hole; one before a block makes the page no run.  The kernel
    asks with a buffer on its stack, and so does this.
    """
    mapping = page.mapping
    assert mapping is not None
    inode, machine = mapping.host, mapping.machine
    block_in_file = mm.page_index(page) * machine.buffers_per_page
    last_block = -(-inode.i_size // machine.words_per_buffer)
    wanted = max(0, min(machine.buffers_per_page, last_block - block_in_file))
    bdev: BlockDevice | None = None
    first = 0
    map_bh = buffer.alloc_buffer_head(rt.fresh("map_bh"), machine.words_per_buffer)
    run, mapped = True, 0
    for number in range(wanted):
        buffer_head.clear_buffer_mapped(map_bh)
        if get_block(inode, block_in_file + number, map_bh, False):
            run = False
            break
        if not buffer_head.buffer_mapped(map_bh):
            continue
        if number == 0:
            bdev, first = map_bh.b_bdev, map_bh.b_blocknr
        elif mapped < number or map_bh.b_blocknr != first + number:
            run = False
            break
        mapped += 1
    buffer.free_buffer_head(map_bh)
    return (bdev, first, mapped) if run else None
