"""Reading and writing whole pages, one or several by one I/O, without a look at their buffers' locks.

Invariant: a page under such a read is locked, and nothing but its I/O unlocks it; no buffer is made for it.  Until the
I/O is submitted, the locks of its pages are held by the task that builds it.  A page under such a write is under
PG_writeback from before its lock is dropped until its I/O ended; no buffer of it is locked.
Not modelled: plugging, mpage_writepage (no file system here writes a single page this way), boundary blocks, a bio that
is full, or that cannot be had for a write.
Source: fs/mpage.c, v3.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.block import device
from mmrace.kernel.fs import buffer, buffer_head, buffer_page, fs
from mmrace.kernel.mm import filemap, highmem, mm, mmzone, page_flags, page_writeback, slub, swap

if TYPE_CHECKING:
    from mmrace.kernel.block.device import Bio, BioVec, BlockDevice
    from mmrace.kernel.fs.buffer_page import GetBlock
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.page_writeback import WritebackControl

MARKS = (
    ("mpage: page read whole", "a page was read by one I/O and has no buffers"),
    ("mpage: confused", "a page had buffers, or its blocks were not one run: read buffer by buffer"),
    ("mpage: read error", "the read of a whole page failed"),
    ("mpage: pages read by one I/O", "pages whose blocks follow each other were read by one I/O"),
    ("mpage: run of blocks ends", "an I/O was submitted because the next page's blocks lie elsewhere"),
    ("mpage: slot taken", "somebody else filled a slot that was to be read into"),
    ("mpage: no bio", "no memory was to be had for an I/O"),
    ("mpage: page written whole", "a page was given to one I/O, and none of its buffers was locked"),
    ("mpage: write of a page without buffers", "its blocks were looked up: a write through a mapping had dirtied it"),
    ("mpage: end of the file zeroed", "what a page to be written has beyond the end of its file was zeroed"),
    ("mpage: write confused", "a page's buffers were not all dirty, or no run of blocks: written buffer by buffer"),
    ("mpage: run of blocks broken", "what had gathered was submitted, since the next page lies elsewhere"),
    ("mpage: write error", "the write of a whole page failed"),
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
class MpageBio:
    """An I/O that is being built, and is not submitted: pages whose blocks are one run, from block `first` on."""

    bdev: BlockDevice | None = None
    first: int = 0
    last_block_in_bio: int = 0
    vec: list[BioVec] = field(default_factory=list)


def mpage_bio_submit(rw: int, bio: MpageBio) -> None:
    """Submit what was gathered, if anything was; of a read, the locks of its pages are its end's from now on.

    Source: fs/mpage.c, v3.3.
    """
    if not bio.vec:
        return
    if not rw & device.WRITE and len(bio.vec) > 1:
        rt.reached("mpage: pages read by one I/O")
    assert bio.bdev is not None
    vec, bio.vec = tuple(bio.vec), []
    end_io = _end_write if rw & device.WRITE else mpage_end_io
    device.submit_bio(rw, device.Bio(bio.bdev, bio.first, vec, None, end_io))


def mpage_readpage(page: Page, get_block: GetBlock) -> int:
    """Start reading a locked page, as ->readpage; the end of the I/O unlocks it.  May sleep.

    Source: fs/mpage.c, v3.3.
    """
    bio = MpageBio()
    error = do_mpage_readpage(bio, page, get_block)
    mpage_bio_submit(device.READ, bio)
    return error


def mpage_readpages(mapping: AddressSpace, pages: list[tuple[int, Page]], get_block: GetBlock) -> int:
    """Put pages into the cache, each with its index and a reference "lookup", and read them, as ->readpages.

    Each is locked as it goes in, and one I/O gathers them while their blocks follow each other.  So from the second on,
    what is allocated here is allocated with locks held that only the I/O to come will drop.  May sleep.
    Source: fs/mpage.c, v3.3.
    """
    bio = MpageBio()
    for index, page in pages:
        if filemap.add_to_page_cache_lru(page, mapping, index, gfp.GFP_KERNEL) == 0:
            do_mpage_readpage(bio, page, get_block)
        else:
            rt.reached("mpage: slot taken")
        swap.put_page(page, "lookup")
    mpage_bio_submit(device.READ, bio)
    return 0


def do_mpage_readpage(bio: MpageBio, page: Page, get_block: GetBlock) -> int:
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
        mpage_bio_submit(device.READ, bio)
    if not bio.vec:
        if not slub.slab_alloc(mapping.machine, gfp.GFP_KERNEL):
            rt.reached("mpage: no bio")
            return _read_confused(bio, page, get_block)
        bio.bdev, bio.first = bdev, first
    rt.reached("mpage: page read whole")
    bio.vec.append(device.BioVec(page, 0, length))
    bio.last_block_in_bio = first + mapped - 1
    if mapped < mapping.machine.buffers_per_page:
        mpage_bio_submit(device.READ, bio)
    return 0


def _read_confused(bio: MpageBio, page: Page, get_block: GetBlock) -> int:
    """Submit what was built, and read the page through its ring, unless it has become uptodate."""
    rt.reached("mpage: confused")
    mpage_bio_submit(device.READ, bio)
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


# -- writing -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class MpageData:
    """What a walk has gathered in `bio`: pages under writeback.  Source: fs/mpage.c (struct mpage_data), v3.3."""

    get_block: GetBlock
    bio: MpageBio = field(default_factory=MpageBio)


def _end_write(bio: Bio, error: int) -> None:
    """End the write of pages, and their writeback, from the last.  Irq context.

    Source: fs/mpage.c (mpage_end_io), v3.3.
    """
    for part in reversed(bio.bi_io_vec):
        page = part.bv_page
        if error:
            rt.reached("mpage: write error")
            page_flags.SetPageError(page)
            mapping = page.mapping
            if mapping is not None:
                rt.set_bit(mapping.flags, fs.AS_EIO)
        filemap.end_page_writeback(page)


def _add_page(mpd: MpageData, page: Page, bdev: BlockDevice, blocks: list[int]) -> None:
    """Add a page to what was gathered, which is submitted before if the page's blocks do not follow on it."""
    bio = mpd.bio
    if bio.vec and bio.last_block_in_bio != blocks[0] - 1:
        rt.reached("mpage: run of blocks broken")
        mpage_bio_submit(device.WRITE, bio)
    if not bio.vec:
        bio.bdev, bio.first = bdev, blocks[0]
    bio.vec.append(device.BioVec(page, 0, len(blocks) * mmzone.page_machine(page).words_per_buffer))
    bio.last_block_in_bio = blocks[-1]


