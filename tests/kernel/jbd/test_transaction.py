"""Lists, ordered data between two transactions, write access, releasepage and invalidatepage."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import jbd, transaction
from mmrace.kernel.jbd.jbd import JList, Transaction, TState
from mmrace.kernel.mm import filemap, page_flags, swap
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.jbd.bench import Bench, assert_at_rest, list_of, marked, run, until

SEEDS = range(25)


def locked_page(bench: Bench, index: int = 0) -> Page:
    """Return a page of the file, locked and referenced."""
    page = filemap.find_lock_page(bench.inode.i_mapping, index)
    assert page is not None
    return page


def release(page: Page) -> None:
    """Undo `locked_page`."""
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")


def written(bench: Bench, block: int) -> BufferHead:
    """Write a block of the file and then its buffer to the disk, behind the journal's back."""
    bench.write(block, 1)
    bh = bench.bh(block)
    buffer.get_bh(bh, "test")
    buffer.sync_dirty_buffer(bh)
    buffer.put_bh(bh, "test")
    return bh


def hold_commit(bench: Bench, *later: int) -> tuple[BufferHead, rt.Task]:
    """Write block 0, and then those of `later`; start a commit that sleeps on the lock of block 0's buffer.

    Returns that buffer, whose lock we hold, and the committer.
    """
    bench.write(0, 1)
    for block in later:
        bench.write(block, 1)
    bh = bench.bh(0)
    buffer.lock_buffer(bh)
    committer = bench.spawn(bench.commit, name="committer")
    until(lambda: marked("commit: buffer lock busy, batch flushed"))
    return bh, committer


def test_every_list_has_a_field_of_its_own() -> None:
    fields = jbd.LIST_FIELDS
    assert len(fields) == len(JList) == len(set(fields))
    declared = {row.field for row in Transaction.plan}
    assert set(fields) - {""} <= declared


def test_buffer_filed_on_a_second_transaction_is_a_bug() -> None:
    """BUGGY: a buffer of one transaction is filed on another without being taken from the first."""

    def body(bench: Bench) -> None:
        bench.write(0, 1)
        jh = jbd.bh2jh(bench.bh(0))
        assert jh is not None
        transaction.journal_file_buffer(jh, Transaction(bench.journal, 9), JList.BJ_SyncData)

    assert run(body, ends="violation").detail["rule"] == "filed on a second transaction"


@pytest.mark.parametrize("seed", SEEDS)
def test_data_redirtied_during_commit_is_written_and_moves_to_the_new_transaction(seed: int) -> None:
    def body(bench: Bench) -> None:
        first = bench.bh_of_new_page(2)
        bh, committer = hold_commit(bench)
        writer = bench.spawn(bench.write, 2, 9, name="writer", cpu=0)
        until(lambda: marked("dirty_data: committing data still dirty") or not committing(bench))
        buffer.unlock_buffer(bh)
        rt.join(writer)
        rt.join(committer)
        assert list_of(bench.running(), JList.BJ_SyncData) == [first]
        bench.commit()
        assert bench.on_disk(2) == [9, 9]
        assert_at_rest(bench)

    marks = run(body, seed=seed).marks
    assert marks["dirty_data: committing data still dirty"] >= 1


def committing(bench: Bench) -> bool:
    """Say whether a commit is under way."""
    return rt.peek(bench.journal, "j_committing_transaction") is not None


@pytest.mark.slow
def test_write_access_waits_while_the_log_copy_is_under_way() -> None:
    def body(bench: Bench) -> None:
        held, committer = hold_commit(bench)
        handle = transaction.journal_start(bench.journal, 1)
        bh = buffer.__bread(bench.device, 0, "test")
        assert bh is not None
        old = rt.peek(bench.journal, "j_committing_transaction")
        buffer.unlock_buffer(held)
        until(lambda: list_of(old, JList.BJ_Shadow) == [bh])
        transaction.journal_get_write_access(handle, bh)
        assert list_of(old, JList.BJ_Shadow) == []
        transaction.journal_stop(handle)
        rt.join(committer)
        buffer.__brelse(bh, "test")
        bench.commit()
        assert_at_rest(bench)

    marks = [run(body, seed=seed, metadata=True).marks for seed in SEEDS]
    assert any("get_write_access: waited for the log copy" in reached for reached in marks)


def test_frozen_copy_goes_to_the_log_and_the_new_change_to_the_next_transaction() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)  # the inode's block becomes 1 in transaction 1
        bh = bench.bh(0)
        buffer.lock_buffer(bh)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("commit: buffer lock busy, batch flushed"))
        bench.write(2, 2)  # the inode's block becomes 2 in transaction 2, while transaction 1 still wants 1
        buffer.unlock_buffer(bh)
        rt.join(committer)
        assert bench.log_block(1) == [1, 1]
        bench.commit()
        assert bench.log_block(4) == [2, 2]
        assert_at_rest(bench)

    marks = run(body, metadata=True).marks
    assert marks["get_write_access: frozen copy made"] == marks["write_metadata: frozen copy used"] == 1


def test_releasepage_takes_written_data_from_its_transaction_and_frees_the_ring() -> None:
    def body(bench: Bench) -> None:
        written(bench, 0)
        page = locked_page(bench)
        assert ext3.ext3_releasepage(page)
        assert not page.flags.peek(page_flags.PG_private)
        release(page)
        assert list_of(bench.running(), JList.BJ_SyncData) == []
        bench.commit()
        assert_at_rest(bench)

    assert run(body).marks["try_to_free_buffers: written data unfiled"] == 1


