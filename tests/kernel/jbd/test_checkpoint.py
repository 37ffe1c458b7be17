"""Checkpoints: joining a list, leaving it, writing home, and the tail of the log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.jbd import checkpoint, jbd
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import Journal, JournalHead
from mmrace.kernel.mm import filemap
from tests.kernel.jbd.bench import Bench, Outcome, assert_at_rest, marked, run, until

SEEDS = range(10)


def waiting(bench: Bench) -> list[JournalHead]:
    """Return what is on checkpoint lists."""
    transactions = rt.peek(bench.journal, "j_checkpoint_transactions")
    return [jh for transaction in transactions for jh in rt.peek(transaction, "t_checkpoint_list")]


def clean(bench: Bench) -> int:
    """Clean the checkpoint lists as the commit does."""
    rt.spin_lock(bench.journal.j_list_lock)
    freed = checkpoint.__journal_clean_checkpoint_list(bench.journal)
    rt.spin_unlock(bench.journal.j_list_lock)
    return freed


def committed(bench: Bench) -> JournalHead:
    """Commit one metadata buffer; returns its journal head, which a checkpoint list counts."""
    bench.write(0, 1)
    bench.commit()
    (jh,) = waiting(bench)
    return jh


def test_dirty_buffer_stays_on_its_checkpoint_list() -> None:
    def body(bench: Bench) -> None:
        committed(bench)
        assert clean(bench) == 0
        assert len(waiting(bench)) == 1
        assert_at_rest(bench)

    assert run(body, metadata=True).marks["checkpoint: buffer busy"] >= 1


def test_written_buffer_leaves_and_takes_its_transaction_along() -> None:
    def body(bench: Bench) -> None:
        jh = committed(bench)
        (transaction,) = rt.peek(bench.journal, "j_checkpoint_transactions")
        filemap.filemap_write_and_wait(bench.device.bd_inode.i_mapping)
        assert clean(bench) == 1
        assert rt.peek(bench.journal, "j_checkpoint_transactions") == ()
        assert jh.dead is not None
        assert transaction.dead is not None
        assert_at_rest(bench)

    run(body, metadata=True)


def test_buffer_whose_state_is_locked_is_skipped() -> None:
    def body(bench: Bench) -> None:
        bh = jbd.jh2bh(committed(bench))
        buffer.sync_dirty_buffer(bh)
        jbd.jbd_lock_bh_state(bh)
        assert clean(bench) == 0
        jbd.jbd_unlock_bh_state(bh)
        assert clean(bench) == 1
        assert_at_rest(bench)

    assert run(body, metadata=True).marks["checkpoint: BH_State contended"] == 1


def test_next_commit_cleans_what_was_written_home() -> None:
    def body(bench: Bench) -> None:
        committed(bench)
        filemap.filemap_write_and_wait(bench.device.bd_inode.i_mapping)
        bench.write(0, 2, bench.other)  # another inode's block
        bench.commit()
        (jh,) = waiting(bench)
        assert rt.peek(rt.peek(jh, "b_bh"), "b_blocknr") == 0
        assert_at_rest(bench)

    run(body, metadata=True, inodes=2)


# -- writing home, and the tail --------------------------------------------------------------------------------


def tail(bench: Bench) -> tuple[int, int, int]:
    """Return where the log begins, with which transaction, and how much of it is free, without an op."""
    journal = bench.journal
    return rt.peek(journal, "j_tail"), rt.peek(journal, "j_tail_sequence"), rt.peek(journal, "j_free")


def superblock(bench: Bench) -> list[int]:
    """Return the journal's superblock as the device has it."""
    return bench.disk_block(bench.journal.j_sb_block)


def checkpointed(bench: Bench) -> int:
    """Checkpoint the oldest transaction."""
    rt.mutex_lock(bench.journal.j_checkpoint_mutex)
    ret = checkpoint.log_do_checkpoint(bench.journal)
    rt.mutex_unlock(bench.journal.j_checkpoint_mutex)
    return ret


