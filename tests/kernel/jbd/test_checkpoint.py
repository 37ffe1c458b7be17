"""Checkpoint lists: joining, leaving, cleaning."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer
from mmrace.kernel.jbd import checkpoint, jbd
from mmrace.kernel.jbd.jbd import JournalHead
from mmrace.kernel.mm import filemap
from tests.kernel.jbd.bench import Bench, assert_at_rest, run


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
