"""The buffer layer: rings of buffers on pages, their locks, I/O of one buffer, and the block-device cache.

The kernel's file would be too long in one piece even here: its functions on whole pages are in `buffer_page`.
Invariant: `b_page` of a ring member changes only under the page locks and BH_Lock; a ring is freed only under the page
lock, checked and detached under private_lock; `submit_bh` only with BH_Lock, which then belongs to the I/O.  A
`b_count` reference has a name: "io" is the one that an end handler drops, "lru" that of a per-CPU buffer LRU.
Not modelled: association lists and `mark_buffer_dirty_inode` (ext3 does not use them), `nobh_*`, direct I/O.
Source: fs/buffer.c, include/linux/buffer_head.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp, smp
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer_head, fs, fs_writeback
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.mm import filemap, mm, mmzone, page_flags, page_writeback, radix_tree, swap, truncate, vmscan_zone

if TYPE_CHECKING:
    from mmrace.kernel.block.device import Bio, BlockDevice
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine

# Buffers that a CPU remembers, each with a reference. Source: fs/buffer.c, v3.3.
BH_LRU_SIZE = 8

MARKS = (
    ("buffer: write error", "a write ended with an error"),
    ("buffer: read error", "a read ended with an error"),
    ("buffer: busy", "a ring could not be dropped: a buffer was dirty, locked or referenced"),
    ("buffer: ring freed", "a page was stripped of its buffers"),
    ("ll_rw_block: buffer lock busy", "ll_rw_block skipped a locked buffer"),
    ("mark_buffer_dirty: page was dirty", "a buffer became dirty on a page that was dirty"),
    ("getblk: page not in the cache", "a block of the device was not cached"),
    ("getblk: out of memory", "a block of the device could not be cached"),
    ("bh lru: hit", "a buffer was found in the CPU's LRU"),
)


# -- references and locks --------------------------------------------------------------------------------------------


def get_bh(bh: BufferHead, ref: str = "lookup") -> None:
    """Take the reference `ref`: the buffer will not be freed.  Source: include/linux/buffer_head.h, v3.3."""
    bh.b_count.get(ref)


def put_bh(bh: BufferHead, ref: str = "lookup") -> None:
    """Drop the reference `ref`.  Nothing is freed by it.  Source: include/linux/buffer_head.h, v3.3."""
    bh.b_count.put(ref)


def __brelse(bh: BufferHead, ref: str = "lookup") -> None:
    """Drop the reference `ref`; BUG (the kernel warns) if there is none.  Source: fs/buffer.c, v3.3."""
    rt.bug_on(bh.b_count.read() <= 0, "brelse: buffer has no reference", bh=bh)
    put_bh(bh, ref)


def __bforget(bh: BufferHead, ref: str) -> None:
    """Drop a reference to a buffer whose content nobody needs: it will not be written.  Source: fs/buffer.c, v3.3."""
    buffer_head.clear_buffer_dirty(bh)
    __brelse(bh, ref)


def brelse(bh: BufferHead | None, ref: str = "lookup") -> None:
    """Drop the reference `ref`, if there is a buffer at all.  Source: include/linux/buffer_head.h, v3.3."""
    if bh is not None:
        __brelse(bh, ref)


def lock_buffer(bh: BufferHead) -> None:
    """Take the buffer lock, sleeping if need be.  Source: include/linux/buffer_head.h, v3.3."""
    rt.bit_lock(bh.b_state, BufferState.BH_Lock)


def trylock_buffer(bh: BufferHead) -> bool:
    """Try the buffer lock without sleeping.  Source: include/linux/buffer_head.h, v3.3."""
    return rt.bit_trylock(bh.b_state, BufferState.BH_Lock)


def unlock_buffer(bh: BufferHead) -> None:
    """Release the buffer lock: clear, then wake.  Source: fs/buffer.c, v3.3."""
    rt.bit_unlock(bh.b_state, BufferState.BH_Lock)


def wait_on_buffer(bh: BufferHead) -> None:
    """Sleep until the buffer is unlocked; takes nothing.  Source: include/linux/buffer_head.h, v3.3."""
    rt.wait_on_bit(bh.b_state, BufferState.BH_Lock)


# -- rings -----------------------------------------------------------------------------------------------------------


def alloc_buffer_head(name: object, b_size: int) -> BufferHead:
    """Allocate a buffer of `b_size` words.  Source: fs/buffer.c, v3.3."""
    return BufferHead(name, b_size)


def free_buffer_head(bh: BufferHead) -> None:
    """Free a buffer: any later touch is a use after free.  Source: fs/buffer.c, v3.3."""
    rt.poison(bh)


def ring(head: BufferHead) -> Iterator[BufferHead]:
    """Yield each buffer of a ring once, from `head` on, by b_this_page.

    The link is read after the buffer was used, as the kernel's do-while does.  BUG on a ring that was taken apart.
    """
    bh: BufferHead | None = head
    while True:
        rt.bug_on(bh is None, "a buffer ring does not close", head=head)
        assert bh is not None
        yield bh
        bh = bh.b_this_page
        if bh is head:
            return


def set_bh_page(bh: BufferHead, page: Page, offset: int) -> None:
    """Point a buffer at a page: two stores, no lock.  Source: fs/buffer.c, v3.3."""
    bh.b_page = page
    bh.b_data = offset


def _page_of(bh: BufferHead) -> Page:
    """Return what b_page names now.  BUG if that is no page: the kernel follows the pointer without a look."""
    page = bh.b_page
    rt.bug_on(page is None, "b_page of a buffer without a page is followed", bh=bh)
    assert page is not None
    return page


def _data_of(bh: BufferHead) -> tuple[Page, int]:
    """Return the address that b_data is: (page, offset of the first word).

    Whoever took it goes on reading and writing there, whatever page the buffer belongs to by then.
    """
    return _page_of(bh), bh.b_data


def bh_offset(bh: BufferHead) -> int:
    """Return the buffer's first word in its page.  Source: include/linux/buffer_head.h, v3.3."""
    return bh.b_data


