"""The commit on real runs: each phase, each rare branch, and what the flush before the sleep is for."""

from __future__ import annotations

from collections import Counter

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, buffer_head, ext3, fs
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import commit, jbd, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList, Journal
from mmrace.kernel.mm import filemap, mm, page_flags, page_writeback, swap
from mmrace.runtime.kinds import SHIFT, Kind
from tests.kernel.jbd.bench import Bench, Outcome, assert_at_rest, list_of, marked, run, until

SEEDS = range(25)


def disk_writes(outcome: Outcome) -> list[str]:
    """Name the disk words in the order in which they were written."""
    record = outcome.record
    lanes = record.word_lanes("DiskBlock", "words")
    return [
        f"{lanes[op >> SHIFT][0]}[{lanes[op >> SHIFT][1]}]"
        for _, op, _, _ in record.events
        if op >= 0 and op & 63 == Kind.WRITE and op >> SHIFT in lanes
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_commit_of_ordered_data_alone_writes_data_then_commit_block(seed: int) -> None:
    def body(bench: Bench) -> None:
        for block in range(5):
            bench.write(block, 10 + block)
        assert len(list_of(bench.running(), JList.BJ_SyncData)) == 5
        assert bench.commit() == 1
        assert [bench.on_disk(block)[0] for block in range(6)] == [10, 11, 12, 13, 14, 0]
        assert bench.log_block(0) == [jbd.JFS_MAGIC_NUMBER, jbd.log_header(jbd.JFS_COMMIT_BLOCK, 1)]
        assert bench.log_block(1) == [0, 0]
        for block in range(5):
            bh = bench.bh(block)
            assert not bh.b_state.peek(BufferState.BH_JBD)
            assert not bh.b_state.peek(BufferState.BH_Dirty)
        assert_at_rest(bench)

    outcome = run(body, seed=seed)
    writes = disk_writes(outcome)
    assert len(writes) == 12
    log = f"disk:{outcome.bench.journal.j_first}"
    assert all(name.startswith(log) for name in writes[-2:])
    assert outcome.marks["commit: batch full"] == 1  # five buffers, a batch of four


def test_empty_transaction_writes_its_commit_block() -> None:
    def body(bench: Bench) -> None:
        transaction.journal_stop(transaction.journal_start(bench.journal, 1))
        assert bench.commit() == 1
        assert bench.log_block(0)[0] == jbd.JFS_MAGIC_NUMBER
        assert_at_rest(bench)

    run(body)


def commit_meets_locked_buffer(bench: Bench) -> None:
    """Blocks 0 and 2 are dirty; 2 is locked by us; the lock is released only when block 0 is on disk."""
    bench.write(0, 1)
    bench.write(2, 2)
    first, second = bench.bh(0), bench.bh(2)
    buffer.lock_buffer(second)
    committer = bench.spawn(bench.commit, name="committer")
    until(lambda: marked("commit: buffer lock busy, batch flushed"))
    # nobody but the commit can release the first buffer's lock: it has to submit before it sleeps
    buffer.lock_buffer(first)
    assert bench.on_disk(0) == [1, 1]
    buffer.unlock_buffer(first)
    buffer.unlock_buffer(second)
    rt.join(committer)
    assert bench.on_disk(2) == [2, 2]
    assert_at_rest(bench)


@pytest.mark.parametrize("seed", SEEDS)
def test_commit_that_meets_a_locked_buffer_flushes_its_batch_and_waits(seed: int) -> None:
    outcome = run(commit_meets_locked_buffer, seed=seed)
    assert outcome.marks["commit: flush had buffers"] == 1


def test_commit_that_blocks_without_flushing_deadlocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """BUGGY: the commit sleeps on a buffer lock with its batch unsubmitted."""

    def sleep_only(journal: Journal, bh: BufferHead, wbuf: list[BufferHead]) -> None:
        rt.reached("commit: buffer lock busy, batch flushed")
        rt.spin_unlock(journal.j_list_lock)
        buffer.lock_buffer(bh)
        rt.spin_lock(journal.j_list_lock)

    monkeypatch.setattr(commit, "_wait_for_buffer_lock", sleep_only)
    outcome = run(commit_meets_locked_buffer, ends="deadlock")
    assert {task["task"] for task in outcome.detail["tasks"]} >= {"main", "committer"}


def test_clean_buffer_that_another_locked_is_filed_and_waited_for() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bh = bench.bh(0)
        buffer.sync_dirty_buffer(_counted(bh))
        buffer.put_bh(bh, "test")
        running = bench.running()
        buffer.lock_buffer(bh)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("locked-list: waited for a buffer"))
        assert list_of(running, JList.BJ_Locked) == [bh]
        buffer.unlock_buffer(bh)
        rt.join(committer)
        assert_at_rest(bench)

    outcome = run(body)
    assert outcome.marks["commit: buffer already locked"] == 1


