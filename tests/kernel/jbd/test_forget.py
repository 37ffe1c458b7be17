"""The end of a commit: what becomes of the buffers on BJ_Forget, truncated ones above all."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import commit
from mmrace.kernel.jbd.jbd import JList
from mmrace.kernel.mm import filemap, swap
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
    wait_for_iobuf = commit.wait_for_iobuf

    def held(*args: object) -> int:
        until(lambda: bool(go))
        return wait_for_iobuf(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(commit, "wait_for_iobuf", held)
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