def map_bh(bh: BufferHead, bdev: BlockDevice, block: int) -> None:
    """Say which block of the device the buffer is.  Source: include/linux/buffer_head.h, v3.3."""
    buffer_head.set_buffer_mapped(bh)
    bh.b_bdev = bdev
    bh.b_blocknr = block


def alloc_page_buffers(page: Page) -> BufferHead:
    """Allocate one buffer a block of the page, chained but not yet a ring; returns the first.

    Built from the last one on, as the kernel does.  Source: fs/buffer.c, v3.3.
    """
    machine = mmzone.page_machine(page)
    head: BufferHead | None = None
    for position in reversed(range(machine.buffers_per_page)):
        bh = alloc_buffer_head(rt.fresh("bh"), machine.words_per_buffer)
        bh.b_this_page = head
        head = bh
        set_bh_page(bh, page, position * machine.words_per_buffer)
    assert head is not None
    return head


def _close_ring(head: BufferHead) -> list[BufferHead]:
    """Make a ring of a chain that nobody else can see yet; returns its members in order."""
    members = [head]
    while (following := members[-1].b_this_page) is not None:
        members.append(following)
    members[-1].b_this_page = head
    return members


def page_has_buffers(page: Page) -> bool:
    """Say whether a ring of buffers hangs on the page."""
    return page_flags.PagePrivate(page)


def page_buffers(page: Page) -> BufferHead:
    """Return the head of the page's ring.  BUG if PG_private is clear.  Source: include/linux/buffer_head.h, v3.3."""
    rt.bug_on(not page_flags.PagePrivate(page), "page_buffers: page has no buffers", page=page)
    head = page.private
    rt.bug_on(head is None, "page_buffers: PG_private with an empty private", page=page)
    assert head is not None
    return head