def _counted(bh: BufferHead) -> BufferHead:
    buffer.get_bh(bh, "test")
    return bh


def test_clean_buffer_is_unfiled_at_once() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bh = _counted(bench.bh(0))
        buffer.sync_dirty_buffer(bh)
        buffer.put_bh(bh, "test")
        bench.commit()
        assert not bh.b_state.peek(BufferState.BH_JBD)
        assert_at_rest(bench)

    outcome = run(body)
    assert outcome.marks["commit: clean buffer unfiled"] == 1
    assert "commit: batch full" not in outcome.marks


def test_buffer_cleaned_while_commit_slept_on_its_lock_is_unfiled() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bh = bench.bh(0)
        buffer.lock_buffer(bh)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("commit: buffer lock busy, batch flushed"))
        buffer_head.clear_buffer_dirty(bh)
        buffer.unlock_buffer(bh)
        rt.join(committer)
        assert_at_rest(bench)

    outcome = run(body)
    assert outcome.marks["commit: cleaned while waiting for the lock"] == 1


def test_resched_restarts_the_walk_with_the_batch_unsubmitted() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(1, 2)
        bench.commit()
        assert [bench.on_disk(0), bench.on_disk(1)] == [[1, 1], [2, 2]]
        assert_at_rest(bench)

    outcome = run(body, values=[1], resched=True)
    assert outcome.marks["commit: resched with a locked batch"] == 1


def test_commit_waits_for_open_handles_and_new_handles_wait_for_commit() -> None:
    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 1)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("commit: waited for T_LOCKED updates"))
        started: list[int] = []

        def late() -> None:
            late_handle = transaction.journal_start(bench.journal, 1)
            started.append(transaction._handle_transaction(late_handle).t_tid)
            transaction.journal_stop(late_handle)

        starter = bench.spawn(late, name="starter", cpu=0)
        until(lambda: marked("journal_start: waited for T_LOCKED"))
        assert started == []
        transaction.journal_stop(handle)
        rt.join(starter)
        rt.join(committer)
        assert started == [2]
        bench.commit()
        assert_at_rest(bench)

    outcome = run(body)
    assert outcome.marks["journal_stop: last handle woke commit"] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_metadata_commit_writes_descriptor_copy_and_commit_block(seed: int) -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 5)
        assert len(list_of(bench.running(), JList.BJ_Metadata)) == 1
        bench.commit()
        magic = jbd.JFS_MAGIC_NUMBER
        tags = ((0, jbd.JFS_FLAG_LAST_TAG),)
        assert bench.log_block(0) == [magic, jbd.log_header(jbd.JFS_DESCRIPTOR_BLOCK, 1, tags)]
        assert bench.log_block(1) == [1, 1]  # the first change of the inode's block
        assert bench.log_block(2) == [magic, jbd.log_header(jbd.JFS_COMMIT_BLOCK, 1)]
        assert bench.disk_block(0) == [0, 0]  # not home yet: that is what the checkpoint list is for
        (waiting,) = rt.peek(bench.journal, "j_checkpoint_transactions")
        (jh,) = rt.peek(waiting, "t_checkpoint_list")
        assert rt.peek(jh, "b_bh").b_state.peek(BufferState.BH_Dirty)
        assert_at_rest(bench)

    outcome = run(body, seed=seed, metadata=True)
    writes = disk_writes(outcome)
    commit_block = f"disk:{outcome.bench.journal.j_first + 2}"
    assert all(name.startswith(commit_block) for name in writes[-2:])
    assert outcome.marks["temp_unlink: journal-dirty became dirty"] == 1


