"""Build a stage: a machine, a device, a mounted ext3, and one file whose pages are in the page cache.

The run's main task builds it through the kernel's own functions, so that every reference and bit has a recorded origin.
Invariant: when `build` returns, each page of the file, but for those that are `cold`, is up to date, on the LRU, clean
and unlocked.  Either it has a ring of mapped and up-to-date buffers, as after a write, and counts 2 (cache and
buffers), or it has none, as after a read, and counts 1; the parameter `bare` says which.  Its words are those that the
device holds: a version of each block's own.  Pages of `holes` have buffers without a block, and hold zeros.  The
parameter `dirtied` overwrites blocks after that: their pages are dirty, their buffers on the running transaction.
`map_file` is for casts in which an actor works through a mapping: the file is mapped, and `touched` pages have ptes.
"""

from __future__ import annotations

from functools import partial

from mmrace import runtime as rt
from mmrace.actors import committer, faulter, fsync, hugepage, migrator, streamer, writer
from mmrace.actors.stage import PAGES, ROUNDS, Stage
from mmrace.kernel.block import device
from mmrace.kernel.fs import block_dev, buffer, ext3
from mmrace.kernel.jbd import commit, jbd
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.mm import filemap, mm_types, mmap, mmzone, page_flags, swap
from mmrace.runtime.param import Choice, Number
from mmrace.scenarios import private, scattered, slow, stick

BUFFERS = Number("buffers", 2, 1, 8, says="buffers of a page")
WORDS = Number("words", 2, 1, 8, says="words of a buffer")
PAGEVEC = Number(
    "pagevec",
    1,
    1,
    mmzone.PAGEVEC_SIZE,
    says="entries of a per-CPU pagevec, each a reference that keeps its page from moving until that CPU drains the "
    "pagevec (14 in the kernel, where other pages soon fill it)",
)
IRQ = Choice(
    "irq",
    "submitter",
    ("submitter", "any", "idle"),
    says="whose CPU a completion interrupts; idle: one that no task uses, as an exhaustive search should have: all "
    "orders of ops stay possible, and no op is ordered with an interrupt only because both are on one CPU",
)
ERRORS = Number("errors", 0, 0, 1, says="1: the device may fail a transfer")
WARM = Number(
    "warm",
    0,
    0,
    64,
    says="first blocks of the log that are in the page cache already, as on a machine that has run for a while: "
    "commits then allocate nothing",
)
DIRTIED = Number("dirtied", 0, 0, 64, says="blocks of the file that are overwritten before the actors begin")
DATA = Choice(
    "data",
    "ordered",
    tuple(mode.value for mode in ext3.DataMode),
    says="how the file system treats data: written before its transaction commits, whenever, or through the journal",
)
BARE = Number(
    "bare",
    50,
    0,
    100,
    says="percent of the file's pages, evenly spread, that have no buffers at first, as after a read: of two at 50 the "
    "second; a single page has some unless it is 100",
)
HOLES = Number(
    "holes",
    0,
    0,
    64,
    says="pages of the file, from its end, that have no blocks at first: they read as zeros, and the first write to a "
    "block allocates it, which changes the inode's block through the journal",
)
CACHE = Number(
    "cache",
    0,
    0,
    1,
    says="1: the disk has a volatile cache, so that a write that ended may be lost in a crash until a flush comes",
)
PARAMS = (
    *(PAGES, BUFFERS, WORDS, PAGEVEC, IRQ, ERRORS, WARM, DIRTIED, DATA, BARE, HOLES, CACHE),
    *scattered.PARAMS,
    *stick.PARAMS,
    *slow.PARAMS,
)

OF_JOURNAL = (committer.WBUF, committer.RESCHED, fsync.CREDITS, fsync.LOG, fsync.LOG_ERRORS)
OF_ACTORS = (ROUNDS, migrator.BATCH, migrator.PASSES, hugepage.HELD, streamer.RAW, writer.BURST, writer.METADATA)
BORROWED = (*OF_ACTORS, *OF_JOURNAL)
"""Parameters of actors that the set-up reads too.  Where these actors are not cast, it takes their defaults."""

INO = 1
SPARE_PAGES = 8
"""Page frames beyond the file's own, the log's, a batch of targets and what a pagevec can hold back: for metadata, and
for a migration that tries again while the targets of its last try are on their way back."""

BLOCKS_PER_COMMIT = 4
"""Log blocks that one commit takes: a descriptor, copies, the commit block.  Its blocks stay in the page cache, so disk
and memory are laid out for all commits of a run."""

BLOCKS_PER_WRITE = 2
"""Log blocks that one write takes with data=journal: the copy, and at worst a descriptor of its own."""

