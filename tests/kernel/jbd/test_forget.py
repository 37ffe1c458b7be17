"""The end of a commit: what becomes of the buffers on BJ_Forget, truncated ones above all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import commit, jbd, transaction
from mmrace.kernel.jbd.jbd import JList, JournalHead
from mmrace.kernel.mm import filemap, swap
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.jbd.bench import Bench, assert_at_rest, list_of, run, until

SEEDS = range(10)


def truncate_first_page(bench: Bench) -> None:
    """Invalidate page 0 of the file, as truncate does before it takes the page out of the cache."""
    page = filemap.find_lock_page(bench.inode.i_mapping, 0)
    assert page is not None
    ext3.ext3_invalidatepage(page, 0)
    filemap.unlock_page(page)
    swap.put_page(page, "lookup")


def hold_commit_at_shadow(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Make commits wait, their log I/O submitted, until something is put in the list that is returned."""
    go: list[bool] = []
    _wait_for_iobuf = commit._wait_for_iobuf

    def held(*args: object) -> int:
        until(lambda: bool(go))
        return _wait_for_iobuf(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(commit, "_wait_for_iobuf", held)
    return go


def bits_of(bh: BufferHead) -> set[str]:
    """Name the bits that tell who must write or forget a buffer."""
    asked = (BufferState.BH_Freed, BufferState.BH_JBDDirty, BufferState.BH_Dirty)
    return {bit.name for bit in asked if bh.b_state.peek(bit)}


@pytest.mark.parametrize("seed", SEEDS)
def test_truncated_buffer_that_the_next_transaction_waits_for_stays_dirty_for_the_journal(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = hold_commit_at_shadow(monkeypatch)

    def body(bench: Bench) -> None:
        bench.write(0, 7)
        bh = bench.bh(0)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: list_of(rt.peek(bench.journal, "j_committing_transaction"), JList.BJ_Shadow) == [bh])
        bench.write(0, 1, bench.other)  # there is a next transaction: the truncation's own
        truncate_first_page(bench)
        assert bits_of(bh) == {"BH_Freed", "BH_JBDDirty"}
        go.append(True)
        rt.join(committer)
        # Until the truncation is committed too, the block counts as it was: journal-dirty, waiting for its checkpoint.
        assert bits_of(bh) == {"BH_Freed", "BH_JBDDirty"}
        assert bh in list_of(bench.running(), JList.BJ_Forget)
        assert rt.peek(rt.peek(bh, "b_private"), "b_cp_transaction") is not None
        bench.commit()
        assert bits_of(bh) == set()
        filemap.filemap_write_and_wait(bench.other.i_mapping)
        bench.commit()  # of the handle that writepage had open
        assert bench.on_disk(0) == [0, 0], "a truncated block was written home"
        assert_at_rest(bench)

    assert run(body, data="journal", seed=seed).marks["commit: forgotten buffer freed"] == 1


def test_truncated_buffer_that_nobody_waits_for_is_forgotten_by_its_own_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    go = hold_commit_at_shadow(monkeypatch)

    def body(bench: Bench) -> None:
        bench.write(0, 7)
        bh = bench.bh(0)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: list_of(rt.peek(bench.journal, "j_committing_transaction"), JList.BJ_Shadow) == [bh])
        truncate_first_page(bench)
        go.append(True)
        rt.join(committer)
        assert bits_of(bh) == set()
        assert_at_rest(bench)

    run(body, data="journal")


def commit_with_a_stranger_on_the_list(owner: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench], None]:
    """Let a commit meet on BJ_Forget a buffer that was written for the running transaction, or for one long gone."""
    go = hold_commit_at_shadow(monkeypatch)

    def body(bench: Bench) -> None:
        bench.write(0, 7)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: bool(list_of(rt.peek(bench.journal, "j_committing_transaction"), JList.BJ_Shadow)))
        committing = rt.peek(bench.journal, "j_committing_transaction")
        bench.write(2, 7)
        bh = bench.bh(2)
        jh = rt.peek(bh, "b_private")
        if owner == "stray":
            jh.b_transaction = jbd.Transaction(bench.journal, 99)
        commit._forget_buffer(bench.journal, committing, jh)
        rt.spin_unlock(bench.journal.j_list_lock)
        assert rt.peek(jh, "b_cp_transaction") is committing
        go.append(True)
        rt.join(committer)

    return body


def test_commit_may_find_a_buffer_of_the_running_transaction_on_its_forget_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(commit_with_a_stranger_on_the_list("running", monkeypatch), data="journal")


def test_buffer_of_any_other_transaction_on_the_forget_list_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(commit_with_a_stranger_on_the_list("stray", monkeypatch), data="journal", ends="violation")
    assert outcome.detail["rule"] == "forget list of another transaction"


def reserved_with_copies(bench: Bench) -> tuple[BufferHead, JournalHead]:
    """Take write access to an inode's block, dirty nothing, and leave both kinds of copies behind."""
    bh = buffer.__bread(bench.device, 0)
    assert bh is not None
    handle = transaction.journal_start(bench.journal, 1)
    transaction.journal_get_write_access(handle, bh)
    jh: JournalHead = rt.peek(bh, "b_private")
    jh.b_committed_data = jbd.jbd_alloc(bench.journal, 2)
    jh.b_frozen_data = jbd.jbd_alloc(bench.journal, 2)
    transaction.journal_stop(handle)
    return bh, jh


def test_commit_frees_the_committed_copy_of_a_reserved_buffer_under_its_state_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freed: list[tuple[Page, bool]] = []
    jbd_free = jbd.jbd_free

    def body(bench: Bench) -> None:
        bh, jh = reserved_with_copies(bench)
        committed, frozen = rt.peek(jh, "b_committed_data"), rt.peek(jh, "b_frozen_data")

        def noted(data: Page) -> None:
            freed.append((data, bool(bh.b_state.peek(BufferState.BH_State))))
            jbd_free(data)

        monkeypatch.setattr(jbd, "jbd_free", noted)
        bench.commit()
        # The frozen one goes with the journal head, which the refile lets go of.
        assert freed == [(committed, True), (frozen, True)]
        buffer.brelse(bh)
        assert_at_rest(bench)

    run(body)


def test_journal_head_takes_both_its_copies_along() -> None:
    def body(bench: Bench) -> None:
        bh, jh = reserved_with_copies(bench)
        committed, frozen = rt.peek(jh, "b_committed_data"), rt.peek(jh, "b_frozen_data")
        rt.spin_lock(bench.journal.j_list_lock)
        jbd.jbd_lock_bh_state(bh)
        transaction.__journal_unfile_buffer(jh)
        jbd.jbd_unlock_bh_state(bh)
        rt.spin_unlock(bench.journal.j_list_lock)
        assert [data.dead is not None for data in (committed, frozen)] == [True, True]
        buffer.brelse(bh)
        bench.commit()
        assert_at_rest(bench)

    run(body)