def __mpage_writepage(page: Page, wbc: WritebackControl, mpd: MpageData) -> int:
    """Write a locked page whose dirty bit the caller took; unlocks it.  May sleep.

    No buffer lock is taken, nor waited for: the page lock keeps others from the buffers until PG_writeback does.  The
    page may be unlocked, under writeback, long before its I/O is submitted.  A page that this cannot write is written
    by ->writepage, after what was gathered.  Source: fs/mpage.c, v3.3.
    """
    mapping = page.mapping
    rt.bug_on(mapping is None, "NULL mapping followed in __mpage_writepage", page=page)
    assert mapping is not None
    found = _blocks_of_ring(page) if buffer.page_has_buffers(page) else _blocks_to_write(page, mpd.get_block)
    if found is None or not _is_in_file(page, mapping):
        return _write_confused(page, wbc, mpd)
    bdev, blocks = found
    # The page is in its I/O before its buffers are clean: whoever fails here leaves it to ->writepage.
    _add_page(mpd, page, bdev, blocks)
    if buffer.page_has_buffers(page):
        for _, bh in zip(blocks, buffer.ring(buffer.page_buffers(page)), strict=False):
            buffer_head.clear_buffer_dirty(bh)
    rt.bug_on(page_flags.PageWriteback(page), "__mpage_writepage: page is under writeback", page=page)
    rt.reached("mpage: page written whole")
    page_writeback.set_page_writeback(page)
    filemap.unlock_page(page)
    if len(blocks) < mapping.machine.buffers_per_page:
        mpage_bio_submit(device.WRITE, mpd.bio)
    return 0