EXTRA_COMMITS = 8
"""Commits beyond the committer's rounds: for synchronous handles, full transactions and the final sync."""

FORMATTED = 1_000_000
"""What the first block of the disk holds at first, and how much more that of each further block: more than the versions
that one run writes, so that a version says whose it is."""


def build(stage: Stage, ncpus: int) -> None:
    """Set the stage up by its parameters.  Point: always; no other task runs yet."""
    pages, per_page = stage.pages, stage.value(BUFFERS)
    pagevec, irq = stage.value(PAGEVEC), stage.value(IRQ)
    batch = stage.value_or_default(migrator.BATCH)
    log_blocks, journalled = _log_blocks(stage)
    huge, pinned = stage.value(scattered.HUGE), stage.value(scattered.PINNED)
    needed = pages + SPARE_PAGES + batch + pagevec + log_blocks // per_page + stick.frames(stage)
    needed += private.pages(stage.params)
    stage.machine = machine = mmzone.Machine(
        ncpus=ncpus,
        nr_pages=scattered.frames(stage, needed),
        buffers_per_page=per_page,
        words_per_buffer=stage.value(WORDS),
        pagevec_size=pagevec,
        max_order=huge,
        pageblock_order=huge,
        swap_cluster_max=stage.value(scattered.CLUSTER),
        migrate_passes=stage.value_or_default(migrator.PASSES),
        slab_order=stage.value(slow.SLAB_ORDER),
        min_free_pages=stage.value(scattered.KEPT) or min(stage.value(scattered.FREE), 1),
    )
    if machine.zone.counts:
        mmzone.setup_per_zone_wmarks(machine.zone, 0)
    stage.device = device.new_block_device(
        "disk",
        machine,
        [
            ("inodes", ext3.DEFAULT_INODE_BLOCKS),
            ("log", log_blocks),
            (INO, pages * per_page),
            ("superblock", 1),
        ],
        errors=bool(stage.value(ERRORS)),
        irq_cpu=ncpus - 1 if irq == "idle" else irq,
        versions=FORMATTED,
        cache=bool(stage.value(CACHE)),
        ticks=stick.ticks(stage, second=False),
        nr_requests=stage.value(slow.REQUESTS),
    )
    stage.device.log_errors = stage.value_or_default(fsync.LOG_ERRORS)
    stick.plug_in(stage, FORMATTED, errors=stage.device.errors, irq_cpu=stage.device.irq_cpu)
    slow.plug_in(stage, FORMATTED, irq_cpu=stage.device.irq_cpu)
    regions = [region for disk in stage.devices for region in disk.regions]
    rt.note("layout", *((region.key, region.first, region.blocks) for region in regions))
    rt.note("formatted", FORMATTED, FORMATTED)
    if stage.device.cache:
        rt.note("write-cache")
    block_dev.bdget(stage.device)
    stage.fs = ext3.Ext3(
        machine,
        stage.device,
        log_blocks=log_blocks,
        data=stage.value(DATA),
        j_max_transaction_buffers=stage.value_or_default(fsync.CREDITS) + journalled,
        metadata=bool(stage.value_or_default(writer.METADATA)),
        j_wbufsize=stage.value_or_default(committer.WBUF),
        resched=bool(stage.value_or_default(committer.RESCHED)),
    )
    holes = min(stage.value(HOLES), pages) * per_page
    stage.inode = ext3.ext3_iget(stage.fs, INO, pages * per_page, holes)
    if holes:
        rt.note("holes", INO, ext3._inode_block(stage.inode), stage.inode.i_laid, holes)
    stage.journal = stage.fs.journal
    cached = pages - min(pages, stage.value(slow.COLD))
    if huge:
        scattered.scatter(machine, cached, partial(fill, stage), pinned)
    else:
        for index in range(cached):
            fill(stage, index)
    for blocknr in range(stage.value(WARM)):
        buffer.brelse(buffer.__getblk(stage.device, ext3.DEFAULT_INODE_BLOCKS + blocknr, "lookup"), "lookup")
    swap.lru_add_drain_all(machine)
    machine.slabs = stage.value(slow.SLABS)  # from here on: the set-up has the frames that it needs, and no other


def map_file(stage: Stage) -> None:
    """Map the file as often as the parameters say, and have its first pages touched; for casts that use mappings."""
    mappings = stage.value(faulter.MAPPINGS)
    stage.mm = mm_types.MmStruct("mm", stage.machine, mappings * stage.pages)
    for start in range(0, mappings * stage.pages, stage.pages):
        rt.mutex_lock(stage.mm.mmap_sem)
        mmap.mmap_region(stage.mm, stage.mapping, start, stage.pages, 0)
        rt.mutex_unlock(stage.mm.mmap_sem)
        for index in range(min(stage.value(faulter.TOUCHED), stage.pages)):
            faulter.touch_page(stage, start, index)