def attach_page_buffers(page: Page, head: BufferHead) -> None:
    """Hang a ring on a page, which counts as the reference "private".  Source: include/linux/buffer_head.h, v3.3."""
    mm.get_page(page, "private")
    page_flags.SetPagePrivate(page)
    page.private = head


def __clear_page_buffers(page: Page) -> None:
    """Take the ring off a page and drop the reference "private".  Source: fs/buffer.c, v3.3."""
    page_flags.ClearPagePrivate(page)
    page.private = None
    swap.put_page(page, "private")


def create_empty_buffers(page: Page, dirty: bool = False, uptodate: bool = False) -> None:
    """Give a page without buffers a ring that inherits its dirty and uptodate bits.  Needs the page lock.

    Args: dirty, uptodate: bits that each buffer is born with.  Source: fs/buffer.c, v3.3.
    """
    head = alloc_page_buffers(page)
    for bh in _close_ring(head):
        if dirty:
            buffer_head.set_buffer_dirty(bh)
        if uptodate:
            buffer_head.set_buffer_uptodate(bh)
    mapping = page.mapping
    assert mapping is not None
    rt.spin_lock(mapping.private_lock)
    if page_flags.PageUptodate(page) or page_flags.PageDirty(page):
        for bh in ring(head):
            if page_flags.PageDirty(page):
                buffer_head.set_buffer_dirty(bh)
            if page_flags.PageUptodate(page):
                buffer_head.set_buffer_uptodate(bh)
    attach_page_buffers(page, head)
    rt.spin_unlock(mapping.private_lock)


def buffer_busy(bh: BufferHead) -> bool:
    """Say whether a buffer is referenced, dirty or locked.

    Simplified: three looks, where the kernel reads b_state once for dirty and locked.  With the page lock and
    private_lock held, as all callers have them, nobody dirties or locks it in between.  Source: fs/buffer.c, v3.3.
    """
    return bh.b_count.read() != 0 or buffer_head.buffer_dirty(bh) or buffer_head.buffer_locked(bh)


def drop_buffers(page: Page) -> BufferHead | None:
    """Detach the ring if none of it is busy; returns its head for the caller to free, or None.

    Needs the page lock, and private_lock unless the page has no mapping.  Source: fs/buffer.c, v3.3.
    """
    head = page_buffers(page)
    for bh in ring(head):
        if buffer_head.buffer_write_io_error(bh):
            mapping = page.mapping
            if mapping is not None:
                rt.set_bit(mapping.flags, fs.AS_EIO)
        if buffer_busy(bh):
            rt.reached("buffer: busy")
            return None
    __clear_page_buffers(page)
    return head


