"""Journal heads, the log's format, requests and the journal's thread."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import jbd, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import Journal
from tests.kernel.jbd.bench import Bench, assert_at_rest, run, until

SEEDS = range(25)


TAGS = [
    (),
    ((0, 0),),
    ((5, jbd.JFS_FLAG_ESCAPE), (1 << 19, jbd.JFS_FLAG_LAST_TAG)),
    tuple((block, 0) for block in range(8)),
]


@pytest.mark.parametrize("tags", TAGS)
def test_log_header_reads_back(tags: tuple[tuple[int, int], ...]) -> None:
    word = jbd.log_header(jbd.JFS_DESCRIPTOR_BLOCK, 77, tags)
    assert jbd.read_log_header(word) == (jbd.JFS_DESCRIPTOR_BLOCK, 77, tags)


def a_buffer(bench: Bench) -> BufferHead:
    """Return an inode block's buffer, counted as "test"."""
    bh = buffer.__bread(bench.device, 0, "test")
    assert bh is not None
    return bh


@pytest.mark.parametrize("seed", SEEDS)
def test_two_tasks_that_add_a_journal_head_get_the_same_one(seed: int) -> None:
    def body(bench: Bench) -> None:
        bh = a_buffer(bench)
        before = bh.b_count.value
        found: list[jbd.JournalHead] = []
        tasks = [
            bench.spawn(lambda: found.append(journal_.journal_add_journal_head(bh)), name=f"t{i}", cpu=i)
            for i in range(2)
        ]
        for task in tasks:
            rt.join(task)
        assert found[0] is found[1]
        assert rt.peek(found[0], "b_jcount") == 2
        assert bh.b_count.value == before + 1
        for jh in found:
            journal_.journal_put_journal_head(jh)
        assert found[0].dead is not None
        assert bh.b_count.value == before
        assert not bh.b_state.peek(BufferState.BH_JBD)
        buffer.__brelse(bh, "test")

    run(body, seed=seed)


def test_a_lost_race_for_the_journal_head_frees_the_spare_one() -> None:
    def body(bench: Bench) -> None:
        bh = a_buffer(bench)

        def add_and_put() -> None:
            journal_.journal_put_journal_head(journal_.journal_add_journal_head(bh))

        for task in [bench.spawn(add_and_put, name=f"t{i}", cpu=i) for i in range(2)]:
            rt.join(task)
        buffer.__brelse(bh, "test")

    marks = [run(body, seed=seed).marks.get("journal_head: made by another meanwhile", 0) for seed in range(200)]
    assert any(marks)


def test_journal_head_touched_after_its_last_put_is_a_use_after_free() -> None:
    """BUGGY: the journal head is read after the last count on it was dropped."""

    def body(bench: Bench) -> None:
        jh = journal_.journal_add_journal_head(a_buffer(bench))
        journal_.journal_put_journal_head(jh)
        assert jh.b_jlist is not None

    assert run(body, ends="violation").detail["oracle"] == "use-after-free"


def test_journal_head_dropped_too_often_is_a_bug() -> None:
    """BUGGY: a transaction's count on the journal head is dropped by somebody else."""

    def body(bench: Bench) -> None:
        bench.write(0, 1)
        jh = jbd.bh2jh(bench.bh(0))
        assert jh is not None
        journal_.journal_put_journal_head(jh)

    assert run(body, ends="violation").detail["oracle"] == "bug-on"


def test_commit_that_runs_out_of_log_is_a_bug() -> None:
    """BUGGY: a handle is let in without a look at the log's free space."""

    def body(bench: Bench) -> None:
        bench.journal.j_free = 2
        bench.journal.j_max_transaction_buffers = 3
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal_, "__log_space_left", lambda _journal: 100)
            bench.write(0, 1)
        bench.commit()

    assert "log is full" in run(body, metadata=True, ends="violation").detail["rule"]