def test_batch_of_metadata_gets_a_descriptor_each_time_it_is_full() -> None:
    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 5)
        for block in range(5):
            change(bench, handle, block)
        transaction.journal_stop(handle)
        bench.commit()
        kinds = []
        for block in range(8):
            first, second = bench.log_block(block)
            kinds.append(jbd.read_log_header(second)[0] if first == jbd.JFS_MAGIC_NUMBER else 0)
        # a batch of four: descriptor and three copies, descriptor and two copies, commit block
        assert kinds == [jbd.JFS_DESCRIPTOR_BLOCK, 0, 0, 0, jbd.JFS_DESCRIPTOR_BLOCK, 0, 0, jbd.JFS_COMMIT_BLOCK]
        assert [block for block, _ in jbd.read_log_header(bench.log_block(0)[1])[2]] == [0, 1, 2]
        assert [block for block, _ in jbd.read_log_header(bench.log_block(4)[1])[2]] == [3, 4]
        assert_at_rest(bench)

    run(body, inodes=8)


def change(bench: Bench, handle: jbd.Handle, block: int, value: int = 7) -> None:
    """Change an inode block by hand, in an open handle."""
    bh = buffer.__bread(bench.device, block, "test")
    assert bh is not None
    transaction.journal_get_write_access(handle, bh)
    journal_._write_words(bh, (value, value))
    transaction.journal_dirty_metadata(handle, bh)
    buffer.__brelse(bh, "test")


def test_reserved_buffer_that_nobody_dirtied_is_refiled_and_let_go() -> None:
    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 1)
        bh = buffer.__bread(bench.device, 0, "test")
        assert bh is not None
        transaction.journal_get_write_access(handle, bh)
        assert list_of(bench.running(), JList.BJ_Reserved) == [bh]
        transaction.journal_stop(handle)
        bench.commit()
        buffer.__brelse(bh, "test")
        assert not bh.b_state.peek(BufferState.BH_JBD)
        assert_at_rest(bench)

    assert run(body).marks["commit: reserved buffer refiled"] == 1


def test_second_commit_of_a_block_leaves_the_older_checkpoint() -> None:
    def body(bench: Bench) -> None:
        for value in (1, 2):
            bench.write(0, value)
            bench.commit()
        (waiting,) = rt.peek(bench.journal, "j_checkpoint_transactions")
        assert waiting.t_tid == 2
        assert bench.log_block(4) == [2, 2]
        assert_at_rest(bench)

    marks = run(body, metadata=True).marks
    assert marks["commit: left an older checkpoint"] == 1
    assert marks["checkpoint: transaction dropped"] == 1


def test_block_that_begins_with_the_magic_is_escaped_in_the_log() -> None:
    def body(bench: Bench) -> None:
        handle = transaction.journal_start(bench.journal, 1)
        change(bench, handle, 0, jbd.JFS_MAGIC_NUMBER)
        transaction.journal_stop(handle)
        bench.commit()
        _, _, tags = jbd.read_log_header(bench.log_block(0)[1])
        assert tags == ((0, jbd.JFS_FLAG_ESCAPE | jbd.JFS_FLAG_LAST_TAG),)
        assert bench.log_block(1) == [0, jbd.JFS_MAGIC_NUMBER]
        bh = buffer.__bread(bench.device, 0, "test")
        assert bh is not None
        assert rt.peek(bh, "b_page").words.values[0] == jbd.JFS_MAGIC_NUMBER
        buffer.__brelse(bh, "test")
        assert_at_rest(bench)

    assert run(body).marks["write_metadata: escaped"] == 1


def test_failed_data_write_marks_page_and_mapping_and_commit_goes_on() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.commit()
        page = bench.page(0)
        assert page.flags.peek(page_flags.PG_error)
        assert bench.inode.i_mapping.flags.peek(fs.AS_EIO)
        assert not page.flags.peek(page_flags.PG_locked)
        assert_at_rest(bench)

    outcome = run(body, values=[1], errors=True)
    assert outcome.marks["locked-list: write error"] == 1
    assert "locked-list: page lock busy" not in outcome.marks


