"""The allocator on real runs: what a page must be like when it is freed and when it is allocated again."""

from __future__ import annotations

from mmrace.kernel.mm import filemap, mm, page_alloc, swap
from tests.kernel.mm.bench import Bench, assert_memory, run


def test_last_page_freed_is_the_next_one_allocated() -> None:
    def body(bench: Bench) -> None:
        first, second = (page_alloc.alloc_page(bench.machine) for _ in range(2))
        assert first is not None and second is not None
        page_alloc.__free_page(first)
        again = page_alloc.alloc_page(bench.machine)
        assert again is first and again.generation == 2
        swap.put_page(again, "new")
        swap.put_page(second, "new")
        assert_memory(bench)

    outcome = run(body)
    assert outcome.notes("page-free") == [("page:0",), ("page:0",), ("page:1",)]


def test_freeing_a_locked_page_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        filemap.lock_page(page)
        swap.put_page(page, "new")

    assert run(body, ends="violation").detail["rule"] == "free_pages_check: page is in use"


def test_double_free_is_caught() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        swap.put_page(page, "new")
        page_alloc.free_hot_cold_page(page)

    assert run(body, ends="violation").detail["oracle"] == "use-after-free"


def test_lock_of_a_free_page_is_legal_but_seen_when_it_is_allocated() -> None:
    """The flags of a free page may be touched at any time, but what is left there is a bug.

    A commit that marks a failed write can do it: it locks a page without a reference.
    """

    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        swap.put_page(page, "new")
        filemap.lock_page(page)
        page_alloc.alloc_page(bench.machine)

    assert run(body, ends="violation").detail["rule"] == "prep_new_page: a free page has flags"


def test_map_count_starts_at_minus_one_and_a_mapped_page_is_not_freed() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        assert (page._mapcount, mm.page_mapcount(page), mm.page_mapped(page)) == (-1, 0, False)
        page._mapcount = 0
        assert mm.page_mapcount(page) == 1 and mm.page_mapped(page)
        swap.put_page(page, "new")

    assert run(body, ends="violation").detail["rule"] == "free_pages_check: page is mapped"
