"""Free blocks: one is split as far as it must be, merged as far as it can be, and of the type that was asked for."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.mm import mmzone, page_alloc
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import MIGRATE_MOVABLE, MIGRATE_UNMOVABLE, MigrateType, Zone
from tests.kernel.mm.bench import Bench, run

MOVABLE = gfp.GFP_HIGHUSER_MOVABLE
BLOCKS: dict[str, Any] = {"max_order": 3, "nr_pages": 32}


def blocks(zone: Zone) -> dict[tuple[int, str], list[int]]:
    """Return the first frames of free blocks, by order and type, without an op."""
    found = {}
    for area in zone.free_area:
        for migratetype, free_list in enumerate(area.free_list):
            if pages := rt.peek(free_list, "pages"):
                found[free_list.order, MigrateType(migratetype).name] = sorted(page.pfn for page in pages)
    return found


def check(zone: Zone) -> None:
    """Assert that free blocks are aligned, apart, marked, counted, and merged with their buddies."""
    seen: set[int] = set()
    heads = {}
    for area in zone.free_area:
        lists = [(free_list, rt.peek(free_list, "pages")) for free_list in area.free_list]
        for free_list, pages in lists:
            for page in pages:
                order = free_list.order
                heads[page.pfn] = order
                frames = set(range(page.pfn, page.pfn + (1 << order)))
                assert page.pfn % (1 << order) == 0 and not frames & seen
                seen |= frames
                assert (
                    rt.peek(page, "_mapcount") == mmzone.PAGE_BUDDY_MAPCOUNT_VALUE and rt.peek(page, "order") == order
                )
                assert page.list_of is free_list
        assert rt.peek(area, "nr_free") == sum(len(pages) for _, pages in lists)
    assert len(seen) == zone.nr_free_pages.value == zone.vm_stat["NR_FREE_PAGES"]
    largest = len(zone.free_area) - 1
    assert not [pfn for pfn, order in heads.items() if order < largest and heads.get(pfn ^ (1 << order)) == order]
    marked = {page.pfn for page in zone.machine.pages if rt.peek(page, "_mapcount") != -1}
    assert marked == set(heads)


def alloc(bench: Bench, order: int, gfp_mask: int = MOVABLE) -> Page:
    page = page_alloc.alloc_pages(bench.machine, gfp_mask, order)
    assert page is not None
    return page


def test_all_frames_are_free_at_first_in_blocks_as_large_as_can_be() -> None:
    def body(bench: Bench) -> None:
        assert blocks(bench.zone) == {
            (3, "MIGRATE_MOVABLE"): [0, 8, 16],
            (1, "MIGRATE_MOVABLE"): [24],
            (0, "MIGRATE_MOVABLE"): [26],
        }
        check(bench.zone)

    run(body, max_order=3, nr_pages=27)


def test_a_block_is_split_in_halves_down_to_what_was_asked_for() -> None:
    def body(bench: Bench) -> None:
        page = alloc(bench, 0)
        assert page.pfn == 0 and page._count.value == 1
        assert blocks(bench.zone) == {
            (3, "MIGRATE_MOVABLE"): [8, 16, 24],
            (2, "MIGRATE_MOVABLE"): [4],
            (1, "MIGRATE_MOVABLE"): [2],
            (0, "MIGRATE_MOVABLE"): [1],
        }
        check(bench.zone)
        page_alloc.__free_page(page)
        assert blocks(bench.zone) == {(3, "MIGRATE_MOVABLE"): [0, 8, 16, 24]}
        check(bench.zone)

    run(body, **BLOCKS)


def test_a_large_block_is_one_reference_and_whole_when_it_is_freed() -> None:
    def body(bench: Bench) -> None:
        page = alloc(bench, 2)
        assert [each._count.value for each in bench.machine.pages[:4]] == [1, 0, 0, 0]
        assert all(each.dead is None for each in bench.machine.pages[:4])
        page_alloc.__free_pages(page, 2)
        assert all(each.dead is not None for each in bench.machine.pages[:4])
        check(bench.zone)

    outcome = run(body, **BLOCKS)
    freed = [("page:0",), ("page:1",), ("page:2",), ("page:3",)]
    assert outcome.notes("page-alloc") == outcome.notes("page-free") == freed


def test_freeing_a_block_with_another_order_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        page_alloc.__free_pages(alloc(bench, 1), 2)

    assert run(body, ends="violation", **BLOCKS).detail["rule"] == "__free_pages_ok: another order"


def test_no_block_is_given_out_twice_in_any_order_of_gets_and_puts() -> None:
    def body(bench: Bench) -> None:
        draw = random.Random(5)
        held: list[tuple[Page, int]] = []
        frames: set[int] = set()
        for _ in range(150):
            order = draw.randrange(4)
            mask = draw.choice((MOVABLE, gfp.GFP_KERNEL, gfp.GFP_KERNEL | gfp.__GFP_RECLAIMABLE))
            page = page_alloc.alloc_pages(bench.machine, mask, order) if draw.random() < 0.6 else None
            if page is not None:
                mine = set(range(page.pfn, page.pfn + (1 << order)))
                assert page.pfn % (1 << order) == 0 and not mine & frames
                frames |= mine
                held.append((page, order))
            elif held:
                page, order = held.pop(draw.randrange(len(held)))
                frames -= set(range(page.pfn, page.pfn + (1 << order)))
                page_alloc.__free_pages(page, order)
            check(bench.zone)
        for page, order in held:
            page_alloc.__free_pages(page, order)
        check(bench.zone)
        assert sum(len(pages) for (order, _), pages in blocks(bench.zone).items() if order == 3) == 4

    run(body, **BLOCKS)


def test_another_type_takes_the_largest_block_and_its_pageblock_with_it() -> None:
    def body(bench: Bench) -> None:
        movable = alloc(bench, 0)
        page = alloc(bench, 0, gfp.GFP_KERNEL)
        assert mmzone.get_pageblock_migratetype(movable) == MIGRATE_MOVABLE
        assert page.pfn >= 8 and mmzone.get_pageblock_migratetype(page) == MIGRATE_UNMOVABLE
        assert alloc(bench, 0, gfp.GFP_KERNEL).pfn // 8 == page.pfn // 8
        check(bench.zone)

    assert run(body, **BLOCKS).marks["alloc: took a pageblock over"] == 1


def test_a_small_block_of_another_type_leaves_the_pageblock_what_it_is() -> None:
    def body(bench: Bench) -> None:
        for _ in range(31):
            alloc(bench, 0)
        page = alloc(bench, 0, gfp.GFP_KERNEL)
        assert page.pfn == 31 and mmzone.get_pageblock_migratetype(page) == MIGRATE_MOVABLE
        assert page_alloc.alloc_page(bench.machine) is None

    run(body, max_order=3, nr_pages=32)


def test_compaction_splits_a_free_block_to_pages_with_a_reference_each() -> None:
    def body(bench: Bench) -> None:
        alloc(bench, 0)
        block = bench.machine.pages[4]
        rt.spin_lock_irqsave(bench.zone.lock)
        assert page_alloc.PageBuddy(block) and page_alloc.page_order(block) == 2
        assert page_alloc.split_free_page(block) == 4
        rt.spin_unlock_irqrestore(bench.zone.lock)
        check(bench.zone)
        pages = bench.machine.pages[4:8]
        assert [each._count.value for each in pages] == [1] * 4
        for each in pages:
            page_alloc.__free_page(each)
        check(bench.zone)

    run(body, **BLOCKS)


def test_compaction_leaves_a_free_block_alone_where_few_pages_are_free() -> None:
    def body(bench: Bench) -> None:
        alloc(bench, 3)
        rt.spin_lock_irqsave(bench.zone.lock)
        assert page_alloc.split_free_page(bench.machine.pages[8]) == 0
        rt.spin_unlock_irqrestore(bench.zone.lock)
        check(bench.zone)

    assert run(body, max_order=3, nr_pages=16, min_free_pages=4).marks["split: below the watermark"] == 1


@pytest.mark.parametrize(
    ("order", "mark", "ok"),
    [(0, 0, True), (0, 15, True), (0, 16, False), (3, 8, True), (3, 9, False), (4, 0, False)],
)
def test_a_watermark_asks_for_free_pages_and_for_large_blocks(order: int, mark: int, ok: bool) -> None:
    """All of 16 frames are free, in two blocks of 8."""

    def body(bench: Bench) -> None:
        assert page_alloc.zone_watermark_ok(bench.zone, order, mark) == ok

    run(body, max_order=3, nr_pages=16)


def test_an_allocation_leaves_what_the_watermark_keeps_for_others() -> None:
    def body(bench: Bench) -> None:
        taken = 0
        while page_alloc.alloc_page(bench.machine, MOVABLE) is not None:
            taken += 1
        assert taken == 16 - 4

    assert run(body, max_order=3, nr_pages=16, min_free_pages=4).marks["alloc: out of memory"] == 1
