"""Readahead: a window of pages, one I/O over a run of blocks, and page locks that its builder holds meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import mpage
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace, FileRaState, Inode
from mmrace.kernel.mm import filemap, page_alloc, page_flags, readahead, swap
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.mm.bench import PLAIN, Bench, Outcome, assert_memory, get_block, run

SEEDS = range(10)
BLOCKS = 32  # sixteen pages


def readpages(mapping: AddressSpace, pages: list[tuple[int, Page]]) -> int:
    return mpage.mpage_readpages(mapping, pages, get_block)


READ_WHOLE = replace(PLAIN, readpage=lambda page: mpage.mpage_readpage(page, get_block), readpages=readpages)


def play(body: Any, **options: Any) -> Outcome:
    options = {"a_ops": READ_WHOLE, "blocks": BLOCKS, "nr_pages": 24, "pagevec_size": 1, **options}
    return run(body, **options)


def lay(bench: Bench) -> list[int]:
    """Put words on the medium; return those of the whole file."""
    words = bench.machine.words_per_buffer
    values = [100 + i for i in range(BLOCKS * words)]
    for i, value in enumerate(values):
        bench.disk.block(bench.inode.i_data + i // words).words.write(i % words, value)
    return values


def read_through(bench: Bench, ra: FileRaState | None, pages: int = BLOCKS // 2) -> list[int]:
    """Read pages from the file's begin on."""
    size = bench.machine.words_per_page
    found: list[int] = []
    for index in range(pages):
        values = filemap.do_generic_file_read(bench.mapping, index * size, size, ra)
        assert not isinstance(values, int)
        found += values
    return found


def reads(outcome: Outcome) -> list[int]:
    """Return the first block of each I/O, from the file's first block on."""
    first = outcome.bench.inode.i_data
    return [facts[1] - first for facts in outcome.notes("io-begin")]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sequential_reader_gets_the_files_words_and_windows_that_double(seed: int) -> None:
    def body(bench: Bench) -> None:
        expected = lay(bench)
        assert read_through(bench, FileRaState(8)) == expected
        rt.join_others()
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    outcome = play(body, seed=seed)
    # Of two, four, eight pages and the rest; a block's number is twice its page's.
    assert reads(outcome) == [0, 4, 12, 28]
    assert outcome.marks["readahead: marker met"] >= 2
    assert outcome.marks["mpage: pages read by one I/O"] == 4


def test_without_readahead_each_page_has_an_io_of_its_own() -> None:
    outcome = play(lambda bench: (lay(bench), read_through(bench, None)))
    assert reads(outcome) == list(range(0, BLOCKS, 2))
    assert not any(mark.startswith("readahead") for mark in outcome.marks)


def test_a_window_of_none_reads_one_page_at_a_time() -> None:
    outcome = play(lambda bench: read_through(bench, FileRaState(0)))
    assert reads(outcome) == list(range(0, BLOCKS, 2))


def test_a_file_system_without_readpages_reads_page_by_page() -> None:
    def body(bench: Bench) -> None:
        expected = lay(bench)
        assert read_through(bench, FileRaState(4)) == expected

    outcome = play(body, a_ops=PLAIN)
    assert len(reads(outcome)) == BLOCKS  # each buffer has an I/O of its own
    assert outcome.marks["readahead: first window"] == 1


def test_a_read_outside_any_sequence_reads_what_it_wants() -> None:
    def body(bench: Bench) -> None:
        expected = lay(bench)
        ra, size = FileRaState(8), bench.machine.words_per_page
        assert filemap.do_generic_file_read(bench.mapping, 9 * size, size, ra) == expected[9 * size : 10 * size]

    assert reads(play(body)) == [18]