def dirty(stage: Stage) -> None:
    """Overwrite the first blocks of the file, as many as its parameter says; a full log has kjournald commit.

    After that others take the frames that are not to be free, and the watermarks hold.
    """
    dirtied = min(stage.value(DIRTIED), stage.pages * stage.value(BUFFERS))
    for block in range(dirtied):
        writer.write_block(stage, block)
    if dirtied:  # a second write made the page active, by a pagevec that holds a reference
        swap.lru_add_drain_all(stage.machine)
    zone, kept = stage.machine.zone, stage.value(scattered.KEPT)
    if zone.counts:
        mmzone.setup_per_zone_wmarks(zone, kept)
        least, low, high = zone.watermark
        rt.note("zone", stage.machine.max_order, stage.machine.pageblock_order, least, low, high)
    if stage.value(scattered.FREE):
        stage.others = scattered.leave(stage.machine, kept + stage.value(scattered.FREE))


def _log_blocks(stage: Stage) -> tuple[int, int]:
    """Say how many blocks the log needs, and how many blocks of data one transaction can hold."""
    rounds = stage.value_or_default(ROUNDS)
    actions = len(stage.workload.actions) if stage.workload is not None else 0
    blocks = BLOCKS_PER_COMMIT * (rounds + actions + EXTRA_COMMITS) + jbd.MIN_LOG_RESERVED_BLOCKS
    journalled = 0
    if stage.value(DATA) == ext3.DataMode.JOURNAL.value:
        writes = rounds * stage.value_or_default(writer.BURST) + actions + stage.value(DIRTIED)
        journalled = stage.pages * stage.value(BUFFERS)
        blocks += BLOCKS_PER_WRITE * writes + 2 * journalled
    wanted = stage.value_or_default(fsync.LOG)
    if wanted:
        # A handle begins only where a whole transaction would fit.
        least = stage.value_or_default(fsync.CREDITS) + journalled + jbd.MIN_LOG_RESERVED_BLOCKS + 1
        blocks = max(wanted, least)
    return blocks, journalled


def fill(stage: Stage, index: int) -> None:
    """Put page `index` of the file into the page cache, as if it had been written, or only read.

    Its words come from the device without an I/O: as one that ended before the run.
    """
    page = filemap.grab_cache_page_write_begin(stage.mapping, index)
    assert page is not None, "the machine has a frame for every page of the file"
    first = index * stage.machine.buffers_per_page
    if not is_bare(stage, index):
        buffer.create_empty_buffers(page, uptodate=True)
        for i, bh in enumerate(buffer.ring(buffer.page_buffers(page))):
            ext3.ext3_get_block(stage.inode, first + i, bh, False)
    for i in range(stage.machine.words_per_page):
        block, word = divmod(i, stage.machine.words_per_buffer)
        hole = first + block >= stage.inode.i_laid
        page.words.write(i, 0 if hole else stage.device.block(stage.inode.i_data + first + block).words.values[word])
    page_flags.SetPageUptodate(page)
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")


def is_bare(stage: Stage, index: int) -> bool:
    """Say whether a page has no buffers at first.  One without blocks has: reading it makes them."""
    share = stage.value(BARE)
    has_blocks = index < stage.pages - stage.value(HOLES)
    return has_blocks and (index + 1) * share // 100 > index * share // 100


def settle(stage: Stage) -> None:
    """Wait until kjournald, if it runs, has done what was asked of it and sleeps."""
    journal = stage.journal
    if journal.j_task is None:
        return

    def idle() -> bool:
        asked = rt.peek(journal, "j_commit_request") != rt.peek(journal, "j_commit_sequence")
        return journal.nothing_asked and not asked

    rt.wait_event(journal.j_wait_done_commit, idle, holds=idle, holder=lambda: journal.j_task)
    # It still holds the lock when it says that it is idle, and drops it to sleep.
    rt.spin_lock(journal.j_state_lock)
    rt.spin_unlock(journal.j_state_lock)


def sync(stage: Stage) -> None:
    """Bring everything to the disk, as sync(2): data, then the transaction; wait for all I/O; drain the pagevecs.

    Twice: what data=journal has committed is written home after that, by a writepage that opens a handle.
    """
    scattered.give_back(stage.others)
    for _ in range(2):
        for inode in stage.files:
            filemap.filemap_write_and_wait(inode.i_mapping)
        while rt.peek(stage.journal, "j_running_transaction") is not None:
            if stage.journal.j_task is None:
                commit.journal_commit_transaction(stage.journal)
            else:
                journal_.journal_start_commit(stage.journal)
                settle(stage)
        rt.join_others()
    swap.lru_add_drain_all(stage.machine)
