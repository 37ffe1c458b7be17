"""Writeback on real runs: bits, tags and accounting through a write, and the two ways to walk a mapping."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, fs_writeback
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.fs.fs import InodeState
from mmrace.kernel.mm import filemap, page_flags, page_writeback, swap
from mmrace.kernel.mm.page_writeback import WB_SYNC_ALL, WB_SYNC_NONE, WritebackControl
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from tests.kernel.mm.bench import Bench, assert_idle, assert_memory, marked, run, until

DATA = [11, 12, 13, 14]


def tags(bench: Bench, index: int = 0) -> list[str]:
    return [name.removeprefix("PAGECACHE_TAG_") for name in bench.mapping.page_tree.slots[index].tags.names()]


def test_dirty_then_writeback_then_clean() -> None:
    def body(bench: Bench) -> None:
        stat = bench.zone.vm_stat
        bench.write(0, DATA)
        page = bench.page()
        assert page.flags.peek(page_flags.PG_dirty) and tags(bench) == ["DIRTY"] and stat["NR_FILE_DIRTY"] == 1
        assert bench.inode.i_state.names() == ["I_DIRTY_PAGES"]
        filemap.lock_page(page)
        assert page_writeback.clear_page_dirty_for_io(page)
        assert tags(bench) == ["DIRTY"] and stat["NR_FILE_DIRTY"] == 0
        page_writeback.set_page_writeback(page)
        assert tags(bench) == ["WRITEBACK"] and stat["NR_WRITEBACK"] == 1
        filemap.unlock_page(page)
        filemap.end_page_writeback(page)
        assert tags(bench) == [] and stat["NR_WRITEBACK"] == 0

    outcome = run(body)
    assert outcome.notes("writeback-begin") == [("page:0",)] == outcome.notes("writeback-end")


@pytest.mark.parametrize("seed", range(10))
def test_sync_brings_every_block_to_the_disk(seed: int) -> None:
    def body(bench: Bench) -> None:
        bench.write(0, list(range(1, 17)))
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert [word for block in range(8) for word in bench.on_disk(block)] == list(range(1, 17))
        swap.lru_add_drain_all(bench.machine)
        for index in range(4):
            assert not assert_idle(bench, index).flags.peek(page_flags.PG_dirty)
            assert tags(bench, index) == []
        assert_memory(bench)

    run(body, seed=seed)


def test_background_walk_skips_a_page_under_writeback_and_sync_walk_waits() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        page_writeback.set_page_writeback(page)
        page_writeback.__set_page_dirty_nobuffers(page)
        filemap.unlock_page(page)
        assert page_writeback.do_writepages(bench.mapping, WritebackControl(sync_mode=WB_SYNC_NONE)) == 0
        assert marked("writeback: skipped, under writeback")
        task = rt.spawn(
            page_writeback.do_writepages, bench.mapping, WritebackControl(sync_mode=WB_SYNC_ALL), name="sync", cpu=1
        )
        until(lambda: marked("writeback: waited for writeback"))
        filemap.end_page_writeback(page)
        rt.join(task)
        assert filemap.filemap_fdatawait(bench.mapping) == 0
        assert_memory(bench)

    run(body)


def test_background_writepage_skips_a_locked_buffer_and_keeps_the_page_dirty() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bench.write(0, [1, 2, 3, 4])
        bh = bench.ring()[0]
        buffer.lock_buffer(bh)
        assert page_writeback.do_writepages(bench.mapping, WritebackControl()) == 0
        buffer.unlock_buffer(bh)
        until(lambda: not bench.page().flags.peek(page_flags.PG_writeback))
        assert bench.on_disk(0) + bench.on_disk(1) == [11, 12, 3, 4]
        assert bench.page().flags.peek(page_flags.PG_dirty) and tags(bench) == ["DIRTY"]
        assert bh.b_state.peek(BufferState.BH_Dirty)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(0) == [1, 2]
        assert_memory(bench)

    assert run(body).marks["block_write_full_page: buffer lock busy"] == 1


def test_stale_page_dirty_bit_costs_a_writeback_without_io() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        page_writeback.__set_page_dirty_nobuffers(page)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert_idle(bench)
        assert_memory(bench)

    assert run(body).marks["block_write_full_page: nothing to submit"] == 1


def test_write_error_reaches_the_next_wait_once() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, DATA)
        assert filemap.filemap_write_and_wait(bench.mapping) == -Errno.EIO
        assert filemap.filemap_fdatawait(bench.mapping) == 0
        assert [bh.b_state.peek(BufferState.BH_Write_EIO) for bh in bench.ring()] == [True, False]
        assert_memory(bench)

    assert run(body, errors=True, values=[1]).marks["buffer: write error"] == 1


def test_set_page_dirty_dirties_every_buffer_and_nobuffers_none() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert page_writeback.__set_page_dirty_nobuffers(page)
        assert not any(bh.b_state.peek(BufferState.BH_Dirty) for bh in bench.ring())
        assert not page_writeback.set_page_dirty(page)
        assert all(bh.b_state.peek(BufferState.BH_Dirty) for bh in bench.ring())
        assert bench.zone.vm_stat["NR_FILE_DIRTY"] == 1

    run(body)


def test_flusher_clears_the_inode_and_marks_it_again_if_pages_stay_dirty() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bench.fill(1, DATA)
        bench.write(0, DATA * 2)
        bench.write(4, DATA)
        assert fs_writeback.writeback_single_inode(bench.inode, WritebackControl(nr_to_write=1)) == 0
        assert bench.inode.i_state.peek(InodeState.I_DIRTY_PAGES)
        assert fs_writeback.writeback_single_inode(bench.inode, WritebackControl(sync_mode=WB_SYNC_ALL)) == 0
        assert not bench.inode.i_state.peek(InodeState.I_DIRTY_PAGES)
        assert_memory(bench)

    run(body)


def test_partly_uptodate_page_writes_only_its_dirty_block() -> None:
    def body(bench: Bench) -> None:
        bench.write(2, [7, 8])
        assert not bench.page().flags.peek(page_flags.PG_uptodate)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(1) == [7, 8] and bench.on_disk(0) == [0, 0]
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)

    run(body)


def test_the_state_of_an_inode_is_a_plain_word_that_changes_under_i_lock() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, DATA)
        assert fs_writeback.writeback_single_inode(bench.inode, WritebackControl(sync_mode=WB_SYNC_ALL)) == 0

    outcome = run(body)
    word = outcome.bench.inode.i_state.code >> SHIFT
    i_lock = outcome.bench.inode.i_lock.code >> SHIFT
    kinds = [op & KIND_MASK for _, op, *_ in outcome.gate.events if op >= 0 and op >> SHIFT in (word, i_lock)]
    look, change = [Kind.LOAD], [Kind.ACQUIRE, Kind.LOAD, Kind.STORE, Kind.RELEASE]
    assert kinds == [*look, *change, *change]
