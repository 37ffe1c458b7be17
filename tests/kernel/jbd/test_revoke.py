"""Revoke records: freed blocks are not replayed, blocks that are used again are; what forgetting does to a buffer."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import checkpoint, jbd, recovery, revoke, transaction
from mmrace.kernel.jbd.jbd import JList
from mmrace.kernel.jbd.recovery import LogArea
from tests.kernel.jbd.bench import Bench, Outcome, assert_at_rest, list_of, run
from tests.kernel.jbd.test_commit import change
from tests.kernel.jbd.test_recovery import disk_of

SEEDS = range(8)


def the_buffer(bench: Bench, block: int) -> BufferHead:
    """Return the device's buffer of a block, counted as the journal's."""
    bh = buffer.__bread(bench.device, block, "journal")
    assert bh is not None
    return bh


def changed(bench: Bench, block: int, value: int) -> None:
    """Change a block in a handle of its own."""
    handle = transaction.journal_start(bench.journal, 1)
    change(bench, handle, block, value)
    transaction.journal_stop(handle)


def freed(bench: Bench, block: int) -> int:
    """Free a block in a handle of its own."""
    handle = transaction.journal_start(bench.journal, 1)
    ret = revoke.journal_revoke(handle, block, the_buffer(bench, block))
    transaction.journal_stop(handle)
    return ret


def recovered(outcome: Outcome) -> tuple[dict[int, tuple[int, ...]], recovery.RecoveryInfo]:
    """Recover from what the device holds at the end."""
    journal = outcome.bench.journal
    return recovery.journal_recover(disk_of(outcome), LogArea(journal.j_first, journal.j_last, journal.j_sb_block))


def records(bench: Bench) -> tuple[tuple[int, int], ...]:
    """Return the running table, without an op."""
    table: tuple[tuple[int, int], ...] = rt.peek(bench.journal, "j_revoke")
    return table


@pytest.mark.parametrize("seed", SEEDS)
def test_a_block_that_was_freed_is_not_written_home_by_recovery(seed: int) -> None:
    def body(bench: Bench) -> None:
        changed(bench, 0, 7)
        changed(bench, 1, 7)
        bench.commit()
        assert freed(bench, 0) == 0
        assert records(bench) == ((0, 2),)
        bench.commit()
        assert records(bench) == ()
        assert_at_rest(bench)

    outcome = run(body, seed=seed, inodes=8)
    assert "revoke: records written" in outcome.marks
    blocks, info = recovered(outcome)
    assert 0 not in blocks and blocks[1] == (7, 7)
    assert (info.nr_revoke_hits, info.end_transaction) == (1, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_block_that_is_journaled_again_takes_its_record_back(seed: int) -> None:
    def body(bench: Bench) -> None:
        changed(bench, 0, 7)
        bench.commit()
        assert freed(bench, 0) == 0
        changed(bench, 0, 9)
        assert records(bench) == ()
        bench.commit()

    outcome = run(body, seed=seed, inodes=8)
    assert "revoke: cancelled" in outcome.marks
    blocks, info = recovered(outcome)
    assert blocks[0] == (9, 9)
    assert info.nr_revoke_hits == 0


def test_a_block_that_is_used_again_in_a_later_transaction_is_replayed_from_there() -> None:
    def body(bench: Bench) -> None:
        changed(bench, 0, 7)
        bench.commit()
        freed(bench, 0)
        bench.commit()
        changed(bench, 0, 9)
        bench.commit()

    blocks, info = recovered(run(body, inodes=8))
    assert blocks[0] == (9, 9)
    assert info.nr_revoke_hits == 1


def test_without_its_record_a_freed_block_would_be_written_over() -> None:
    """BUGGY: the commit drops the revoke records."""

    def body(bench: Bench) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(revoke, "journal_write_revoke_records", lambda *_args: None)
            changed(bench, 0, 7)
            bench.commit()
            freed(bench, 0)
            bench.commit()

    blocks, _ = recovered(run(body, inodes=8))
    assert blocks[0] == (7, 7)


def test_revoke_records_are_on_the_disk_before_the_commit_block_and_behind_no_copy() -> None:
    def body(bench: Bench) -> None:
        for block in range(3):
            changed(bench, block, 7)
        bench.commit()
        for block in range(3):
            freed(bench, block)
        changed(bench, 4, 7)
        bench.commit()

    outcome = run(body, inodes=8, j_tags_max=2)
    journal, disk = outcome.bench.journal, disk_of(outcome)
    kinds = []
    for blocknr in range(journal.j_first, journal.j_last):
        words = disk.get(blocknr, (0, 0))
        kinds.append(jbd.read_log_header(words[1])[0] if words[0] == jbd.JFS_MAGIC_NUMBER else 0)
    second = kinds[kinds.index(jbd.JFS_REVOKE_BLOCK) :][:5]
    revoked, descriptor = jbd.JFS_REVOKE_BLOCK, jbd.JFS_DESCRIPTOR_BLOCK
    assert second == [revoked, revoked, descriptor, 0, jbd.JFS_COMMIT_BLOCK]


def test_a_buffer_that_is_freed_in_the_transaction_that_made_it_leaves_the_journal() -> None:
    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 1)
        change(bench, handle, 0, 7)
        credits = handle.h_buffer_credits
        bh = the_buffer(bench, 0)
        transaction.journal_forget(handle, bh)
        assert handle.h_buffer_credits == credits + 1
        transaction.journal_stop(handle)
        assert not bh.b_state.peek(BufferState.BH_JBD) and not bh.b_state.peek(BufferState.BH_Dirty)
        bench.commit()
        assert_at_rest(bench)

    assert "forget: dropped from the running transaction" in run(body, inodes=8).marks


def test_a_freed_buffer_that_waits_for_its_checkpoint_is_let_go_by_the_commit_of_the_free() -> None:
    def body(bench: Bench) -> None:
        changed(bench, 0, 7)
        bench.commit()
        handle = transaction.journal_start(bench.journal, 1)
        change(bench, handle, 0, 8)
        bh = the_buffer(bench, 0)
        transaction.journal_forget(handle, bh)
        transaction.journal_stop(handle)
        assert list_of(bench.running(), JList.BJ_Forget) == [bh]
        bench.commit()
        assert rt.peek(bench.journal, "j_checkpoint_transactions") == ()
        assert_at_rest(bench)

    assert "forget: left to the commit, for its checkpoint" in run(body, inodes=8).marks


def test_a_block_cannot_be_revoked_twice_in_one_transaction_but_in_two() -> None:
    def body(bench: Bench) -> list[int]:
        changed(bench, 0, 7)
        got = [freed(bench, 0)]
        bh = the_buffer(bench, 0)
        handle = transaction.journal_start(bench.journal, 1)
        got.append(revoke.journal_revoke(handle, 0, bh))
        transaction.journal_stop(handle)
        buffer.__brelse(bh, "journal")  # refused: the count is still ours
        bench.commit()
        return [*got, freed(bench, 0)]

    assert run(body, inodes=8).value == [0, -Errno.EIO, 0]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_checkpoint_leaves_a_freed_block_alone(seed: int) -> None:
    def body(bench: Bench) -> None:
        changed(bench, 0, 7)
        bench.commit()
        freed(bench, 0)
        bench.commit()
        rt.mutex_lock(bench.journal.j_checkpoint_mutex)
        checkpoint.log_do_checkpoint(bench.journal)
        rt.mutex_unlock(bench.journal.j_checkpoint_mutex)
        assert rt.peek(bench.journal, "j_tail_sequence") == 3

    run(body, seed=seed, inodes=8)