def _blocks_of_ring(page: Page) -> tuple[BlockDevice, list[int]] | None:
    """Return the blocks of a page's buffers; None unless they are mapped, dirty, uptodate and one run from its begin.

    Clean unmapped buffers may follow: they are beyond the end of the file.
    """
    bdev: BlockDevice | None = None
    blocks: list[int] = []
    unmapped = False
    for bh in buffer.ring(buffer.page_buffers(page)):
        rt.bug_on(buffer_head.buffer_locked(bh), "__mpage_writepage: a buffer is locked", bh=bh)
        if not buffer_head.buffer_mapped(bh):
            if buffer_head.buffer_dirty(bh):
                return None
            unmapped = True
            continue
        if unmapped or not (buffer_head.buffer_dirty(bh) and buffer_head.buffer_uptodate(bh)):
            return None
        if blocks and bh.b_blocknr != blocks[-1] + 1:
            return None
        blocks.append(bh.b_blocknr)
        bdev = bh.b_bdev
    return (bdev, blocks) if bdev is not None else None


def _blocks_to_write(page: Page, get_block: GetBlock) -> tuple[BlockDevice, list[int]] | None:
    """Look up the blocks of a page without buffers, and allocate those that lack; None if they are no run."""
    rt.bug_on(not page_flags.PageUptodate(page), "__mpage_writepage: no buffers, not uptodate", page=page)
    rt.reached("mpage: write of a page without buffers")
    machine = mmzone.page_machine(page)
    mapping = page.mapping
    assert mapping is not None
    first = mm.page_index(page) * machine.buffers_per_page
    end = -(-mapping.host.i_size // machine.words_per_buffer)
    bdev: BlockDevice | None = None
    blocks: list[int] = []
    map_bh = buffer.alloc_buffer_head(rt.fresh("map_bh"), machine.words_per_buffer)
    run = True
    for number in range(min(machine.buffers_per_page, max(1, end - first))):
        buffer_head.clear_buffer_mapped(map_bh)
        buffer_head.clear_buffer_new(map_bh)
        if get_block(mapping.host, first + number, map_bh, True):
            run = False
            break
        if buffer_head.buffer_new(map_bh):
            assert map_bh.b_bdev is not None
            buffer.unmap_underlying_metadata(map_bh.b_bdev, map_bh.b_blocknr)
        if blocks and map_bh.b_blocknr != blocks[-1] + 1:
            run = False
            break
        blocks.append(map_bh.b_blocknr)
        bdev = map_bh.b_bdev
    buffer.free_buffer_head(map_bh)
    return (bdev, blocks) if run and bdev is not None else None


def _is_in_file(page: Page, mapping: AddressSpace) -> bool:
    """Say whether a page has part of the file; zeroes what is beyond the end of it."""
    words_per_page = mapping.machine.words_per_page
    end_index, offset = divmod(mapping.host.i_size, words_per_page)
    index = mm.page_index(page)
    if index < end_index:
        return True
    if index > end_index or offset == 0:
        return False
    rt.reached("mpage: end of the file zeroed")
    highmem.zero_user_segment(page, offset, words_per_page)
    return True


def _write_confused(page: Page, wbc: WritebackControl, mpd: MpageData) -> int:
    """Submit what was gathered, then write the page by ->writepage, which unlocks it."""
    rt.reached("mpage: write confused")
    mpage_bio_submit(device.WRITE, mpd.bio)
    mapping = page.mapping
    assert mapping is not None and mapping.a_ops.writepage is not None
    ret = mapping.a_ops.writepage(page, wbc)
    filemap.mapping_set_error(mapping, min(ret, 0))
    return ret


def mpage_writepages(mapping: AddressSpace, wbc: WritebackControl, get_block: GetBlock) -> int:
    """Write the dirty pages of a mapping, as ->writepages; 0 or the first error.  Sleeps.

    Source: fs/mpage.c, v3.3.
    """
    mpd = MpageData(get_block)
    ret = page_writeback.write_cache_pages(mapping, wbc, lambda page, wbc: __mpage_writepage(page, wbc, mpd))
    mpage_bio_submit(device.WRITE, mpd.bio)
    return ret
