"""A journal that was aborted: what it refuses, what a commit still does, and that nobody waits for ever."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import ext3, ext3_fsync, ext3_truncate
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import checkpoint, jbd, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList, Journal
from mmrace.kernel.mm import filemap
from tests.kernel.jbd.bench import INODE_BLOCKS, LOG_BLOCKS, Bench, assert_at_rest, list_of, run

MODES = [mode.value for mode in ext3.DataMode]


def abort(bench: Bench) -> None:
    """Give the journal up, as after a failed write of its log."""
    journal_.journal_abort(bench.journal, -Errno.EIO)


def try_write(bench: Bench, block: int = 0) -> int:
    """Write one block of the file; return what write(2) does."""
    words = bench.machine.words_per_buffer
    return filemap.generic_perform_write(bench.inode.i_mapping, block * words, [9] * words)


@pytest.mark.parametrize("data", MODES)
def test_no_handle_starts_and_a_write_is_refused(data: str) -> None:
    def body(bench: Bench) -> None:
        abort(bench)
        handle = transaction.journal_start(bench.journal, 1)
        assert jbd.IS_ERR(handle) and jbd.PTR_ERR(handle) == -Errno.EROFS
        assert transaction.journal_current_handle() is None and bench.running() is None
        assert try_write(bench) == -Errno.EROFS
        assert transaction.journal_force_commit(bench.journal) == -Errno.EROFS
        assert_at_rest(bench)

    marks = run(body, data=data).marks
    assert marks["journal: aborted"] == 1 and marks["journal_start: refused, journal aborted"] == 3


def test_a_handle_that_was_open_changes_nothing_more_and_its_write_fails() -> None:
    def body(bench: Bench) -> None:
        words = bench.machine.words_per_buffer
        error, page = ext3.ext3_write_begin(bench.inode.i_mapping, 0, words)
        assert error == 0 and page is not None
        abort(bench)
        assert ext3.ext3_ordered_write_end(bench.inode.i_mapping, 0, words, words, page) == -Errno.EIO
        assert list_of(bench.running(), JList.BJ_SyncData) == list_of(bench.running(), JList.BJ_Metadata) == []

    assert run(body, metadata=True).marks["get_write_access: refused, journal aborted"] == 1


def test_a_commit_lets_the_metadata_of_an_aborted_journal_go_and_writes_nothing() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        bh = list_of(bench.running(), JList.BJ_Metadata)[0]
        abort(bench)
        bench.commit()
        assert bench.log_block(0) == [0, 0] and bench.running() is None
        assert not bh.b_state.peek(BufferState.BH_JBDDirty) and not bh.b_state.peek(BufferState.BH_Dirty)
        assert bench.on_disk(0) == [7, 7], "ordered data are written all the same"
        assert_at_rest(bench)

    marks = run(body, metadata=True).marks
    assert marks["commit: aborted, metadata let go"] == marks["commit: aborted, no commit block"] == 1


@pytest.mark.parametrize("data", MODES)
def test_fsync_tells_of_the_abort_each_time_and_kjournald_goes_on(data: str) -> None:
    def body(bench: Bench) -> None:
        journal_.journal_start_thread(bench.journal, 1)
        for block in range(bench.machine.buffers_per_page):  # a page with blocks for all of it needs no handle
            bench.write(block, 7)
        abort(bench)
        refused = -Errno.EROFS if data == "journal" else -Errno.EIO
        assert [ext3_fsync.ext3_sync_file(bench.inode) for _ in range(2)] == [refused] * 2
        journal_.log_wait_commit(bench.journal, 1)
        assert bench.running() is None

    run(body, data=data, metadata=True)


def test_a_truncation_is_refused_before_it_changes_anything() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        size = rt.peek(bench.inode, "i_size")
        abort(bench)
        rt.mutex_lock(bench.inode.i_mutex)
        assert ext3_truncate.ext3_setattr_size(bench.inode, 0) == -Errno.EROFS
        rt.mutex_unlock(bench.inode.i_mutex)
        assert rt.peek(bench.inode, "i_size") == size and bench.page(0) is not None

    run(body)


def test_only_the_first_error_aborts() -> None:
    def body(bench: Bench) -> None:
        for error in (-Errno.EIO, -Errno.ENOSPC):
            journal_.journal_abort(bench.journal, error)
        assert rt.peek(bench.journal, "j_errno") == -Errno.EIO

    assert run(body).marks["journal: aborted"] == 1


@pytest.mark.parametrize("odds", [0, 1])
def test_writes_of_the_log_fail_if_they_are_told_to_and_the_commit_aborts(odds: int) -> None:
    def body(bench: Bench) -> None:
        bench.device.regions = (device.Region("log", INODE_BLOCKS, LOG_BLOCKS),)
        bench.device.log_errors = odds
        bench.write(0, 7)
        bench.commit()
        assert bench.on_disk(0) == [7, 7]
        assert journal_.is_journal_aborted(bench.journal) is bool(odds)

    run(body, metadata=True)


def test_who_waits_for_log_space_gives_up_when_the_journal_is_aborted_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def aborts(journal: Journal) -> int:
        journal_.journal_abort(journal, -Errno.EIO)
        return 1

    monkeypatch.setattr(checkpoint, "cleanup_journal_tail", aborts)

    def body(bench: Bench) -> None:
        bench.journal.j_free = 1
        rt.spin_lock(bench.journal.j_state_lock)
        checkpoint.__log_wait_for_space(bench.journal)
        rt.spin_unlock(bench.journal.j_state_lock)

    assert run(body).marks["journal: aborted"] == 1
