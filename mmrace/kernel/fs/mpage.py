"""Reading whole pages, one or several by one I/O, without buffers.

Invariant: a page under such a read is locked, and nothing but its I/O unlocks it; no buffer is made for it.  Until the
I/O is submitted, the locks of its pages are held by the task that builds it.
Not modelled: a bio that is full, boundary blocks, writing (ext3 does not write this way).
Source: fs/mpage.c, v3.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.block import device
from mmrace.kernel.fs import buffer, buffer_head, buffer_page
from mmrace.kernel.mm import filemap, highmem, mm, page_flags, slub, swap

if TYPE_CHECKING:
    from mmrace.kernel.block.device import Bio, BioVec, BlockDevice
    from mmrace.kernel.fs.buffer_page import GetBlock
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page

MARKS = (
    ("mpage: page read whole", "a page was read by one I/O and has no buffers"),
    ("mpage: confused", "a page had buffers, or its blocks were not one run: read buffer by buffer"),
    ("mpage: read error", "the read of a whole page failed"),
    ("mpage: pages read by one I/O", "pages whose blocks follow each other were read by one I/O"),
    ("mpage: run of blocks ends", "an I/O was submitted because the next page's blocks lie elsewhere"),
    ("mpage: slot taken", "somebody else filled a slot that was to be read into"),
    ("mpage: no bio", "no memory was to be had for an I/O"),
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


@dataclass(slots=True)
class _Reading:
    """A read that is being built, and is not submitted: the `bio` of mpage_readpages."""

    bdev: BlockDevice | None = None
    first: int = 0
    last_block_in_bio: int = 0
    vec: list[BioVec] = field(default_factory=list)


def mpage_bio_submit(bio: _Reading) -> None:
    """Submit what was built, if anything; the locks of its pages are its end's from now on.

    Source: fs/mpage.c, v3.3.
    """
    if not bio.vec:
        return
    if len(bio.vec) > 1:
        rt.reached("mpage: pages read by one I/O")
    assert bio.bdev is not None
    vec, bio.vec = tuple(bio.vec), []
    device.submit_bio(device.READ, device.Bio(bio.bdev, bio.first, vec, None, mpage_end_io))


def mpage_readpage(page: Page, get_block: GetBlock) -> int:
    """Start reading a locked page, as ->readpage; the end of the I/O unlocks it.  May sleep.

    Source: fs/mpage.c, v3.3.
    """
    bio = _Reading()
    error = do_mpage_readpage(bio, page, get_block)
    mpage_bio_submit(bio)
    return error


def mpage_readpages(mapping: AddressSpace, pages: list[tuple[int, Page]], get_block: GetBlock) -> int:
    """Put pages into the cache, each with its index and a reference "lookup", and read them, as ->readpages.

    Each is locked as it goes in, and one I/O gathers them while their blocks follow each other.  So from the second on,
    what is allocated here is allocated with locks held that only the I/O to come will drop.  May sleep.
    Source: fs/mpage.c, v3.3.
    """
    bio = _Reading()
    for index, page in pages:
        if filemap.add_to_page_cache_lru(page, mapping, index, gfp.GFP_KERNEL) == 0:
            do_mpage_readpage(bio, page, get_block)
        else:
            rt.reached("mpage: slot taken")
        swap.put_page(page, "lookup")
    mpage_bio_submit(bio)
    return 0


def do_mpage_readpage(bio: _Reading, page: Page, get_block: GetBlock) -> int:
    """Add a locked page to a read that is being built, or submit that and begin another.  May sleep.

    A page that has buffers, or whose blocks do not follow each other on the device, is read through its ring; a hole at
    its end is zeroed.  Source: fs/mpage.c, v3.3.
    """
    mapping = page.mapping
    rt.bug_on(mapping is None, "NULL mapping followed in readpage", page=page)
    assert mapping is not None
    found = None if buffer.page_has_buffers(page) else _blocks_of(page, get_block)
    if found is None:
        return _read_confused(bio, page, get_block)
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
    if bio.vec and first != bio.last_block_in_bio + 1:
        rt.reached("mpage: run of blocks ends")
        mpage_bio_submit(bio)
    if not bio.vec:
        if not slub.slab_alloc(mapping.machine, gfp.GFP_KERNEL):
            rt.reached("mpage: no bio")
            return _read_confused(bio, page, get_block)
        bio.bdev, bio.first = bdev, first
    rt.reached("mpage: page read whole")
    bio.vec.append(device.BioVec(page, 0, length))
    bio.last_block_in_bio = first + mapped - 1
    if mapped < mapping.machine.buffers_per_page:
        mpage_bio_submit(bio)
    return 0


def _read_confused(bio: _Reading, page: Page, get_block: GetBlock) -> int:
    """Submit what was built, and read the page through its ring, unless it has become uptodate."""
    rt.reached("mpage: confused")
    mpage_bio_submit(bio)
    return buffer_page.block_read_full_page(page, get_block)


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
