"""`struct page` and the allocator on real runs."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import filemap, page_alloc
from mmrace.kernel.mm import page as page_
from tests.kernel.mm.bench import Bench, assert_memory, run


def test_accessors_carry_the_names_of_the_kernel() -> None:
    assert page_.SetPageUptodate.__code__.co_name == "SetPageUptodate"
    assert page_.TestClearPageDirty.__code__ is not page_.TestClearPageReclaim.__code__
    assert buffer.test_clear_buffer_dirty.__name__ == "test_clear_buffer_dirty"


def test_last_page_freed_is_the_next_one_allocated() -> None:
    def body(bench: Bench) -> None:
        first, second = (page_alloc.alloc_page(bench.machine) for _ in range(2))
        assert first is not None and second is not None
        page_alloc.__free_page(first)
        again = page_alloc.alloc_page(bench.machine)
        assert again is first and again.generation == 2
        page_.put_page(again, "new")
        page_.put_page(second, "new")
        assert_memory(bench)

    outcome = run(body)
    assert outcome.notes("page-free") == [("page:0",), ("page:0",), ("page:1",)]


def test_freeing_a_locked_page_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        filemap.lock_page(page)
        page_.put_page(page, "new")

    assert run(body, ends="violation").detail["rule"] == "free_pages_check: page is in use"


def test_double_free_is_caught() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        page_.put_page(page, "new")
        page_alloc.free_hot_cold_page(page)

    assert run(body, ends="violation").detail["oracle"] == "use-after-free"


def test_lock_of_a_free_page_is_legal_but_seen_when_it_is_allocated() -> None:
    """R14 does this: the flags of a free page may be touched at any time, but what is left there is a bug."""

    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        page_.put_page(page, "new")
        filemap.lock_page(page)
        page_alloc.alloc_page(bench.machine)

    assert run(body, ends="violation").detail["rule"] == "prep_new_page: a free page has flags"


def test_private_data_of_a_page_without_any_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        page = page_alloc.alloc_page(bench.machine)
        assert page is not None
        assert not page_.page_has_buffers(page) and page_.page_is_file_cache(page)
        assert rt.peek(page, "private") is None
        page_.page_buffers(page)

    assert run(body, ends="violation").detail["rule"] == "page_buffers: page has no buffers"