def test_a_fresh_log_says_on_the_disk_where_it_begins() -> None:
    def body(bench: Bench) -> None:
        assert superblock(bench) == list(jbd.superblock(bench.journal.j_first, 1))
        assert tail(bench) == (bench.journal.j_first, 1, bench.journal.j_last - bench.journal.j_first)

    run(body)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_checkpoint_writes_home_and_moves_the_tail(seed: int) -> None:
    def body(bench: Bench) -> None:
        jh = committed(bench)
        home = rt.peek(rt.peek(jh, "b_bh"), "b_blocknr")
        copy = bench.log_block(1)
        head = rt.peek(bench.journal, "j_head")
        assert bench.disk_block(home) != copy
        assert checkpointed(bench) == 0
        assert bench.disk_block(home) == copy
        assert tail(bench) == (head, 2, bench.journal.j_last - bench.journal.j_first)
        assert superblock(bench) == list(jbd.superblock(head, 2))
        assert jh.dead is not None
        assert_at_rest(bench)

    assert "checkpoint: wrote a batch home" in run(body, seed=seed, metadata=True).marks


def small_log(body: Callable[[Bench], object], seed: int = 0, ends: str = "finished") -> Outcome:
    """Run on a log that holds few transactions, with two inode blocks."""
    return run(body, seed=seed, ends=ends, metadata=True, j_max_transaction_buffers=3, log_blocks=16, inodes=2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_log_is_used_again_and_again(seed: int) -> None:
    def body(bench: Bench) -> None:
        for i in range(12):
            bench.write(0, i, bench.inode if i % 2 else bench.other)
            bench.commit()
        assert rt.peek(bench.journal, "j_commit_sequence") == 12

    assert "checkpoint: tail moved" in small_log(body, seed=seed).marks


def test_a_tail_that_moves_too_early_is_a_bug() -> None:
    """BUGGY: the log's blocks count as free again while a transaction waits for its checkpoint."""

    def too_early(journal: Journal) -> int:
        journal.j_free = journal.j_last - journal.j_first
        return 0

    def body(bench: Bench) -> None:
        bench.write(0, 1, bench.other)  # its inode block stays on the first transaction's checkpoint list
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint, "cleanup_journal_tail", too_early)
            for i in range(8):
                bench.commit()
                bench.write(0, i)

    rule = "log block reused that its transaction still needs"
    assert small_log(body, ends="violation").detail["rule"] == rule


@pytest.mark.parametrize("seed", SEEDS)
def test_a_buffer_that_was_changed_again_is_committed_before_its_checkpoint(seed: int) -> None:
    def body(bench: Bench) -> None:
        journal_.journal_start_thread(bench.journal, 1)
        bench.write(0, 1)
        journal_.journal_force_commit_nested(bench.journal)
        bench.write(0, 2)  # its inode block, journal-dirty in the running transaction, waits for its checkpoint too
        assert checkpointed(bench) == 0
        assert rt.peek(bench.journal, "j_commit_sequence") == 2

    assert "checkpoint: buffer in a transaction" in run(body, seed=seed, metadata=True).marks


@pytest.mark.parametrize("seed", SEEDS)
def test_two_who_find_the_log_full_checkpoint_one_after_the_other(seed: int) -> None:
    def body(bench: Bench) -> None:
        for i in range(5):
            bench.write(0, i)
            bench.commit()
        full = bench.journal
        full.j_max_transaction_buffers = full.j_last - full.j_first - jbd.MIN_LOG_RESERVED_BLOCKS - 3
        tasks = [
            bench.spawn(bench.write, 0, 7, inode, name=f"writer{cpu}", cpu=cpu)
            for cpu, inode in enumerate((bench.inode, bench.other))
        ]
        for task in tasks:
            rt.join(task)
        assert tail(bench)[1] > 1

    run(body, seed=seed, metadata=True, inodes=2)


def test_a_checkpoint_that_cannot_write_says_so() -> None:
    def body(bench: Bench) -> int:
        committed(bench)
        bench.device.errors = True
        return checkpointed(bench)

    assert run(body, metadata=True, values=[1] * 4).value == -Errno.EIO


def test_a_checkpoint_waits_for_a_buffer_that_another_holds() -> None:
    def body(bench: Bench) -> None:
        bh = jbd.jh2bh(committed(bench))
        buffer.get_bh(bh, "test")
        buffer.lock_buffer(bh)
        task = bench.spawn(checkpointed, bench, name="checkpointer")
        until(lambda: marked("checkpoint: waited for a buffer"))
        assert tail(bench)[1] == 1
        buffer.unlock_buffer(bh)
        rt.join(task)
        assert tail(bench)[1] == 2
        buffer.put_bh(bh, "test")

    run(body, metadata=True)
