"""Compaction: where each scanner may go, what it takes and gives back, when it begins, ends and gives up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import compaction, filemap, migrate, mmzone, page_alloc, page_flags, swap
from mmrace.kernel.mm.compaction import CompactControl, CompactResult
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import MigrateType
from mmrace.scenarios import scattered
from tests.kernel.mm.bench import NO_MIGRATEPAGE, Bench, Outcome, assert_memory, run

ORDER, BLOCK, FRAMES = 2, 4, 32
ZONE: dict[str, Any] = {"max_order": ORDER, "nr_pages": FRAMES, "buffers_per_page": 1, "pagevec_size": 1}
WORDS = 2


def scatter(bench: Bench, pages: int, pinned: int = 0) -> list[Page]:
    """Fill pages of the file, each in the first frame of a pageblock of its own, and leave no pageblock free."""

    def fill(index: int) -> None:
        bench.fill(index)
        page_flags.ClearPageReferenced(bench.page(index))

    scattered.scatter(bench.machine, pages, fill, pinned)
    return [bench.page(index) for index in range(pages)]


def control(bench: Bench, sync: bool = True, order: int = ORDER) -> CompactControl:
    """A compaction whose scanners are at the ends of the zone."""
    cc = CompactControl(bench.zone, order, MigrateType.MIGRATE_MOVABLE, sync)
    cc.free_pfn = bench.zone.spanned_pages
    return cc


def events(outcome: Outcome) -> dict[str, int]:
    return dict(outcome.bench.machine.vm_events)


def on(body: Callable[[Bench], object], **options: Any) -> Outcome:
    return run(body, **{**ZONE, **options})


def direct(bench: Bench, sync: bool = True) -> CompactResult:
    return compaction.compact_zone_order(bench.zone, ORDER, gfp.GFP_TRANSHUGE, sync)


def settled(bench: Bench) -> None:
    """Nothing is isolated, and nothing lost but what others have for good."""
    swap.lru_add_drain_all(bench.machine)
    assert bench.zone.vm_stat["NR_ISOLATED"] == bench.zone.nr_isolated.value == 0
    free = mmzone.free_pages(bench.zone)
    cached = {rt.peek(slot, "page") for mapping in bench.machine.mappings for slot in mapping.page_tree.slots} - {None}
    others = sum(page not in free and page not in cached for page in bench.machine.pages)
    held = [page for page in bench.machine.pages if page.dead is None and page not in cached]
    assert others == len(held) and all(page._count.value == 1 for page in held)
    assert not any(page.flags.value for page in held)


# -- whole compactions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [False, True])
def test_a_compaction_makes_a_huge_page_out_of_scattered_frames(sync: bool) -> None:
    def body(bench: Bench) -> None:
        pages = scatter(bench, 4)
        assert page_alloc.alloc_pages(bench.machine, gfp.__GFP_MOVABLE, ORDER) is None
        assert direct(bench, sync) == CompactResult.COMPACT_PARTIAL
        settled(bench)
        assert bench.page(0) is not pages[0] and bench.page(0).pfn > pages[-1].pfn
        assert bench.read(0, WORDS) == [100, 101]
        huge = page_alloc.alloc_pages(bench.machine, gfp.__GFP_MOVABLE, ORDER)
        assert huge is not None and huge.pfn in (pages[0].pfn, pages[1].pfn)
        page_alloc.__free_pages(huge, ORDER)

    outcome = on(body)
    assert "compact: large block made" in outcome.marks and "compact: scanners met" not in outcome.marks
    # the watermark wants another block beside the one that is asked for
    assert events(outcome) == {"COMPACTBLOCKS": 2, "COMPACTPAGES": 2}


def test_compact_memory_goes_on_until_the_scanners_meet() -> None:
    def body(bench: Bench) -> None:
        pages = scatter(bench, 4)
        compaction.compact_memory(bench.machine)
        settled(bench)
        assert min(bench.page(index).pfn for index in range(4)) > pages[0].pfn
        assert [bench.read(index * WORDS, WORDS) for index in range(4)] == [[100, 101]] * 4

    outcome = on(body)
    assert "compact: scanners met" in outcome.marks
    assert events(outcome)["COMPACTPAGES"] == 4


def test_a_page_that_cannot_be_moved_is_put_back_and_counted_as_failed() -> None:
    def body(bench: Bench) -> None:
        (page,) = scatter(bench, 1)
        assert filemap.trylock_page(page)
        assert direct(bench, sync=False) == CompactResult.COMPACT_COMPLETE
        filemap.unlock_page(page)
        settled(bench)
        assert bench.page(0) is page and page.flags.peek(page_flags.PG_lru)

    outcome = on(body, migrate_passes=2)
    assert "compact: page put back" in outcome.marks
    assert events(outcome)["COMPACTPAGEFAILED"] == 1 and events(outcome)["COMPACTPAGES"] == 0


def test_each_try_takes_another_target_and_the_refused_ones_are_free_again() -> None:
    def body(bench: Bench) -> None:
        (page,) = scatter(bench, 1)
        before = len(mmzone.free_pages(bench.zone))
        assert filemap.trylock_page(page)
        direct(bench, sync=False)
        filemap.unlock_page(page)
        settled(bench)
        assert len(mmzone.free_pages(bench.zone)) == before

    outcome = on(body, migrate_passes=2)
    targets = [facts[1] for facts in outcome.notes("migrate-end")]
    assert len(set(targets)) == 2
    assert "compact: free frame given back" in outcome.marks


def test_what_refuses_for_good_counts_as_moved_as_it_does_in_the_kernel() -> None:
    def body(bench: Bench) -> None:
        (page,) = scatter(bench, 1)
        filemap.lock_page(page)
        for bh in bench.ring(0):
            buffer.mark_buffer_dirty(bh)
        filemap.unlock_page(page)
        direct(bench)

    outcome = on(body, a_ops=NO_MIGRATEPAGE)
    assert [facts[3:] for facts in outcome.notes("migrate-end")] == [("-EBUSY", "dirty")]
    assert events(outcome) == {"COMPACTBLOCKS": 7, "COMPACTPAGES": 1}


# -- the migrate scanner -------------------------------------------------------------------------------------------


def test_the_migrate_scanner_takes_the_pages_of_one_pageblock() -> None:
    def body(bench: Bench) -> None:
        first, second = scatter(bench, 2)
        cc = control(bench)
        while not cc.migratepages:
            assert compaction.isolate_migratepages(bench.zone, cc) == compaction.ISOLATE_SUCCESS
        assert cc.migratepages == [first] and cc.nr_migratepages == bench.zone.nr_isolated.value == 1
        assert cc.migrate_pfn == second.pfn
        migrate.putback_lru_pages(cc.migratepages)
        settled(bench)

    assert "compact: cluster full" not in on(body).marks


def test_the_migrate_scanner_does_not_go_past_the_free_scanner() -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 1)
        cc = control(bench)
        cc.free_pfn = BLOCK - 1
        assert compaction.isolate_migratepages(bench.zone, cc) == compaction.ISOLATE_NONE
        assert cc.migrate_pfn == BLOCK and not cc.migratepages
        assert compaction.compact_finished(bench.zone, cc) == CompactResult.COMPACT_COMPLETE

    on(body)


@pytest.mark.parametrize("sync", [False, True])
def test_an_asynchronous_compaction_passes_over_a_pageblock_that_is_not_movable(sync: bool) -> None:
    def body(bench: Bench) -> None:
        pinned, free = scatter(bench, 2, pinned=1)
        compaction.compact_memory(bench.machine) if sync else direct(bench, sync=False)
        assert (bench.page(0) is pinned) != sync
        assert bench.page(1) is not free
        settled(bench)

    assert ("compact: pageblock not movable" in on(body).marks) != sync


def test_the_scanner_takes_a_cluster_at_once_and_goes_on_within_the_pageblock() -> None:
    def body(bench: Bench) -> None:
        pages = scatter(bench, 5)
        first = [page for page in pages if page.pfn // BLOCK == pages[0].pfn // BLOCK]
        assert len(first) == 2
        cc = control(bench)
        cc.migrate_pfn = pages[0].pfn
        assert compaction.isolate_migratepages(bench.zone, cc) == compaction.ISOLATE_SUCCESS
        assert cc.migratepages == first[:1] and cc.migrate_pfn == first[0].pfn + 1
        migrate.putback_lru_pages(cc.migratepages)
        cc.nr_migratepages = 0
        assert compaction.isolate_migratepages(bench.zone, cc) == compaction.ISOLATE_SUCCESS
        assert cc.migratepages == first[1:]
        migrate.putback_lru_pages(cc.migratepages)
        settled(bench)

    marks = on(body, swap_cluster_max=1, nr_pages=16).marks
    assert "compact: cluster full" in marks and "compact: lru_lock dropped" in marks


@pytest.mark.parametrize("sync", [False, True])
def test_too_many_isolated_pages_end_an_asynchronous_compaction_and_make_a_synchronous_one_wait(sync: bool) -> None:
    def body(bench: Bench) -> None:
        pages = scatter(bench, 4)
        taken = pages[:3]
        for page in taken:
            assert bench.isolate(page) == 0

        def put_back() -> None:
            migrate.putback_lru_pages(taken)

        if sync:
            rt.spawn(put_back, cpu=1)
        assert direct(bench, sync) == CompactResult.COMPACT_PARTIAL
        if not sync:
            assert [bench.page(index) for index in range(4)] == pages
            put_back()
        rt.join_others()
        settled(bench)

    mark = "compact: too many isolated, waited" if sync else "compact: too many isolated, gave up"
    assert any(mark in on(body, seed=seed, stay=0.9).marks for seed in range(8))


# -- the free scanner ----------------------------------------------------------------------------------------------


def test_the_free_scanner_takes_from_the_end_and_no_more_pageblocks_than_it_needs() -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 2)
        cc = control(bench)
        cc.nr_migratepages = 1
        page = compaction.compaction_alloc(bench.page(0), cc)
        assert page is not None and page.pfn // BLOCK == FRAMES // BLOCK - 1
        assert page._count.value == 1 and cc.free_pfn == FRAMES - BLOCK
        assert cc.nr_freepages == len(cc.freepages) == BLOCK - 2
        page_alloc.__free_page(page)
        assert compaction.release_freepages(cc.freepages) == BLOCK - 2
        settled(bench)

    on(body)


@pytest.mark.parametrize("migratetype", [MigrateType.MIGRATE_UNMOVABLE, MigrateType.MIGRATE_RESERVE])
def test_the_free_scanner_passes_over_pageblocks_that_are_for_others(migratetype: MigrateType) -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 2)
        mmzone.set_pageblock_migratetype(bench.machine.pages[FRAMES - BLOCK], migratetype)
        cc = control(bench)
        cc.nr_migratepages = 1
        page = compaction.compaction_alloc(bench.page(0), cc)
        assert page is not None and page.pfn // BLOCK == FRAMES // BLOCK - 2
        page_alloc.__free_page(page)
        compaction.release_freepages(cc.freepages)

    assert "compact: block not suitable" in on(body).marks


def test_a_pageblock_that_is_free_as_a_whole_is_suitable_whatever_it_was_for() -> None:
    def body(bench: Bench) -> None:
        page = bench.machine.pages[FRAMES - BLOCK]
        mmzone.set_pageblock_migratetype(page, MigrateType.MIGRATE_UNMOVABLE)
        assert compaction.suitable_migration_target(page)
        for never in (MigrateType.MIGRATE_ISOLATE, MigrateType.MIGRATE_RESERVE):
            mmzone.set_pageblock_migratetype(page, never)
            assert not compaction.suitable_migration_target(page)

    on(body)


def test_no_target_is_taken_from_beside_the_pageblock_that_is_emptied() -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 2)
        cc = control(bench)
        cc.nr_migratepages = FRAMES
        cc.migrate_pfn = FRAMES - 3 * BLOCK
        taken = []
        while (page := compaction.compaction_alloc(bench.page(0), cc)) is not None:
            taken.append(page)
        assert taken and min(page.pfn for page in taken) >= FRAMES - BLOCK
        for page in taken:
            page_alloc.__free_page(page)

    assert "compact: no target" in on(body).marks


# -- when to begin and when to end ---------------------------------------------------------------------------------


def test_compaction_is_skipped_where_it_could_not_help() -> None:
    def short(bench: Bench) -> None:
        while len(mmzone.free_pages(bench.zone)) > 2 * BLOCK - 1:
            assert page_alloc.alloc_page(bench.machine) is not None
        assert compaction.compaction_suitable(bench.zone, ORDER) == CompactResult.COMPACT_SKIPPED

    assert "compact: not enough free memory" in on(short).marks

    def there(bench: Bench) -> None:
        assert compaction.compaction_suitable(bench.zone, ORDER) == CompactResult.COMPACT_PARTIAL
        assert direct(bench) == CompactResult.COMPACT_PARTIAL
        assert compaction.compaction_suitable(bench.zone, compaction.WHOLE_ZONE) == CompactResult.COMPACT_CONTINUE

    assert "compact: nothing to do" in on(there).marks


@pytest.mark.parametrize(
    ("free", "order", "index"),
    [
        ([], 2, 0),
        ([8, 0, 0], 2, 625),
        ([0, 4, 0], 2, 250),
        ([4, 4, 0], 2, 500),
        ([1, 0, 1], 2, -1000),
        ([32, 0, 0], 2, 719),
    ],
)
def test_the_fragmentation_index_tells_scattered_memory_from_short_memory(
    free: list[int], order: int, index: int
) -> None:
    def body(bench: Bench) -> None:
        for area in bench.zone.free_area:
            area.nr_free = 0
        for area, blocks in zip(bench.zone.free_area, free, strict=False):
            area.nr_free = blocks
        assert compaction.fragmentation_index(bench.zone, order) == index

    on(body)


@pytest.mark.parametrize("mask", [gfp.GFP_NOFS, gfp.GFP_NOIO, gfp.GFP_ATOMIC])
def test_no_compaction_from_within_a_file_system_or_an_io(mask: int) -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 1)
        result = compaction.try_to_compact_pages(bench.zone, ORDER, mask, True)
        assert result == CompactResult.COMPACT_SKIPPED
        assert compaction.try_to_compact_pages(bench.zone, 0, gfp.GFP_KERNEL, True) == CompactResult.COMPACT_SKIPPED

    assert events(on(body)) == {}


def test_an_entry_into_direct_compaction_is_a_stall() -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 1)
        compaction.try_to_compact_pages(bench.zone, ORDER, gfp.GFP_TRANSHUGE, False)

    assert events(on(body))["COMPACTSTALL"] == 1


# -- deferral ------------------------------------------------------------------------------------------------------


def test_each_failure_doubles_how_long_allocations_do_without() -> None:
    def body(bench: Bench) -> None:
        zone = bench.zone
        assert not any(compaction.compaction_deferred(zone) for _ in range(5))
        for shift in (1, 2, 3):
            compaction.defer_compaction(zone)
            skipped = 0
            while compaction.compaction_deferred(zone):
                skipped += 1
            assert skipped == (1 << shift) - 1
        for _ in range(10):
            compaction.defer_compaction(zone)
        assert rt.peek(zone, "compact_defer_shift") == compaction.COMPACT_MAX_DEFER_SHIFT
        compaction.compaction_defer_reset(zone)
        assert not compaction.compaction_deferred(zone)

    assert "compact: deferred" in on(body).marks


# -- modes ---------------------------------------------------------------------------------------------------------


def test_a_compaction_that_may_wait_migrates_with_sync_light_and_one_that_may_not_with_async() -> None:
    modes = []
    for sync in (False, True):

        def body(bench: Bench, sync: bool = sync) -> None:
            scatter(bench, 1)
            direct(bench, sync)

        modes += [facts[1] for facts in on(body).notes("migrate-begin")]
    assert modes == ["MIGRATE_ASYNC", "MIGRATE_SYNC_LIGHT"]


def test_a_page_that_two_compactors_see_is_isolated_by_one() -> None:
    def body(bench: Bench) -> None:
        scatter(bench, 3)
        rt.spawn(compaction.compact_memory, bench.machine, cpu=0)
        rt.spawn(compaction.compact_memory, bench.machine, cpu=1)
        rt.join_others()
        settled(bench)

    for seed in range(10):
        on(body, seed=seed, stay=0.6)


def test_a_compaction_of_a_zone_without_pageblocks_finds_no_target() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        compaction.compact_memory(bench.machine)
        swap.lru_add_drain_all(bench.machine)
        assert bench.page(0) is page

    outcome = run(body)
    assert_memory(outcome.bench)
    assert events(outcome)["COMPACTPAGES"] == 0 and "compact: no target" in outcome.marks