def test_releasepage_leaves_a_dirty_buffer_alone() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        page = locked_page(bench)
        assert not ext3.ext3_releasepage(page)
        release(page)
        assert len(list_of(bench.running(), JList.BJ_SyncData)) == 1
        bench.commit()
        assert_at_rest(bench)

    marks = run(body).marks
    assert marks["try_to_free_buffers: buffer locked or dirty"] == 1
    assert marks["try_to_free_buffers: still in the journal"] == 1


def test_releasepage_of_a_device_page_takes_a_written_buffer_off_its_checkpoint_list() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.commit()
        filemap.filemap_write_and_wait(bench.device.bd_inode.i_mapping)
        assert bench.disk_block(0) == [1, 1]
        buffer.invalidate_bh_lrus(bench.machine)
        page = filemap.find_lock_page(bench.device.bd_inode.i_mapping, 0)
        assert page is not None
        filemap.try_to_release_page(page)
        release(page)
        assert rt.peek(bench.journal, "j_checkpoint_transactions") == ()
        assert_at_rest(bench)

    assert run(body, metadata=True).marks["try_to_free_buffers: checkpointed buffer removed"] == 1


def test_invalidatepage_takes_dirty_data_from_the_running_transaction() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(1, 1)
        page = locked_page(bench)
        ext3.ext3_invalidatepage(page, 0)
        assert not page.flags.peek(page_flags.PG_private)
        release(page)
        bench.commit()
        assert bench.on_disk(0) == [0, 0]
        assert_at_rest(bench)

    assert run(body).marks["unmap_buffer: in the running transaction"] == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_invalidatepage_leaves_a_committing_buffer_to_the_commit(seed: int) -> None:
    def body(bench: Bench) -> None:
        held, committer = hold_commit(bench, 2)  # block 2 stays on BJ_SyncData behind block 0
        page = locked_page(bench, 1)
        later = buffer.page_buffers(page)
        ext3.ext3_invalidatepage(page, 0)
        assert later.b_state.peek(BufferState.BH_Freed)
        filemap.delete_from_page_cache(page)
        release(page)
        buffer.unlock_buffer(held)
        rt.join(committer)
        assert later.dead is not None
        assert not page.flags.peek(page_flags.PG_private)
        assert_at_rest(bench)

    marks = run(body, seed=seed).marks
    assert marks["unmap_buffer: left to commit"] == 1
    assert marks["commit: freed data buffer released"] == 1
    assert marks["release_buffer_page: stripped"] == 1


def test_invalidatepage_of_part_of_a_page_keeps_the_ring() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(1, 2)
        page = locked_page(bench)
        ext3.ext3_invalidatepage(page, bench.machine.words_per_buffer)
        assert page.flags.peek(page_flags.PG_private)
        release(page)
        assert list_of(bench.running(), JList.BJ_SyncData) == [bench.bh(0)]
        bench.commit()
        assert [bench.on_disk(0), bench.on_disk(1)] == [[1, 1], [0, 0]]
        assert_at_rest(bench)

    run(body)


def test_dirty_data_ignores_a_buffer_that_was_unmapped() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.commit()
        bh = bench.bh(0)
        handle = transaction.journal_start(bench.journal, 1)
        buffer.get_bh(bh, "test")
        rt.clear_bit(bh.b_state, BufferState.BH_Mapped)
        assert transaction.journal_dirty_data(handle, bh) == 0
        rt.set_bit(bh.b_state, BufferState.BH_Mapped)
        buffer.put_bh(bh, "test")
        transaction.journal_stop(handle)
        assert list_of(bench.running(), JList.BJ_SyncData) == []
        bench.commit()
        assert_at_rest(bench)

    assert run(body).marks["dirty_data: unmapped"] == 1


def test_refile_to_a_closed_transaction_is_a_bug() -> None:
    """BUGGY: the next transaction closes before the committing one has handed its buffers over."""

    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 1)
        bh = buffer.__bread(bench.device, 0, "test")
        assert bh is not None
        transaction.journal_get_write_access(handle, bh)
        transaction.journal_dirty_metadata(handle, bh)
        jh = jbd.bh2jh(bh)
        assert jh is not None
        closed = Transaction(bench.journal, 9)
        closed.t_state = TState.T_LOCKED
        jh.b_next_transaction = closed
        transaction.journal_refile_buffer(bench.journal, jh)

    assert run(body, ends="violation").detail["rule"] == "refiled to a closed transaction"


def test_truncate_of_a_checkpointed_buffer_clears_the_journals_dirty_bit() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.commit()
        bh = bench.bh(0)
        jbd.set_buffer_jbddirty(bh)
        page = locked_page(bench)
        ext3.ext3_invalidatepage(page, 0)
        assert not bh.b_state.peek(BufferState.BH_JBDDirty)
        release(page)

    assert run(body, data="journal").marks["unmap_buffer: on a checkpoint list only"] == 1


def test_truncate_of_a_buffer_of_a_stray_transaction_is_a_bug() -> None:
    """BUGGY: the buffer belongs to neither of the two transactions that there can be."""

    def body(bench: Bench) -> None:
        bench.write(0, 1)
        rt.peek(bench.bh(0), "b_private").b_transaction = jbd.Transaction(bench.journal, 99)
        ext3.ext3_invalidatepage(locked_page(bench), 0)

    outcome = run(body, ends="violation")
    assert outcome.detail["rule"] == "truncated buffer of a stray transaction"