def test_failed_data_write_waits_for_the_page_lock_of_another() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        page = filemap.find_lock_page(bench.inode.i_mapping, 0)
        assert page is not None
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("locked-list: page lock busy"))
        filemap.unlock_page(page)
        rt.join(committer)
        swap.put_page(page, "lookup")
        assert page.flags.peek(page_flags.PG_error)
        assert_at_rest(bench)

    run(body, values=[1], errors=True)


def truncate_all(bench: Bench) -> None:
    """Invalidate and remove page 0 of the file."""
    page = filemap.find_lock_page(bench.inode.i_mapping, 0)
    assert page is not None
    filemap.wait_on_page_writeback(page)
    ext3.ext3_invalidatepage(page, 0)
    filemap.delete_from_page_cache(page)
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")


def test_truncate_during_commit_leaves_the_page_to_the_commit() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        page, bh = bench.page(0), bench.bh(0)
        jbd.jbd_lock_bh_state(bh)  # holds the commit up between its first look at the buffer and the list move
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("commit: BH_State contended"))
        jbd.jbd_unlock_bh_state(bh)
        until(lambda: list_of(rt.peek(bench.journal, "j_committing_transaction"), JList.BJ_Locked) == [bh])
        mm.get_page(page, "test")
        truncate_all(bench)
        rt.join(committer)
        swap.put_page(page, "test")
        assert_at_rest(bench)

    for seed in SEEDS:
        run(body, seed=seed)


def rivals(bench: Bench) -> None:
    """Two writers, a flusher and a reclaimer beside a commit loop; everything at rest after."""
    rounds = 16

    def writer(number: int) -> None:
        for i in range(rounds):
            bench.write((i + number) % 4, 100 * number + i, bench.inode if number < 3 else bench.other)

    def flusher() -> None:
        for _ in range(rounds // 2):
            page_writeback.do_writepages(bench.inode.i_mapping, page_writeback.WritebackControl())
            rt.schedule()

    def releaser() -> None:
        for i in range(4 * rounds):
            page = filemap.find_get_page(bench.inode.i_mapping, i % 2)
            if page is not None:
                if filemap.trylock_page(page):
                    if buffer.page_has_buffers(page):
                        filemap.try_to_release_page(page)
                    filemap.unlock_page(page)
                swap.put_page(page, "lookup")
            rt.schedule()

    def committer() -> None:
        for _ in range(rounds):
            bench.commit()
            rt.schedule()

    tasks = [bench.spawn(writer, number, name=f"writer{number}", cpu=number % 2) for number in (1, 2, 3)]
    others = [flusher, releaser, committer]
    tasks += [bench.spawn(fn, name=fn.__name__, cpu=i % 2) for i, fn in enumerate(others)]
    for task in tasks:
        rt.join(task)
    bench.commit()
    bench.commit()
    filemap.filemap_write_and_wait(bench.inode.i_mapping)
    filemap.filemap_write_and_wait(bench.other.i_mapping)
    assert_at_rest(bench)
    for inode in (bench.inode, bench.other):
        for index in range(2):
            page = filemap.find_get_page(inode.i_mapping, index)
            assert page is not None
            on_disk = [word for i in range(2) for word in bench.disk_block(inode.i_data + 2 * index + i)]
            assert on_disk == page.words.values
            swap.put_page(page, "lookup")


REACHED_BY_RIVALS = (
    "commit: waited for T_LOCKED updates",
    "commit: BH_State contended",
    "commit: batch full",
    "commit: clean buffer unfiled",
    "locked-list: waited for a buffer",
    "locked-list: BH_State contended",
    "dirty_data: committing data still dirty",
    "dirty_data: moved between transactions",
    "get_write_access: frozen copy made",
    "write_metadata: frozen copy used",
    "dirty_metadata: buffer of the committing transaction",
    "try_to_free_buffers: written data unfiled",
    "try_to_free_buffers: still in the journal",
)


@pytest.mark.slow
def test_rivals_leave_data_on_disk_and_reach_the_rare_branches() -> None:
    marks: Counter[str] = Counter()
    for seed in range(90):
        marks.update(run(rivals, seed=seed, metadata=bool(seed % 2), nr_pages=40, log_blocks=160).marks)
    assert [name for name in REACHED_BY_RIVALS if not marks[name]] == []
