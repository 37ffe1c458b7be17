"""Build a stage: a machine, a device, a mounted ext3, and one file whose pages are in the page cache.

The run's main task builds it through the kernel's own functions, so that every reference and bit has a recorded origin.
Invariant: when `build` returns, each page of the file is up to date, on the LRU, clean and unlocked, has a ring of
mapped and up-to-date buffers, and counts 2 (cache and buffers).  Every block holds version 0, on disk too.  The
parameter `dirtied` overwrites blocks after that: their pages are dirty, their buffers on the running transaction.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, writer
from mmrace.actors.stage import PAGES, ROUNDS, Stage
from mmrace.kernel.block import device
from mmrace.kernel.fs import block_dev, buffer, ext3
from mmrace.kernel.jbd import commit
from mmrace.kernel.mm import filemap, mmzone, page_flags, swap
from mmrace.runtime.param import Choice, Number

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
PARAMS = (PAGES, BUFFERS, WORDS, PAGEVEC, IRQ, ERRORS, WARM, DIRTIED)

BORROWED = (ROUNDS, migrator.BATCH, writer.METADATA, committer.WBUF, committer.RESCHED)
"""Parameters of actors that the set-up reads too.  Where these actors are not cast, it takes their defaults."""

INO = 1
SPARE_PAGES = 8
"""Page frames beyond the file's own, the log's, a batch of targets and what a pagevec can hold back: for metadata, and
for a migration that tries again while the targets of its last try are on their way back."""

BLOCKS_PER_COMMIT = 4
"""Log blocks that one commit takes: a descriptor, copies, the commit block.  The log is not reused, and its blocks stay
in the page cache, so disk and memory are laid out for all commits of a run."""

EXTRA_COMMITS = 8
"""Commits beyond the committer's rounds: for synchronous handles, full transactions and the final sync."""


def build(stage: Stage, ncpus: int) -> None:
    """Set the stage up by its parameters.  Point: always; no other task runs yet."""
    pages, per_page = stage.pages, stage.value(BUFFERS)
    pagevec, irq = stage.value(PAGEVEC), stage.value(IRQ)
    rounds, batch = stage.value_or_default(ROUNDS), stage.value_or_default(migrator.BATCH)
    workload = len(stage.workload.actions) if stage.workload is not None else 0
    log_blocks = BLOCKS_PER_COMMIT * (rounds + workload + EXTRA_COMMITS)
    stage.machine = machine = mmzone.Machine(
        ncpus=ncpus,
        nr_pages=pages + SPARE_PAGES + batch + pagevec + log_blocks // per_page,
        buffers_per_page=per_page,
        words_per_buffer=stage.value(WORDS),
        pagevec_size=pagevec,
    )
    stage.device = device.new_block_device(
        "disk",
        machine,
        [("inodes", ext3.DEFAULT_INODE_BLOCKS), ("log", log_blocks), (INO, pages * per_page)],
        errors=bool(stage.value(ERRORS)),
        irq_cpu=ncpus - 1 if irq == "idle" else irq,
    )
    rt.note("layout", *((region.key, region.first, region.blocks) for region in stage.device.regions))
    block_dev.bdget(stage.device)
    stage.fs = ext3.Ext3(
        machine,
        stage.device,
        log_blocks=log_blocks,
        metadata=bool(stage.value_or_default(writer.METADATA)),
        j_wbufsize=stage.value_or_default(committer.WBUF),
        resched=bool(stage.value_or_default(committer.RESCHED)),
    )
    stage.inode = ext3.ext3_iget(stage.fs, INO, pages * per_page)
    stage.journal = stage.fs.journal
    for index in range(pages):
        fill(stage, index)
    for blocknr in range(stage.value(WARM)):
        buffer.brelse(buffer.__getblk(stage.device, ext3.DEFAULT_INODE_BLOCKS + blocknr, "lookup"), "lookup")
    swap.lru_add_drain_all(machine)
    dirtied = min(stage.value(DIRTIED), pages * per_page)
    for block in range(dirtied):
        writer.write_block(stage, block)
    if dirtied:  # a second write made the page active, by a pagevec that holds a reference
        swap.lru_add_drain_all(machine)


def fill(stage: Stage, index: int) -> None:
    """Put page `index` of the file into the page cache, as if it had been read."""
    page = filemap.grab_cache_page_write_begin(stage.mapping, index)
    assert page is not None, "the machine has a frame for every page of the file"
    buffer.create_empty_buffers(page, uptodate=True)
    first = index * stage.machine.buffers_per_page
    for i, bh in enumerate(buffer.ring(buffer.page_buffers(page))):
        ext3.ext3_get_block(stage.inode, first + i, bh, False)
    page_flags.SetPageUptodate(page)
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")


def sync(stage: Stage) -> None:
    """Bring everything to the disk, as sync(2): data, then the transaction; wait for all I/O; drain the pagevecs."""
    filemap.filemap_write_and_wait(stage.mapping)
    while rt.peek(stage.journal, "j_running_transaction") is not None:
        commit.journal_commit_transaction(stage.journal)
    rt.join_others()
    filemap.filemap_write_and_wait(stage.mapping)
    rt.join_others()
    swap.lru_add_drain_all(stage.machine)