def scattered(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
    """Map the pages of a file to a disk on which two and two of them follow each other."""
    return get_block(inode, iblock + 8 * (iblock // 4 % 2), bh, create)


def test_an_io_ends_where_the_blocks_do_not_follow_each_other() -> None:
    def elsewhere(mapping: AddressSpace, pages: list[tuple[int, Page]]) -> int:
        return mpage.mpage_readpages(mapping, pages, scattered)

    outcome = play(
        lambda bench: read_through(bench, FileRaState(16), 4), a_ops=replace(READ_WHOLE, readpages=elsewhere)
    )
    assert reads(outcome)[:2] == [0, 12]
    assert outcome.marks["mpage: run of blocks ends"] >= 1


def test_who_builds_an_io_holds_the_locks_of_its_pages_until_it_is_submitted() -> None:
    """And so may not wait for the lock of one of them: it would wait for itself."""
    held: list[int] = []

    def looking(mapping: AddressSpace, pages: list[tuple[int, Page]]) -> int:
        def counting(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
            me = rt.current()
            held.append(sum(page.flags.owners.get(page_flags.PG_locked) is me for _, page in pages))
            return get_block(inode, iblock, bh, create)

        ret = mpage.mpage_readpages(mapping, pages, counting)
        assert not any(page.flags.owners.get(page_flags.PG_locked) is rt.current() for _, page in pages)
        return ret

    play(lambda bench: read_through(bench, FileRaState(4), 4), a_ops=replace(READ_WHOLE, readpages=looking))
    assert max(held) == 4


def test_a_task_that_waits_for_a_page_of_its_own_unsubmitted_io_waits_for_itself() -> None:
    """BUGGY on purpose: what direct compaction would do here without the PF_MEMALLOC rule."""

    def foolish(mapping: AddressSpace, pages: list[tuple[int, Page]]) -> int:
        first = pages[0][1]

        def locking(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
            if iblock >= 2:
                filemap.lock_page(first)
            return get_block(inode, iblock, bh, create)

        return mpage.mpage_readpages(mapping, pages, locking)

    outcome = play(
        lambda bench: read_through(bench, FileRaState(4), 4),
        a_ops=replace(READ_WHOLE, readpages=foolish),
        ends="deadlock",
    )
    assert outcome.detail["kind"] == "cycle"
    assert outcome.detail["cycle"] == ["main"]


def test_pages_that_are_cached_are_left_alone_and_a_slot_that_somebody_fills_too() -> None:
    def body(bench: Bench) -> None:
        expected = lay(bench)
        size = bench.machine.words_per_page
        filemap.do_generic_file_read(bench.mapping, size, size)
        assert read_through(bench, FileRaState(4)) == expected

    outcome = play(body)
    assert outcome.marks["readahead: page cached already"] >= 1

    def taken(bench: Bench) -> None:
        expected = lay(bench)
        spare = page_alloc.alloc_page(bench.machine)
        assert spare is not None
        spare._count.rename("new", "lookup")
        filemap.do_generic_file_read(bench.mapping, 0, 4)
        readahead.read_pages(bench.mapping, [(0, spare)])
        assert read_through(bench, FileRaState(4)) == expected
        rt.join_others()
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    assert play(taken).marks["mpage: slot taken"] == 1


def test_a_window_ends_where_memory_does() -> None:
    def body(bench: Bench) -> None:
        lay(bench)
        read_through(bench, FileRaState(8), 3)

    assert play(body, nr_pages=3).marks["readahead: no page"] >= 1


def test_the_marker_is_the_bit_of_pages_to_be_reclaimed_and_means_nothing_under_writeback() -> None:
    def body(bench: Bench) -> None:
        assert page_flags.PG_readahead is page_flags.PG_reclaim
        page = bench.fill(0)
        page_flags.SetPageReadahead(page)
        page_flags.TestSetPageWriteback(page)
        readahead.page_cache_async_readahead(bench.mapping, FileRaState(4), page, 0, 1)
        assert page.flags.peek(page_flags.PG_reclaim)
        page_flags.TestClearPageWriteback(page)
        page_flags.ClearPageReadahead(page)

    assert play(body).marks["readahead: marker under writeback"] == 1


@pytest.mark.parametrize(
    ("wanted", "most", "size"), [(1, 4, 2), (1, 8, 2), (1, 32, 4), (1, 128, 4), (4, 8, 8), (3, 128, 16), (64, 64, 64)]
)
def test_the_first_window_has_the_kernels_size(wanted: int, most: int, size: int) -> None:
    assert readahead.get_init_ra_size(wanted, most) == size


@pytest.mark.parametrize("order", [0, 1])
def test_a_small_allocation_may_need_a_new_slab_between_two_pages_of_an_io(order: int) -> None:
    def body(bench: Bench) -> None:
        expected = lay(bench)
        assert read_through(bench, FileRaState(4)) == expected
        rt.join_others()
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    outcome = play(body, slabs=1, slab_order=order, max_order=2)
    assert outcome.marks["slub: new slab"] >= BLOCKS // 2


def test_where_no_slab_is_to_be_had_the_page_is_not_cached_and_the_reader_told() -> None:
    def body(bench: Bench) -> None:
        spare = [page_alloc.alloc_page(bench.machine) for _ in range(4)]
        found = filemap.do_generic_file_read(bench.mapping, 0, 4, FileRaState(4))
        assert isinstance(found, int) and found < 0
        for page in spare:
            assert page is not None
            page_alloc.__free_page(page)

    outcome = play(body, nr_pages=6, slabs=1, slab_order=1)
    assert outcome.marks["slub: smaller slab"] >= 1


def test_a_writer_who_gets_no_slab_gets_no_page() -> None:
    def body(bench: Bench) -> None:
        spare = page_alloc.alloc_page(bench.machine)
        assert filemap.find_or_create_page(bench.mapping, 0) is None
        assert spare is not None
        page_alloc.__free_page(spare)
        assert_memory(bench)

    play(body, nr_pages=2, slabs=1)