def try_to_free_buffers(page: Page) -> bool:
    """Strip a page of its ring if nobody uses it; returns whether it did.  Never sleeps.  BUG if not locked.

    With the ring a PG_dirty that no buffer stands for is cancelled, in the same private_lock section.
    Source: fs/buffer.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "try_to_free_buffers: page is not locked", page=page)
    if page_flags.PageWriteback(page):
        return False
    mapping = page.mapping
    if mapping is None:
        head = drop_buffers(page)
    else:
        rt.spin_lock(mapping.private_lock)
        head = drop_buffers(page)
        if head is not None:
            truncate.cancel_dirty_page(page)
        rt.spin_unlock(mapping.private_lock)
    if head is None:
        return False
    rt.reached("buffer: ring freed")
    for bh in list(ring(head)):
        free_buffer_head(bh)
    return True


# -- dirty -----------------------------------------------------------------------------------------------------------


def __set_page_dirty(page: Page, mapping: AddressSpace) -> None:
    """Account and tag a page whose dirty bit was just set.  Source: fs/buffer.c, v3.3."""
    rt.spin_lock_irq(mapping.tree_lock)
    if page.mapping is not None:  # else truncation was first
        page_writeback.account_page_dirtied(page)
        index = mm.page_index(page)
        radix_tree.radix_tree_tag_set(mapping.page_tree, index, radix_tree.PAGECACHE_TAG_DIRTY)
    else:
        rt.reached("dirty: mapping went away")
    rt.spin_unlock_irq(mapping.tree_lock)
    fs_writeback.__mark_inode_dirty(mapping.host, fs.InodeState.I_DIRTY_PAGES)


def __set_page_dirty_buffers(page: Page) -> bool:
    """Dirty a page and each of its buffers; returns whether the page was clean.  Needs no page lock.

    Source: fs/buffer.c, v3.3.
    """
    mapping = mm.page_mapping(page)
    if mapping is None:
        return not page_flags.TestSetPageDirty(page)
    rt.spin_lock(mapping.private_lock)
    if page_has_buffers(page):
        for bh in ring(page_buffers(page)):
            buffer_head.set_buffer_dirty(bh)
    newly_dirty = not page_flags.TestSetPageDirty(page)
    rt.spin_unlock(mapping.private_lock)
    if newly_dirty:
        __set_page_dirty(page, mapping)
    return newly_dirty


def mark_buffer_dirty(bh: BufferHead) -> None:
    """Dirty a buffer, then the page that b_page names at that moment.  Takes no page, private or buffer lock.

    Simplified: the kernel's first look is followed by a barrier and a second look, which says the same where ops are
    sequentially consistent.  Source: fs/buffer.c, v3.3.
    """
    if buffer_head.buffer_dirty(bh):
        return
    if buffer_head.test_set_buffer_dirty(bh):
        return
    page = bh.b_page
    assert page is not None
    if page_flags.TestSetPageDirty(page):
        rt.reached("mark_buffer_dirty: page was dirty")
        return
    mapping = mm.page_mapping(page)
    if mapping is not None:
        __set_page_dirty(page, mapping)


# -- I/O of one buffer -----------------------------------------------------------------------------------------------


def submit_bh(rw: int, bh: BufferHead) -> None:
    """Start the I/O of a locked buffer, from where b_page and b_data point now; b_end_io is called when it ends.

    The buffer lock belongs to the I/O from here on.  No page reference is taken.  Source: fs/buffer.c, v3.3.
    """
    rt.bug_on(not buffer_head.buffer_locked(bh), "submit_bh: buffer is not locked", bh=bh)
    rt.bug_on(not buffer_head.buffer_mapped(bh), "submit_bh: buffer is not mapped", bh=bh)
    rt.bug_on(bh.b_end_io is None, "submit_bh: buffer has no end handler", bh=bh)
    rt.bug_on(buffer_head.buffer_delay(bh), "submit_bh: buffer is delayed", bh=bh)
    rt.bug_on(buffer_head.buffer_unwritten(bh), "submit_bh: buffer is unwritten", bh=bh)
    if buffer_head.test_set_buffer_req(bh) and rw & device.WRITE:
        buffer_head.clear_buffer_write_io_error(bh)
    sector, bdev, page = bh.b_blocknr, bh.b_bdev, bh.b_page
    assert bdev is not None and page is not None
    bio = device.Bio(bdev, sector, (device.BioVec(page, bh_offset(bh), bh.b_size),), bh, end_bio_bh_io_sync)
    device.submit_bio(rw, bio)


def end_bio_bh_io_sync(bio: Bio, error: int) -> None:
    """Pass a bio's end to its buffer.  Irq context.  Source: fs/buffer.c, v3.3."""
    bh = bio.bi_private
    assert bh is not None
    end_io = bh.b_end_io
    assert end_io is not None
    end_io(bh, error == 0)


