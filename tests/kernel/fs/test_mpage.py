"""Pages that are read whole: one I/O, no buffers, and a page lock that belongs to the I/O."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, ext3, mpage
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import Inode
from mmrace.kernel.mm import filemap, page_flags, swap
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.jbd.bench import Bench, assert_at_rest, run

SEEDS = range(10)


def on_medium(bench: Bench, *values: int) -> None:
    """Put words on the first blocks of the file."""
    words = bench.machine.words_per_buffer
    for position, value in enumerate(values):
        bench.device.block(bench.inode.i_data + position // words).words.write(position % words, value)


def locked_page(bench: Bench, index: int = 0) -> Page:
    """Put an empty page into the page cache; returns it locked and referenced."""
    page = filemap.grab_cache_page_write_begin(bench.inode.i_mapping, index)
    assert page is not None
    return page


@pytest.mark.parametrize("seed", SEEDS)
def test_a_page_is_read_by_one_io_and_gets_no_buffers(seed: int) -> None:
    def body(bench: Bench) -> None:
        on_medium(bench, 1, 2, 3, 4)
        assert filemap.do_generic_file_read(bench.inode.i_mapping, 0, 4) == [1, 2, 3, 4]
        page = bench.page(0)
        assert not page.flags.peek(page_flags.PG_private) and rt.peek(page, "private") is None
        assert page.flags.peek(page_flags.PG_mappedtodisk)
        swap.lru_add_drain_all(bench.machine)
        assert page._count.value == 1  # the cache alone: a migration expects one less than of a page with buffers
        assert_at_rest(bench)

    outcome = run(body, seed=seed)
    assert outcome.marks["mpage: page read whole"] == 1
    assert sum(task.name.startswith("io") for task in outcome.gate.tasks) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_readers_of_a_page_under_read_sleep_on_its_lock_until_the_io_ends(seed: int) -> None:
    def body(bench: Bench) -> None:
        on_medium(bench, 1, 2, 3, 4)
        values: list[object] = []
        tasks = [
            bench.spawn(
                lambda: values.append(filemap.do_generic_file_read(bench.inode.i_mapping, 0, 2)),
                name=f"reader{i}",
                cpu=i,
            )
            for i in range(2)
        ]
        for task in tasks:
            rt.join(task)
        assert values == [[1, 2], [1, 2]]

    run(body, seed=seed)


def test_the_lock_of_a_page_under_read_is_its_ios() -> None:
    """BUGGY: who asked for the read unlocks the page."""

    def body(bench: Bench) -> None:
        page = locked_page(bench)
        assert ext3.ext3_readpage(page) == 0
        filemap.unlock_page(page)

    assert run(body, ends="violation").detail["oracle"] == "lock-discipline"


def test_a_page_that_has_buffers_is_read_through_them() -> None:
    def body(bench: Bench) -> None:
        on_medium(bench, 1, 2, 3, 4)
        page = locked_page(bench)
        buffer.create_empty_buffers(page)
        ext3.ext3_readpage(page)
        filemap.wait_on_page_locked(page)
        assert page.words.values == [1, 2, 3, 4]
        swap.put_page(page, "lookup")

    assert run(body).marks["mpage: confused"] == 1


def test_a_page_whose_blocks_are_no_run_is_read_buffer_by_buffer() -> None:
    def backwards(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
        return ext3.ext3_get_block(inode, 7 - iblock, bh, create)

    def body(bench: Bench) -> None:
        words = bench.machine.words_per_buffer
        for number in range(2):
            for i in range(words):
                bench.device.block(bench.inode.i_data + 7 - number).words.write(i, 10 * number + i)
        page = locked_page(bench)
        assert mpage.mpage_readpage(page, backwards) == 0
        filemap.wait_on_page_locked(page)
        assert page.words.values == [0, 1, 10, 11]
        assert page.flags.peek(page_flags.PG_private)
        swap.put_page(page, "lookup")

    assert run(body).marks["mpage: confused"] == 1


@pytest.mark.parametrize(("size", "expected", "ios"), [(3, [1, 2, 3, 4], 1), (2, [1, 2, 0, 0], 1), (0, [0] * 4, 0)])
def test_blocks_beyond_the_end_of_the_file_are_zeroed(size: int, expected: list[int], ios: int) -> None:
    def body(bench: Bench) -> None:
        on_medium(bench, 1, 2, 3, 4)
        bench.inode.i_size = size
        page = locked_page(bench)
        for i in range(4):
            page.words.write(i, 99)
        assert ext3.ext3_readpage(page) == 0
        filemap.wait_on_page_locked(page)
        assert page.flags.peek(page_flags.PG_uptodate) and page.words.values == expected
        swap.put_page(page, "lookup")

    assert sum(task.name.startswith("io") for task in run(body).gate.tasks) == ios


def test_a_failed_read_leaves_the_page_in_error_and_unlocked() -> None:
    def body(bench: Bench) -> None:
        assert filemap.do_generic_file_read(bench.inode.i_mapping, 0, 2) == -Errno.EIO
        page = bench.page(0)
        flags = {flag for flag in ("PG_error", "PG_uptodate", "PG_locked") if flag in page.flags.names()}
        assert flags == {"PG_error"}

    assert run(body, errors=True, values=[1]).marks["mpage: read error"] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_buffers_come_with_the_first_write_and_keep_what_was_read(seed: int) -> None:
    def body(bench: Bench) -> None:
        on_medium(bench, 1, 2, 3, 4)
        assert filemap.do_generic_file_read(bench.inode.i_mapping, 0, 4) == [1, 2, 3, 4]
        bench.write(1, 9)
        page = bench.page(0)
        assert page.flags.peek(page_flags.PG_private) and page.words.values == [1, 2, 9, 9]
        assert bench.commit()
        assert bench.on_disk(1) == [9, 9]
        assert_at_rest(bench)

    run(body, seed=seed)


def test_a_write_to_a_page_under_read_waits_for_the_io_and_then_makes_buffers() -> None:
    def body(bench: Bench) -> None:
        on_medium(bench, 1, 2, 3, 4)
        page = locked_page(bench)
        ext3.ext3_readpage(page)
        swap.put_page(page, "lookup")
        bench.write(0, 9)
        assert page.words.values == [9, 9, 3, 4]

    for seed in SEEDS:
        run(body, seed=seed)