def test_log_head_wraps_to_the_first_block() -> None:
    def body(bench: Bench) -> None:
        journal = bench.journal
        journal.j_head = journal.j_last - 1
        assert journal_.journal_next_log_block(journal) == journal.j_last - 1
        assert journal_.journal_next_log_block(journal) == journal.j_first

    run(body)


@pytest.mark.parametrize("seed", SEEDS)
def test_kjournald_commits_when_asked_and_then_sleeps(seed: int) -> None:
    def body(bench: Bench) -> None:
        rt.spawn(journal_.kjournald, bench.journal, name="kjournald", cpu=1, daemon=True)
        bench.write(0, 3)
        assert journal_.journal_force_commit_nested(bench.journal)
        assert bench.on_disk(0) == [3, 3]
        assert not journal_.journal_force_commit_nested(bench.journal)
        assert_at_rest(bench)

    run(body, seed=seed)


def test_synchronous_handle_returns_when_its_transaction_is_committed() -> None:
    def body(bench: Bench) -> None:
        rt.spawn(journal_.kjournald, bench.journal, name="kjournald", cpu=1, daemon=True)
        handle = transaction.journal_start(bench.journal, 2)
        handle.h_sync = True
        transaction.journal_stop(handle)
        assert rt.peek(bench.journal, "j_commit_sequence") == 1
        assert_at_rest(bench)

    run(body)


def test_force_commit_commits_a_transaction_even_if_none_runs() -> None:
    def body(bench: Bench) -> None:
        rt.spawn(journal_.kjournald, bench.journal, name="kjournald", cpu=1, daemon=True)
        bench.write(0, 3)
        transaction.journal_force_commit(bench.journal)
        assert bench.on_disk(0) == [3, 3]
        transaction.journal_force_commit(bench.journal)
        assert rt.peek(bench.journal, "j_commit_sequence") == 2
        assert_at_rest(bench)

    run(body)


def test_second_request_for_a_commit_wakes_kjournald_again() -> None:
    def sleep_once(journal: Journal) -> None:
        entry = rt.prepare_to_wait(journal.j_wait_commit, None)
        rt.sleep_on(entry)  # nothing but a wake ends this
        rt.finish_wait(entry)

    def body(bench: Bench) -> list[bool]:
        bench.write(0, 3)
        journal = bench.journal
        asked = [journal_.log_start_commit(journal, 1)]
        rt.spawn(sleep_once, journal, name="sleeper", cpu=1)
        until(lambda: bool(journal.j_wait_commit.entries))
        return [*asked, journal_.log_start_commit(journal, 1), journal_.log_start_commit(journal, 7)]

    assert run(body).value == [True, True, False]


def test_handle_that_does_not_fit_waits_for_the_commit_of_the_full_transaction() -> None:
    def body(bench: Bench) -> None:
        rt.spawn(journal_.kjournald, bench.journal, name="kjournald", cpu=1, daemon=True)
        handle = transaction.journal_start(bench.journal, 30)
        tids: list[int] = []

        def second() -> None:
            other = transaction.journal_start(bench.journal, 30)
            tids.append(transaction._handle_transaction(other).t_tid)
            transaction.journal_stop(other)

        task = bench.spawn(second, name="second", cpu=1)
        until(lambda: rt.peek(bench.journal, "j_commit_request") == 1)
        assert tids == []
        transaction.journal_stop(handle)
        rt.join(task)
        assert tids == [2]

    assert run(body).marks["journal_start: transaction full"] >= 1


def test_nested_handle_joins_the_one_that_is_open() -> None:
    def body(bench: Bench) -> None:
        outer = transaction.journal_start(bench.journal, 2)
        inner = transaction.journal_start(bench.journal, 2)
        assert inner is outer
        transaction.journal_stop(inner)
        assert rt.peek(transaction._handle_transaction(outer), "t_updates") == 1
        running = transaction._handle_transaction(outer)
        transaction.journal_stop(outer)
        assert rt.peek(running, "t_updates") == 0
        bench.commit()
        assert_at_rest(bench)

    run(body)