def __end_buffer_read_notouch(bh: BufferHead, uptodate: bool) -> None:
    """Record the outcome of a read and unlock.  Source: fs/buffer.c, v3.3."""
    if uptodate:
        buffer_head.set_buffer_uptodate(bh)
    else:
        rt.reached("buffer: read error")
        buffer_head.clear_buffer_uptodate(bh)
    unlock_buffer(bh)


def end_buffer_read_sync(bh: BufferHead, uptodate: bool) -> None:
    """End a read that somebody may wait for; drops the reference "io".  Irq context.  Source: fs/buffer.c, v3.3."""
    __end_buffer_read_notouch(bh, uptodate)
    put_bh(bh, "io")


def end_buffer_write_sync(bh: BufferHead, uptodate: bool) -> None:
    """End a write that somebody may wait for; drops the reference "io".  Irq context.  Source: fs/buffer.c, v3.3."""
    if uptodate:
        buffer_head.set_buffer_uptodate(bh)
    else:
        rt.reached("buffer: write error")
        buffer_head.set_buffer_write_io_error(bh)
        buffer_head.clear_buffer_uptodate(bh)
    unlock_buffer(bh)
    put_bh(bh, "io")


def ll_rw_block(rw: int, bhs: Sequence[BufferHead]) -> None:
    """Start the I/O of each buffer that is free and needs it; a locked one is skipped silently.  Does not sleep.

    Source: fs/buffer.c, v3.3.
    """
    for bh in bhs:
        if not trylock_buffer(bh):
            rt.reached("ll_rw_block: buffer lock busy")
            continue
        if rw & device.WRITE:
            if buffer_head.test_clear_buffer_dirty(bh):
                bh.b_end_io = end_buffer_write_sync
                get_bh(bh, "io")
                submit_bh(device.WRITE, bh)
                continue
        elif not buffer_head.buffer_uptodate(bh):
            bh.b_end_io = end_buffer_read_sync
            get_bh(bh, "io")
            submit_bh(rw, bh)
            continue
        unlock_buffer(bh)


def write_dirty_buffer(bh: BufferHead, rw: int = device.WRITE) -> None:
    """Start writing a buffer if it is dirty; sleeps for its lock.  Source: fs/buffer.c, v3.3."""
    lock_buffer(bh)
    if not buffer_head.test_clear_buffer_dirty(bh):
        unlock_buffer(bh)
        return
    bh.b_end_io = end_buffer_write_sync
    get_bh(bh, "io")
    submit_bh(rw, bh)


def sync_dirty_buffer(bh: BufferHead, rw: int = device.WRITE_SYNC) -> int:
    """Write a buffer if it is dirty and wait; 0 or -EIO.  Needs a reference.  Source: fs/buffer.c, v3.3."""
    rt.bug_on(bh.b_count.read() < 1, "sync_dirty_buffer: buffer has no reference", bh=bh)
    lock_buffer(bh)
    if not buffer_head.test_clear_buffer_dirty(bh):
        unlock_buffer(bh)
        return 0
    get_bh(bh, "io")
    bh.b_end_io = end_buffer_write_sync
    submit_bh(rw, bh)
    wait_on_buffer(bh)
    return 0 if buffer_head.buffer_uptodate(bh) else -Errno.EIO


# -- the cache of a block device ---------------------------------------------------------------------------------------


