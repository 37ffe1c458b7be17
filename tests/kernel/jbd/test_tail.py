"""The log's tail against a crash: in 3.3 log blocks are used again before the superblock that gives them up (R28)."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.block.device import WRITE, Bio
from mmrace.kernel.fs import buffer
from mmrace.kernel.jbd import checkpoint, jbd, recovery, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import Journal
from mmrace.kernel.jbd.recovery import LogArea
from mmrace.runtime import live
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.task import Task
from tests.kernel.jbd import bench as bench_
from tests.kernel.jbd.bench import Bench, Outcome, run, until
from tests.kernel.jbd.test_commit import change

BLOCKS = 2
LATER = 6  # commits that use the log again, up to its old tail
SEEDS = range(3)


class SuperblockLate(bench_.Shuffle):
    """Whoever may go on does, before the disk serves a write of its last block."""

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return any enabled task, that one last."""
        return super().pick([task for task in enabled if not _writes_superblock(task)] or enabled, running, step)


def _writes_superblock(task: Task) -> bool:
    if len(task.args) < 2 or not isinstance(task.args[1], Bio):
        return False
    rw, bio = task.args[0], task.args[1]
    return isinstance(rw, int) and bool(rw & WRITE) and bio.bi_sector == bio.bi_bdev.nr_blocks - 1


def growing(bench: Bench) -> None:
    """Fill the log; then one task wins space back, and another, that comes a little later, commits more and more.

    Blocks are changed to ever greater numbers.
    """
    journal = bench.journal
    drawn = [0]

    def change_one(block: int) -> None:
        handle = transaction.journal_start(journal, 1)
        drawn[0] += 1
        change(bench, handle, block, drawn[0])
        transaction.journal_stop(handle)
        tid = journal_.journal_start_commit(journal)
        assert tid is not None
        journal_.log_wait_commit(journal, tid)

    journal_.journal_start_thread(journal, 1)
    while rt.peek(journal, "j_free") - jbd.MIN_LOG_RESERVED_BLOCKS >= journal.j_max_transaction_buffers:
        change_one(0)
    first = bench.spawn(change_one, 0, name="first", cpu=0)
    until(lambda: any(_writes_superblock(task) for task in live.engine.tasks))
    for _ in range(LATER):
        change_one(1)
    rt.join(first)


def lost(outcome: Outcome) -> list[tuple[int, int]]:
    """Crash after each word that reached the disk: (what a block once showed, what it shows) where that went back."""
    journal, record = outcome.bench.journal, outcome.record
    log = LogArea(journal.j_first, journal.j_last, journal.j_sb_block)
    lanes = record.word_lanes("DiskBlock", "words")
    disk = {journal.j_sb_block: list(jbd.superblock(journal.j_first, 1))}
    best = [0] * BLOCKS
    for _, op, _, new in record.events:
        if op < 0 or op & KIND_MASK != Kind.WRITE or op >> SHIFT not in lanes:
            continue
        name, i = lanes[op >> SHIFT]
        disk.setdefault(int(name.partition(":")[2]), [0, 0])[i] = new
        blocks, _ = recovery.journal_recover({number: tuple(words) for number, words in disk.items()}, log)
        for block in range(BLOCKS):
            shown = blocks.get(block, (0, 0))[1]
            if shown < best[block]:
                return [(best[block], shown)]
            best[block] = shown
    return []


def superblock_first(journal: Journal) -> int:
    """Move the tail as later kernels do: nothing is free until the superblock that says so is on the disk."""
    waiting = rt.peek(journal, "j_checkpoint_transactions")
    oldest = waiting[0] if waiting else rt.peek(journal, "j_committing_transaction")
    running = rt.peek(journal, "j_running_transaction")
    if oldest is not None:
        sequence, tail = oldest.t_tid, rt.peek(oldest, "t_log_start")
    else:
        sequence = running.t_tid if running is not None else rt.peek(journal, "j_transaction_sequence")
        tail = rt.peek(journal, "j_head")
    if sequence == rt.peek(journal, "j_tail_sequence"):
        return 1
    bh = buffer.__getblk(journal.j_dev, journal.j_sb_block, "test")
    journal_._write_words(bh, jbd.superblock(tail, sequence))
    buffer.mark_buffer_dirty(bh)
    buffer.sync_dirty_buffer(bh)
    buffer.__brelse(bh, "test")
    rt.spin_lock(journal.j_state_lock)
    journal.j_free = journal.j_free + (tail - journal.j_tail) % (journal.j_last - journal.j_first)
    journal.j_tail, journal.j_tail_sequence = tail, sequence
    rt.spin_unlock(journal.j_state_lock)
    return 0


def crashed(seed: int) -> list[tuple[int, int]]:
    """Play it on a small log whose superblock is written late, and look what crashes lose."""
    return lost(run(growing, seed=seed, inodes=8, j_max_transaction_buffers=3, log_blocks=40, nr_pages=60))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_loses_commits_if_the_log_is_used_again_before_the_superblock_is_written(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_, "Shuffle", SuperblockLate)
    ((once, now),) = crashed(seed)
    assert now < once


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_loses_nothing_if_the_superblock_is_written_first(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_, "Shuffle", SuperblockLate)
    monkeypatch.setattr(checkpoint, "cleanup_journal_tail", superblock_first)
    assert crashed(seed) == []
