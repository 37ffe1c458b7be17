"""The buffer layer on real runs: locks, I/O of one buffer, whole pages, stripping, the block-device cache."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import block_dev, buffer, buffer_head, buffer_page
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.mm import filemap, page_alloc, page_flags, page_writeback, swap, truncate
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.page_writeback import WB_SYNC_ALL, WritebackControl
from tests.kernel.mm.bench import Bench, assert_idle, assert_memory, get_block, marked, run, until

DATA = [11, 12, 13, 14]


def bdev_rest(bench: Bench) -> None:
    """Drop what the block-device cache holds, then check memory."""
    buffer.invalidate_bh_lrus(bench.machine)
    swap.lru_add_drain_all(bench.machine)
    assert_memory(bench)


# -- one buffer --------------------------------------------------------------------------------------------------


def test_buffer_lock_belongs_to_the_io_until_it_ends() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bh = bench.ring()[0]
        buffer_head.set_buffer_dirty(bh)
        buffer.get_bh(bh, "commit")
        assert buffer.sync_dirty_buffer(bh) == 0
        assert bh.b_count.value == 1 and not bh.b_state.peek(BufferState.BH_Lock)
        buffer.put_bh(bh, "commit")

    run(body)


def test_unlock_of_a_buffer_under_io_is_caught() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bh = bench.ring()[0]
        buffer_head.set_buffer_dirty(bh)
        buffer.write_dirty_buffer(bh)
        buffer.unlock_buffer(bh)

    assert run(body, ends="violation", stay=1.0).detail["oracle"] == "lock-discipline"


def test_write_reads_the_page_that_b_page_names_at_submission() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        other = page_alloc.alloc_page(bench.machine)
        assert other is not None
        for i in range(4):
            other.words.write(i, 70 + i)
        bh = bench.ring()[1]
        buffer.lock_buffer(bh)
        buffer.set_bh_page(bh, other, 2)
        buffer_head.set_buffer_dirty(bh)
        buffer.unlock_buffer(bh)
        buffer.get_bh(bh, "commit")
        assert buffer.sync_dirty_buffer(bh) == 0
        assert bench.on_disk(1) == [72, 73]

    run(body)


def test_io_on_a_freed_page_is_a_use_after_free() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        stray = page_alloc.alloc_page(bench.machine)
        assert stray is not None
        bh = bench.ring()[0]
        buffer.lock_buffer(bh)
        buffer.set_bh_page(bh, stray, 0)
        bh.b_end_io = buffer.end_buffer_write_sync
        buffer.get_bh(bh, "io")
        page_alloc.__free_page(stray)
        buffer.submit_bh(device.WRITE, bh)
        buffer.wait_on_buffer(bh)

    assert run(body, ends="violation").detail["oracle"] == "use-after-free"


def test_submit_of_an_unlocked_buffer_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bh = bench.ring()[0]
        bh.b_end_io = buffer.end_buffer_write_sync
        buffer.submit_bh(device.WRITE, bh)

    assert run(body, ends="violation").detail["rule"] == "submit_bh: buffer is not locked"


def test_ll_rw_block_skips_a_locked_buffer_silently() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        first, second = bench.ring()
        for bh in (first, second):
            buffer_head.set_buffer_dirty(bh)
        buffer.lock_buffer(first)
        buffer.ll_rw_block(device.WRITE, [first, second])
        assert first.b_state.peek(BufferState.BH_Dirty) and not second.b_state.peek(BufferState.BH_Dirty)
        buffer.unlock_buffer(first)
        buffer.wait_on_buffer(second)
        buffer.ll_rw_block(device.WRITE, [second])  # clean: nothing to do
        assert not second.b_state.peek(BufferState.BH_Lock)

    assert run(body).marks["ll_rw_block: buffer lock busy"] == 1


def test_write_error_marks_the_buffer() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bench.disk.errors = True
        bh = bench.ring()[0]
        buffer_head.set_buffer_dirty(bh)
        buffer.get_bh(bh, "commit")
        assert buffer.sync_dirty_buffer(bh) == -Errno.EIO
        assert bh.b_state.peek(BufferState.BH_Write_EIO) and not bh.b_state.peek(BufferState.BH_Uptodate)
        bench.disk.errors = False
        buffer_head.set_buffer_uptodate(bh)
        buffer_head.set_buffer_dirty(bh)
        assert buffer.sync_dirty_buffer(bh) == 0
        assert not bh.b_state.peek(BufferState.BH_Write_EIO)

    run(body, values=[1])


def test_mark_buffer_dirty_dirties_the_page_once() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        for bh in bench.ring():
            buffer.mark_buffer_dirty(bh)
            buffer.mark_buffer_dirty(bh)
        assert page.flags.peek(page_flags.PG_dirty) and bench.zone.vm_stat["NR_FILE_DIRTY"] == 1

    assert run(body).marks["mark_buffer_dirty: page was dirty"] >= 1


# -- stripping ---------------------------------------------------------------------------------------------------


def test_private_data_of_a_page_without_any_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        assert not buffer.page_has_buffers(page) and swap.page_is_file_cache(page)
        assert rt.peek(page, "private") is None
        buffer.page_buffers(page)

    assert run(body, ends="violation").detail["rule"] == "page_buffers: page has no buffers"


def test_strip_frees_the_ring_and_cancels_a_stale_dirty_bit() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        ring = bench.ring()
        buffer.mark_buffer_dirty(ring[0])
        buffer.get_bh(ring[0], "commit")
        buffer.sync_dirty_buffer(ring[0])  # by hand: PG_dirty stays behind
        filemap.lock_page(page)
        assert not buffer.try_to_free_buffers(page)
        buffer.put_bh(ring[0], "commit")
        assert page.flags.peek(page_flags.PG_dirty)
        assert buffer.try_to_free_buffers(page)
        filemap.unlock_page(page)
        assert all(bh.dead is not None for bh in ring)
        assert not page.flags.peek(page_flags.PG_dirty) and page._count.value == 1
        assert_memory(bench)

    marks = run(body).marks
    assert marks["buffer: busy"] == marks["buffer: ring freed"] == 1
    assert marks["dirty: cancelled"] == 1


@pytest.mark.parametrize("what", ["referenced", "dirty", "locked"])
def test_busy_ring_is_not_stripped(what: str) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[1]
        if what == "referenced":
            buffer.get_bh(bh)
        elif what == "dirty":
            buffer_head.set_buffer_dirty(bh)
        else:
            buffer.lock_buffer(bh)
        filemap.lock_page(page)
        assert not filemap.try_to_release_page(page)
        assert page.flags.peek(page_flags.PG_private) and page._count.value == 2

    run(body)


def test_strip_of_an_unlocked_page_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        buffer.try_to_free_buffers(bench.fill(0, DATA))

    assert run(body, ends="violation").detail["oracle"] == "bug-on"


def test_buffer_after_free_is_poisoned() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[0]
        filemap.lock_page(page)
        assert buffer.try_to_free_buffers(page)
        buffer_head.buffer_dirty(bh)

    assert run(body, ends="violation").detail["oracle"] == "use-after-free"


# -- whole pages -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("buffers", [1, 2, 4])
def test_page_write_and_read_back(seed: int, buffers: int) -> None:
    def body(bench: Bench) -> None:
        words = bench.machine.words_per_page
        data = list(range(1, words + 1))
        bench.write(0, data)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        truncate.truncate_inode_pages(bench.mapping, 0)
        readers: list[object] = []
        tasks = [rt.spawn(lambda: readers.append(bench.read(0, words)), name=("r", i), cpu=i) for i in range(2)]
        for task in tasks:
            rt.join(task)
        assert readers == [data, data]
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)
        assert_memory(bench)

    run(body, seed=seed, buffers_per_page=buffers, irq_cpu="any", values=[seed >> i & 1 for i in range(8)])


def test_page_read_ends_a_buffer_that_was_filled_meanwhile() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        truncate.truncate_inode_pages(bench.mapping, 0)
        page = filemap.grab_cache_page_write_begin(bench.mapping, 0)
        assert page is not None
        buffer.create_empty_buffers(page)
        ring = bench.ring()
        for number, bh in enumerate(ring):
            get_block(bench.inode, number, bh, False)
        buffer.lock_buffer(ring[1])
        task = rt.spawn(buffer_page.block_read_full_page, page, get_block, name="reader", cpu=1)
        # hand the page lock over as its owner would: the reader unlocks it
        rt.hand_over(page.flags, page_flags.PG_locked, task)
        until(lambda: ring[0].b_state.peek(BufferState.BH_Async_Read))
        for i in (2, 3):
            page.words.write(i, DATA[i])
        buffer_head.set_buffer_uptodate(ring[1])
        buffer.unlock_buffer(ring[1])
        filemap.wait_on_page_locked(page)
        rt.join(task)
        assert page.flags.peek(page_flags.PG_uptodate) and page.words.values == DATA
        swap.put_page(page, "lookup")

    assert run(body).marks["block_read_full_page: filled meanwhile"] == 1


def test_page_beyond_the_end_is_dropped_by_writepage_and_its_tail_zeroed() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, DATA * 2)
        bench.inode.i_size = 3
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(0) + bench.on_disk(1) == [11, 12, 13, 0]
        assert bench.on_disk(2) == [0, 0]
        assert not bench.page(1).flags.peek(page_flags.PG_private)

    assert run(body).marks["block_write_full_page: beyond the end"] == 1


def test_get_block_error_fails_the_write_and_writes_what_is_mapped() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.dirty(0, [1, 2, 3, 4])
        buffer_head.clear_buffer_mapped(bench.ring()[1])

        def no_block(inode: object, iblock: int, bh: BufferHead, create: bool) -> int:
            return -Errno.ENOSPC

        filemap.lock_page(page)
        page_writeback.clear_page_dirty_for_io(page)
        wbc = WritebackControl(sync_mode=WB_SYNC_ALL)
        assert buffer_page.block_write_full_page(page, no_block, wbc) == -Errno.ENOSPC
        filemap.wait_on_page_writeback(page)
        assert bench.on_disk(0) + bench.on_disk(1) == [1, 2, 13, 14]
        assert filemap.filemap_fdatawait(bench.mapping) == -Errno.ENOSPC

    assert run(body).marks["block_write_full_page: recover"] == 1


def test_truncate_discards_dirty_buffers_and_their_accounting() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, DATA * 2)
        truncate.truncate_inode_pages(bench.mapping, bench.machine.words_per_page)
        assert bench.cached(1) is None and bench.zone.vm_stat["NR_FILE_DIRTY"] == 1
        truncate.truncate_inode_pages(bench.mapping, 0)
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    run(body)


# -- the block-device cache --------------------------------------------------------------------------------------


def test_getblk_twice_gives_the_same_buffer_and_the_lru_holds_it() -> None:
    def body(bench: Bench) -> None:
        bh = buffer.__getblk(bench.disk, 3, "commit")
        assert (rt.peek(bh, "b_blocknr"), bh.b_count.value) == (3, 2)
        assert buffer.__getblk(bench.disk, 3) is bh and bh.b_count.value == 3
        assert marked("bh lru: hit")
        buffer.brelse(bh)
        buffer.__brelse(bh, "commit")
        bdev_rest(bench)
        assert bh.b_count.value == 0

    run(body)


def test_bh_lru_evicts_the_oldest() -> None:
    def body(bench: Bench) -> None:
        bhs = [buffer.__getblk(bench.disk, block) for block in range(buffer.BH_LRU_SIZE + 1)]
        for bh in bhs:
            buffer.brelse(bh)
        assert [bh.b_count.value for bh in bhs] == [0] + [1] * buffer.BH_LRU_SIZE
        again = buffer.__find_get_block(bench.disk, 2)
        assert again is bhs[2] and rt.peek(bench.machine.percpu.of(0), "bh_lru")[0] is again
        buffer.brelse(again)
        bdev_rest(bench)

    run(body)


def test_bread_reads_and_dirty_metadata_comes_back() -> None:
    def body(bench: Bench) -> None:
        bh = buffer.__bread(bench.disk, 5)
        assert bh is not None and bh.b_state.peek(BufferState.BH_Uptodate)
        page, offset = rt.peek(bh, "b_page"), rt.peek(bh, "b_data")
        buffer.lock_buffer(bh)
        page.words.write(offset, 55)
        buffer.unlock_buffer(bh)
        buffer.mark_buffer_dirty(bh)
        assert buffer.sync_dirty_buffer(bh) == 0
        assert bench.disk.block(5).words.values == [55, 0]
        buffer.brelse(bh)
        buffer.invalidate_bh_lrus(bench.machine)
        truncate.truncate_inode_pages(bench.disk.bd_inode.i_mapping, 0)
        bh = buffer.__bread(bench.disk, 5)
        assert bh is not None
        page, offset = rt.peek(bh, "b_page"), rt.peek(bh, "b_data")
        assert page.words.values[offset] == 55
        buffer.brelse(bh)
        bdev_rest(bench)

    run(body)


def test_bread_reports_a_read_error() -> None:
    def body(bench: Bench) -> None:
        assert buffer.__bread(bench.disk, 5) is None
        bdev_rest(bench)

    run(body, errors=True, values=[1])


@pytest.mark.parametrize("seed", range(15))
def test_getblk_against_reclaim_of_the_page(seed: int) -> None:
    """The lookup's count comes first and the strip fails, or the buffers are gone first and are made again."""

    def body(bench: Bench) -> None:
        def getter() -> None:
            for _ in range(4):
                bh = buffer.__bread(bench.disk, 2)
                assert bh is not None
                buffer.brelse(bh)
                rt.local_irq_disable()
                buffer.invalidate_bh_lru(bench.machine)
                rt.local_irq_enable()

        def stripper() -> None:
            for _ in range(4):
                page = filemap.find_lock_page(bench.disk.bd_inode.i_mapping, 1)
                if page is not None:
                    if page_flags.page_has_private(page):
                        filemap.try_to_release_page(page)
                    filemap.unlock_page(page)
                    swap.put_page(page, "lookup")

        tasks = [rt.spawn(fn, name=fn.__name__, cpu=cpu) for cpu, fn in enumerate((getter, stripper))]
        for task in tasks:
            rt.join(task)
        bdev_rest(bench)

    run(body, seed=seed, stay=0.5)


def test_device_pages_are_written_and_stripped_the_mounted_way() -> None:
    def body(bench: Bench) -> None:
        bh = buffer.__bread(bench.disk, 0)
        assert bh is not None
        buffer.mark_buffer_dirty(bh)
        mapping = bench.disk.bd_inode.i_mapping
        assert filemap.filemap_write_and_wait(mapping) == 0
        assert not bh.b_state.peek(BufferState.BH_Dirty)
        asked: list[object] = []

        def refuse(page: Page) -> bool:
            asked.append(page)
            return False

        bench.disk.bdev_try_to_free_page = refuse
        page = rt.peek(bh, "b_page")
        filemap.lock_page(page)
        assert not filemap.try_to_release_page(page)
        filemap.unlock_page(page)
        assert asked == [page]
        assert bench.disk.bd_inode.i_mapping.a_ops.migratepage is None
        assert block_dev.I_BDEV(bench.disk.bd_inode) is bench.disk

    run(body)
