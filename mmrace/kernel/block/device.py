"""The block device: blocks, transfers word by word, and the interrupt that ends each.

The device is the model's own: no kernel file holds it.  `Bio` and `submit_bio` are the kernel's.  A bio names a page
and an offset and holds no reference to the page: a transfer from or to a page that was freed is a use after free.
Every bio is served by a task of its own, bound to no CPU, so that I/Os end in any order.
Invariant: a completion runs in irq context of one CPU and calls bi_end_io exactly once.
A disk may have a volatile cache: then a write that ended may be lost in a crash until a flush comes.  What is read is
the same, so blocks hold what was written last; which writes survive a crash is judged from the record.
A disk with `ticks` is slow: it serves one I/O at a time, each for so many ticks, and holds no more than `nr_requests`
of them; who comes then waits in submit_bio (`get_request_wait`).
Not modelled: request merging, plugging (who reads ahead keeps its bio to itself until it is complete).
Source: block/blk-core.c, include/linux/bio.h, blkdev.h, fs.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmrace import runtime as rt
from mmrace.kernel.block import ownership
from mmrace.kernel.errno import Errno

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import Inode
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine

MARKS = (
    ("device: i/o error", "the device failed a transfer, by the scenario's choice"),
    ("device: waited for a request", "the queue of a slow device was full, and who wanted to submit slept"),
)

# Directions and flags of an I/O. Source: include/linux/fs.h, blk_types.h, v3.3 (values are ours).
READ = 0
WRITE = 1
WRITE_SYNC = WRITE | 2
WRITE_FLUSH_FUA = WRITE_SYNC | 4

FLUSH_FUA = WRITE_FLUSH_FUA & ~WRITE_SYNC

# Blocks of a disk whose layout is left to the file system: more than any run uses. They are made on first use.
NR_BLOCKS = 4096

# Requests that a queue holds, as in the kernel. Source: include/linux/blkdev.h (BLKDEV_MAX_RQ), v3.3.
BLKDEV_MAX_RQ = 128

_LATER: Any = None  # a ghost that the constructor, or the set-up, sets at once


class DiskBlock(rt.Struct):
    """One block on the medium; until it is written, `first` is in every word."""

    words = rt.words()

    def __init__(self, blocknr: int, nr_words: int, first: int) -> None:
        super().__init__(("disk", blocknr), words=nr_words)
        self.words.preset([first] * nr_words)


@dataclass(frozen=True, slots=True)
class Region:
    """A run of blocks with a name: those of one file (key: its inode number), the log, the inode blocks."""

    key: int | str
    first: int
    blocks: int


class Blocks(dict[int, DiskBlock]):
    """The blocks of a disk by number, each made when it is first used: most of a disk never is.

    Block i holds `versions` * (i + 1) at first: no two blocks the same, unless `versions` is 0.
    """

    def __init__(self, nr_words: int, versions: int) -> None:
        super().__init__()
        self.nr_words = nr_words
        self.versions = versions

    def __missing__(self, blocknr: int) -> DiskBlock:
        # setdefault: under `free` two tasks may come at once, and both must get the same block.
        return self.setdefault(blocknr, DiskBlock(blocknr, self.nr_words, self.versions * (blocknr + 1)))


class RequestQueue(rt.Struct):
    """The queue of a slow device.  `served` is held for the I/O that the device is at.

    Simplified: reads and writes share one count; in the kernel each direction has its own.
    Source: include/linux/blkdev.h, v3.3.
    """

    queue_lock = rt.irq_spinlock()
    rq_count: rt.Field[int] = rt.shared(0)
    wait = rt.wait_queue()
    served = rt.mutex()
    nr_requests: int = rt.ghost(BLKDEV_MAX_RQ)
    serving: list[rt.Task] = rt.ghost(_LATER)
    """The tasks that serve its I/Os, for who explains a standstill."""

    def __init__(self, device: object, nr_requests: int) -> None:
        super().__init__(("queue", device))
        self.nr_requests = nr_requests
        self.serving = []


class BlockDevice(rt.Struct):
    """A disk: its blocks, numbered through, and how it behaves in this scenario.

    Settings (ghosts, constant in a run): first: number of its first block, which of a second disk follows the last of
    the first, so that a number says whose block it is; nr_blocks; regions: what the blocks are called; errors:
    transfers may fail, by choice; log_errors: so does one of so many writes of the region "log", 0: none; cache: it has
    a volatile one; irq_cpu: where completions interrupt: "submitter", "any" (by choice) or a CPU number; ticks: how
    long an I/O takes; request_queue: of one with ticks; bdev_try_to_free_page: how a mounted file system wants pages of
    the device's own mapping to be stripped.
    """

    machine: Machine = rt.ghost(_LATER)
    first: int = rt.ghost(0)
    nr_blocks: int = rt.ghost(0)
    regions: tuple[Region, ...] = rt.ghost(())
    errors: bool = rt.ghost(False)
    log_errors: int = rt.ghost(0)
    cache: bool = rt.ghost(False)
    irq_cpu: int | str = rt.ghost("submitter")
    ticks: int = rt.ghost(0)
    request_queue: RequestQueue | None = rt.ghost(None)
    bdev_try_to_free_page: Callable[[Page], bool] | None = rt.ghost(_LATER)
    bd_inode: Inode = rt.ghost(_LATER)
    blocks: Blocks = rt.ghost(_LATER)

    def __init__(
        self, name: object, machine: Machine, regions: Sequence[tuple[int | str, int]], versions: int, first: int
    ) -> None:
        super().__init__(name, machine=machine, first=first)
        self.blocks = Blocks(machine.words_per_buffer, versions)
        laid: list[Region] = []
        for key, count in regions:
            laid.append(Region(key, self.end, count))
            self.nr_blocks += count
        self.regions = tuple(laid)
        self.nr_blocks = self.nr_blocks or NR_BLOCKS

    @property
    def end(self) -> int:
        """The number after its last block."""
        return self.first + self.nr_blocks

    def block(self, blocknr: int) -> DiskBlock:
        """Return a block.  Point: never."""
        return self.blocks[blocknr]

    def where(self, blocknr: int) -> tuple[int | str, int]:
        """Say whose block a number is: (key of the region, block within the region), or ("disk", the number).

        Point: never.
        """
        for region in self.regions:
            if region.first <= blocknr < region.first + region.blocks:
                return region.key, blocknr - region.first
        return "disk", blocknr


def new_block_device(
    name: object,
    machine: Machine,
    regions: Sequence[tuple[int | str, int]] = (),
    errors: bool = False,
    irq_cpu: int | str = "submitter",
    versions: int = 0,
    cache: bool = False,
    first: int = 0,
    ticks: int = 0,
    nr_requests: int = BLKDEV_MAX_RQ,
) -> BlockDevice:
    """Make a disk of the regions (key, number of blocks), laid out one after the other; without any it has NR_BLOCKS.

    Args: versions: what block 0 holds at first, and how much more that of each further block; 0: a blank disk.  first:
    number of its first block.  ticks: of the clock that one I/O takes; 0: it takes no time.  nr_requests: that the
    queue of such a disk holds.  Called at set-up; `block_dev.bdget` then gives it its inode.
    """
    device = BlockDevice(name, machine, regions, versions, first)
    device.errors = errors
    device.irq_cpu = irq_cpu
    device.cache = cache
    slow_down(device, ticks, nr_requests)
    machine.devices.append(device)
    return device


def slow_down(device: BlockDevice, ticks: int, nr_requests: int) -> None:
    """Have each I/O of a disk take so many ticks, if any.  Called at set-up."""
    if ticks:
        device.ticks = ticks
        device.request_queue = RequestQueue(device.name, nr_requests)


@dataclass(frozen=True, slots=True)
class BioVec:
    """A part of an I/O: words of one page.  Source: include/linux/bio.h, v3.3."""

    bv_page: Page
    bv_offset: int
    bv_len: int


@dataclass(frozen=True, slots=True)
class Bio:
    """One I/O of a run of blocks, to or from some pages in turn, as submitted.  Source: include/linux/bio.h, v3.3.

    `bi_private` is the buffer whose I/O it is; None: it is that of whole pages.
    """

    bi_bdev: BlockDevice
    bi_sector: int
    bi_io_vec: tuple[BioVec, ...]
    bi_private: BufferHead | None
    bi_end_io: Callable[[Bio, int], None]


def submit_bio(rw: int, bio: Bio) -> None:
    """Give an I/O to the device, which takes no reference to the page.  Source: block/blk-core.c, v3.3.

    The task that serves the I/O acts for the buffer, whose lock is handed over, and for the pages: an asynchronous
    read, and that of whole pages, have the page lock too; the write of whole pages has no lock.  May sleep if the
    device is slow.  Point: always.
    """
    pages = [part.bv_page for part in bio.bi_io_vec]
    if bio.bi_private is not None:
        ownership.buffer_lock_to_io(bio.bi_private)
    elif not rw & WRITE:
        for page in pages:
            ownership.page_lock_to_reads(page)
    queue = bio.bi_bdev.request_queue
    if queue is not None:
        get_request_wait(queue)
    submitter = rt.current().cpu
    flushes = ("flush-fua",) if bio.bi_bdev.cache and rw & FLUSH_FUA else ()
    whole = (_nr_blocks(bio), *pages) if _writes_pages(rw, bio) else ()
    rt.note("io-begin", _direction(rw), bio.bi_sector, *whole, *flushes)
    io = rt.spawn(
        _serve_bio,
        rw,
        bio,
        submitter if submitter is not None else 0,
        name=rt.fresh("io"),
        cpu=None,
        acts_for=(bio.bi_private, *pages),
    )
    if queue is not None:
        queue.serving.append(io)


def get_request_wait(q: RequestQueue) -> None:
    """Take a place in the queue, sleeping while it is full; who sleeps may hold page locks and buffer locks.

    Source: block/blk-core.c, v3.3.
    """

    def free() -> bool:
        if q.rq_count < q.nr_requests:
            return True
        rt.reached("device: waited for a request")
        return False

    rt.spin_lock_irq(q.queue_lock)
    rt.wait_event(
        q.wait,
        free,
        before_sleep=lambda: rt.spin_unlock_irq(q.queue_lock),
        after_sleep=lambda: rt.spin_lock_irq(q.queue_lock),
        holds=lambda: rt.peek(q, "rq_count") < q.nr_requests,
        exclusive=True,
        holder=lambda: [io for io in q.serving if not io.done],
    )
    q.rq_count += 1
    rt.spin_unlock_irq(q.queue_lock)


def freed_request(q: RequestQueue) -> None:
    """Give a place in the queue back and wake who waits for one.  Any context.  Source: block/blk-core.c, v3.3."""
    rt.spin_lock_irqsave(q.queue_lock)
    q.rq_count -= 1
    rt.spin_unlock_irqrestore(q.queue_lock)
    rt.wake_up(q.wait)


def blkdev_issue_flush(bdev: BlockDevice) -> int:
    """Have the disk write its cache out, and wait: 0.  What had ended before is on the medium then.

    Source: block/blk-flush.c, v3.3.
    """
    rt.note("disk-flush")
    if bdev.cache:
        rt.schedule()
        rt.note("disk-flushed")
    return 0


def _serve_bio(rw: int, bio: Bio, submitter: int) -> None:
    """The life of one I/O: transfer, or fail, then interrupt a CPU."""
    device = bio.bi_bdev
    queue = device.request_queue
    error = 0
    if queue is not None:
        rt.mutex_lock(queue.served)
        rt.sleep(device.ticks, "transfer")
    if _fails(device, rw, bio.bi_sector):
        rt.reached("device: i/o error")
        error = -Errno.EIO
    else:
        _transfer(rw, bio)
    if queue is not None:
        rt.mutex_unlock(queue.served)
    cpu = device.irq_cpu
    if cpu == "any":
        cpu = rt.choose(device.machine.ncpus, "irq-cpu")
    rt.irq_enter(cpu if isinstance(cpu, int) else submitter)
    rt.note("io-end", _direction(rw), bio.bi_sector, error, *((_nr_blocks(bio),) if _writes_pages(rw, bio) else ()))
    bio.bi_end_io(bio, error)
    if queue is not None:
        freed_request(queue)
    rt.irq_exit()


def _fails(device: BlockDevice, rw: int, blocknr: int) -> bool:
    """Choose whether a transfer fails.  Point: if it may."""
    if device.errors:
        return bool(rt.choose(2, "io-error"))
    odds = device.log_errors if rw & WRITE and device.where(blocknr)[0] == "log" else 0
    return bool(odds) and rt.choose(odds, "io-error") == odds - 1


def _writes_pages(rw: int, bio: Bio) -> bool:
    """Say whether an I/O is the write of whole pages.  Point: never."""
    return bool(rw & WRITE) and bio.bi_private is None


def _nr_blocks(bio: Bio) -> int:
    """Count the blocks of an I/O.  Point: never."""
    return sum(part.bv_len for part in bio.bi_io_vec) // bio.bi_bdev.blocks.nr_words


def _direction(rw: int) -> str:
    """Name the direction of an I/O, for notes.  Point: never."""
    return "write" if rw & WRITE else "read"


def _transfer(rw: int, bio: Bio) -> None:
    """Copy blocks between pages and medium, word by word, whatever became of the pages meanwhile."""
    blocks = bio.bi_bdev.blocks
    done = 0
    for part in bio.bi_io_vec:
        page, offset = part.bv_page, part.bv_offset
        for position in range(part.bv_len):
            number, i = divmod(done + position, blocks.nr_words)
            words = blocks[bio.bi_sector + number].words
            if rw & WRITE:
                words.write(i, page.words.read(offset + position))
            else:
                page.words.write(offset + position, words.read(i))
        done += part.bv_len
