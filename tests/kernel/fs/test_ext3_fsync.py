"""fsync of ext3: what it has kjournald commit, when it waits, when the disk is asked to flush."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import ext3_fsync
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd import transaction
from tests.kernel.jbd.bench import Bench, marked, run, until

SEEDS = range(10)


def start(bench: Bench) -> None:
    """Start kjournald on the other CPU."""
    journal_.journal_start_thread(bench.journal, 1)


def committed(bench: Bench) -> int:
    """Return the last transaction whose commit is done, without an op."""
    tid: int = rt.peek(bench.journal, "j_commit_sequence")
    return tid


@pytest.mark.parametrize("seed", SEEDS)
def test_fsync_of_journalled_data_forces_their_commit(seed: int) -> None:
    def body(bench: Bench) -> None:
        start(bench)
        bench.write(0, 7)
        assert ext3_fsync.ext3_sync_file(bench.inode) == 0
        assert committed(bench) == 1
        assert bench.log_block(1) == [7, 7]  # behind its descriptor

    assert "fsync: forced a commit" in run(body, seed=seed, data="journal").marks


@pytest.mark.parametrize("seed", SEEDS)
def test_fsync_waits_for_the_transaction_that_changed_the_inode(seed: int) -> None:
    def body(bench: Bench) -> None:
        start(bench)
        bench.write(0, 7)
        assert ext3_fsync.ext3_sync_file(bench.inode) == 0
        assert bench.on_disk(0) == [7, 7]
        assert committed(bench) == 1
        assert not marked("fsync: flushed the disk's cache")
        assert ext3_fsync.ext3_sync_file(bench.inode) == 0  # nothing new: that commit is done
        assert committed(bench) == 1
        assert marked("fsync: flushed the disk's cache")

    run(body, seed=seed, metadata=True)


def test_fsync_leaves_a_transaction_alone_that_did_not_change_the_inode() -> None:
    def body(bench: Bench) -> None:
        start(bench)
        bench.write(0, 7)
        assert ext3_fsync.ext3_sync_file(bench.inode) == 0
        assert bench.on_disk(0) == [7, 7]
        assert committed(bench) == 0
        assert bench.running() is not None

    assert "fsync: flushed the disk's cache" in run(body).marks


def test_without_barriers_fsync_flushes_nothing() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        assert ext3_fsync.ext3_sync_file(bench.inode) == 0

    assert "fsync: flushed the disk's cache" not in run(body, j_barrier=False).marks


def test_fsync_tells_of_a_log_that_could_not_be_written() -> None:
    def body(bench: Bench) -> int:
        start(bench)
        bench.write(0, 7)
        return ext3_fsync.ext3_sync_file(bench.inode)

    outcome = run(body, data="journal", errors=True, values=[1] * 4)
    assert outcome.value == -Errno.EIO
    assert "journal: aborted" in outcome.marks


@pytest.mark.parametrize("seed", SEEDS)
def test_a_handle_that_finds_the_transaction_full_has_it_committed(seed: int) -> None:
    def body(bench: Bench) -> None:
        start(bench)
        for inode in (bench.inode, bench.other):
            bench.write(0, 7, inode)
        until(lambda: committed(bench) == 1)
        assert bench.running() is not None

    assert "journal_start: transaction full" in run(body, seed=seed, metadata=True, j_max_transaction_buffers=3).marks


def test_a_flush_is_due_until_the_commit_record_is_written() -> None:
    def body(bench: Bench) -> list[bool]:
        will = journal_.journal_trans_will_send_data_barrier
        transaction.journal_stop(transaction.journal_start(bench.journal, 1))
        before = will(bench.journal, 1)
        bench.commit()
        return [before, will(bench.journal, 1)]

    assert run(body).value == [True, False]