def __find_get_block_slow(bdev: BlockDevice, block: int, ref: str) -> BufferHead | None:
    """Find a buffer of the device in its mapping; takes the reference `ref`.  No page lock: private_lock only.

    Source: fs/buffer.c, v3.3.
    """
    mapping = bdev.bd_inode.i_mapping
    page = filemap.find_get_page(mapping, block // bdev.machine.buffers_per_page)
    if page is None:
        return None
    found = None
    rt.spin_lock(mapping.private_lock)
    if page_has_buffers(page):
        for bh in ring(page_buffers(page)):
            if not buffer_head.buffer_mapped(bh):
                continue
            if bh.b_blocknr == block:
                found = bh
                get_bh(bh, ref)
                break
    rt.spin_unlock(mapping.private_lock)
    swap.put_page(page, "lookup")
    return found


def lookup_bh_lru(bdev: BlockDevice, block: int, ref: str) -> BufferHead | None:
    """Look into this CPU's LRU; a hit moves to the front and gets the reference `ref`.  Source: fs/buffer.c, v3.3."""
    rt.local_irq_disable()
    cpu = bdev.machine.percpu.this_cpu()
    bhs = cpu.bh_lru
    found = None
    for bh in bhs:
        if bh.b_bdev is bdev and bh.b_blocknr == block:
            rt.reached("bh lru: hit")
            if bh is not bhs[0]:
                cpu.bh_lru = (bh, *(other for other in bhs if other is not bh))
            get_bh(bh, ref)
            found = bh
            break
    rt.local_irq_enable()
    return found


def bh_lru_install(bh: BufferHead, bdev: BlockDevice) -> None:
    """Put a buffer at the front of this CPU's LRU, which holds the reference "lru".  Source: fs/buffer.c, v3.3."""
    evictee = None
    rt.local_irq_disable()
    cpu = bdev.machine.percpu.this_cpu()
    bhs = cpu.bh_lru
    if not bhs or bhs[0] is not bh:
        get_bh(bh, "lru")
        if bh in bhs:
            __brelse(bh, "lru")
        rest = tuple(other for other in bhs if other is not bh)
        if len(rest) >= BH_LRU_SIZE:
            evictee = rest[-1]
            rest = rest[:-1]
        cpu.bh_lru = (bh, *rest)
    rt.local_irq_enable()
    if evictee is not None:
        __brelse(evictee, "lru")


def __find_get_block(bdev: BlockDevice, block: int, ref: str = "lookup") -> BufferHead | None:
    """Find a cached buffer of the device; takes the reference `ref`.  Does not sleep.  Source: fs/buffer.c, v3.3."""
    bh = lookup_bh_lru(bdev, block, ref)
    if bh is None:
        bh = __find_get_block_slow(bdev, block, ref)
        if bh is not None:
            bh_lru_install(bh, bdev)
    if bh is not None:
        touch_buffer(bh)
    return bh


def touch_buffer(bh: BufferHead) -> None:
    """Say that the buffer's page was used.  Needs a reference.  Source: include/linux/buffer_head.h, v3.3."""
    page = bh.b_page
    assert page is not None
    swap.mark_page_accessed(page)


def init_page_buffers(page: Page, bdev: BlockDevice, block: int) -> None:
    """Map each unmapped buffer of a device page, the first one being `block`.  Needs private_lock.

    Source: fs/buffer.c, v3.3.
    """
    uptodate = page_flags.PageUptodate(page)
    for number, bh in enumerate(ring(page_buffers(page))):
        if not buffer_head.buffer_mapped(bh):
            bh.b_end_io = None
            bh.b_private = None
            bh.b_bdev = bdev
            bh.b_blocknr = block + number
            if uptodate:
                buffer_head.set_buffer_uptodate(bh)
            buffer_head.set_buffer_mapped(bh)


def grow_dev_page(bdev: BlockDevice, block: int, index: int) -> Page | None:
    """Make sure that page `index` of the device is cached and has buffers; returns it locked.  Sleeps.

    Source: fs/buffer.c, v3.3.
    """
    mapping = bdev.bd_inode.i_mapping
    gfp_mask = filemap.mapping_gfp_mask(mapping) & ~gfp.__GFP_FS | gfp.__GFP_MOVABLE
    page = filemap.find_or_create_page(mapping, index, gfp_mask)
    if page is None:
        return None
    rt.bug_on(not page_flags.PageLocked(page), "grow_dev_page: page is not locked", page=page)
    if page_has_buffers(page):
        init_page_buffers(page, bdev, block)
        return page
    head = alloc_page_buffers(page)
    rt.spin_lock(mapping.private_lock)
    _close_ring(head)
    attach_page_buffers(page, head)
    init_page_buffers(page, bdev, block)
    rt.spin_unlock(mapping.private_lock)
    return page


def grow_buffers(bdev: BlockDevice, block: int) -> bool:
    """Cache the page of a block; False when memory is out.  Sleeps.  Source: fs/buffer.c, v3.3."""
    blocks = bdev.machine.buffers_per_page
    index = block // blocks
    page = grow_dev_page(bdev, index * blocks, index)
    if page is None:
        return False
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")
    return True


def free_more_memory(machine: Machine) -> int:
    """Reclaim for who cannot do without a buffer; returns what that freed.  Sleeps.

    Left out: waking the flusher threads; where nobody counts pages, all of it.  Source: fs/buffer.c, v3.3.
    """
    return vmscan_zone.try_to_free_pages(machine.zone, 0, gfp.GFP_NOFS) if machine.zone.counts else 0


def __getblk(bdev: BlockDevice, block: int, ref: str = "lookup") -> BufferHead:
    """Return the buffer of a block, cached now if it was not; takes the reference `ref`.  Sleeps.  Never fails.

    It tries again when it has freed memory, or once something that it saw has changed: the kernel spins.
    Source: fs/buffer.c, v3.3.
    """
    rt.might_sleep()
    for _ in rt.until_changed():
        bh = __find_get_block(bdev, block, ref)
        if bh is not None:
            return bh
        rt.reached("getblk: page not in the cache")
        if not grow_buffers(bdev, block):
            rt.reached("getblk: out of memory")
            while free_more_memory(bdev.machine) and not grow_buffers(bdev, block):
                rt.cond_resched()
        bh = __find_get_block(bdev, block, ref)
        if bh is not None:
            return bh
    raise AssertionError("until_changed never ends by itself")


def __bread(bdev: BlockDevice, block: int, ref: str = "lookup") -> BufferHead | None:
    """Return the buffer of a block, read if need be; None on a read error.  Sleeps.  Source: fs/buffer.c, v3.3."""
    bh = __getblk(bdev, block, ref)
    if buffer_head.buffer_uptodate(bh):
        return bh
    lock_buffer(bh)
    if buffer_head.buffer_uptodate(bh):
        unlock_buffer(bh)
        return bh
    get_bh(bh, "io")
    bh.b_end_io = end_buffer_read_sync
    submit_bh(device.READ, bh)
    wait_on_buffer(bh)
    if buffer_head.buffer_uptodate(bh):
        return bh
    brelse(bh, ref)
    return None


def invalidate_bh_lru(machine: Machine) -> None:
    """Drop every reference of this CPU's LRU.  Irq context, or with interrupts off.  Source: fs/buffer.c, v3.3."""
    cpu = machine.percpu.this_cpu()
    bhs = cpu.bh_lru
    cpu.bh_lru = ()
    for bh in bhs:
        brelse(bh, "lru")


def invalidate_bh_lrus(machine: Machine) -> None:
    """Drop every CPU's LRU, by an interrupt to each.  Does not sleep; needs interrupts on.

    Not called yet: waits for the block device to be closed, and for a migration that counts buffer references (5.0).
    Source: fs/buffer.c, v3.3.
    """
    smp.on_each_cpu(machine, invalidate_bh_lru)


def unmap_underlying_metadata(bdev: BlockDevice, block: int) -> None:
    """Forget a cached metadata buffer of a block that now belongs to a file.  Sleeps.  Source: fs/buffer.c, v3.3."""
    old_bh = __find_get_block_slow(bdev, block, "lookup")
    if old_bh is not None:
        buffer_head.clear_buffer_dirty(old_bh)
        wait_on_buffer(old_bh)
        buffer_head.clear_buffer_req(old_bh)
        __brelse(old_bh, "lookup")
