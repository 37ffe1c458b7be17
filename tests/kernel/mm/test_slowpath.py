"""The slow path: who finds no page makes room, as far as its mask and the place where it stands allow."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import compaction, filemap, mmzone, page_alloc, vmscan, vmscan_zone
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.mm.bench import Bench, marked, run, until

KERNEL, MOVABLE = gfp.GFP_KERNEL, gfp.GFP_HIGHUSER_MOVABLE
TIGHT: dict[str, Any] = {"max_order": 2, "nr_pages": 16, "min_free_pages": 1, "pagevec_size": 1}


def take_all(bench: Bench) -> list[Page]:
    """Take every frame that is free, the kept ones too, without freeing anything for it."""
    task = rt.current()
    task.pf |= mmzone.PF_MEMALLOC
    pages = []
    while (page := page_alloc.alloc_page(bench.machine, MOVABLE)) is not None:
        pages.append(page)
    task.pf &= ~mmzone.PF_MEMALLOC
    return pages


def idle_pages(bench: Bench, n: int) -> None:
    """Cache `n` clean pages of the file, as if nobody had used them for long."""
    for index in range(n):
        filemap.do_generic_file_read(bench.mapping, index * bench.machine.words_per_page, 1)
    for index in range(n):
        page = bench.page(index)
        page.flags.store(page.flags.load() & ~(1 << 2))  # PG_referenced


def test_an_allocation_reclaims_where_no_page_is_free() -> None:
    def body(bench: Bench) -> None:
        idle_pages(bench, 2)
        take_all(bench)
        page = page_alloc.alloc_page(bench.machine, KERNEL)
        assert page is not None and bench.machine.vm_events["ALLOCSTALL"] == 1
        assert bench.cached(0) is None or bench.cached(1) is None
        assert not rt.current().pf & mmzone.PF_MEMALLOC

    outcome = run(body, **TIGHT)
    assert outcome.marks["alloc: reclaim made room"] == 1
    assert ("ALLOCSTALL", 1) in outcome.notes("vm-event")


def test_an_allocation_that_holds_a_page_lock_reclaims_other_pages() -> None:
    def body(bench: Bench) -> None:
        idle_pages(bench, 3)
        mine = bench.page(0)
        filemap.lock_page(mine)
        take_all(bench)
        assert page_alloc.alloc_page(bench.machine, gfp.GFP_NOFS) is not None
        assert bench.cached(0) is mine and bench.cached(1) is bench.cached(2) is None
        filemap.unlock_page(mine)

    assert run(body, **TIGHT).marks["reclaim: page lock busy"] >= 1


def test_who_cannot_do_without_a_buffer_frees_memory_until_it_has_one() -> None:
    def body(bench: Bench) -> None:
        idle_pages(bench, 1)
        held = take_all(bench)
        rt.spawn(lambda: page_alloc.__free_page(held.pop()))
        bh = buffer.__getblk(bench.disk, 0)
        assert bh is not None and len(held) >= 12
        buffer.brelse(bh, "lookup")

    run(body, **TIGHT)


@pytest.mark.parametrize(
    ("mask", "memalloc"), [(gfp.GFP_ATOMIC, False), (KERNEL | gfp.__GFP_NOMEMALLOC, True)], ids=["atomic", "memalloc"]
)
def test_who_may_not_sleep_and_who_frees_memory_reclaims_nothing(mask: int, memalloc: bool) -> None:
    def body(bench: Bench) -> None:
        idle_pages(bench, 2)
        take_all(bench)
        if memalloc:
            rt.current().pf |= mmzone.PF_MEMALLOC
        assert page_alloc.alloc_page(bench.machine, mask) is None
        assert not bench.machine.vm_events and bench.cached(0) and bench.cached(1)

    assert run(body, **TIGHT).marks["alloc: no recursion"] >= 1


def test_who_frees_memory_may_take_what_is_kept_for_others() -> None:
    def body(bench: Bench) -> None:
        page_alloc.alloc_pages(bench.machine, MOVABLE, 2)
        while page_alloc.alloc_page(bench.machine, MOVABLE) is not None:
            pass
        assert bench.zone.nr_free_pages.value == 4
        rt.current().pf |= mmzone.PF_MEMALLOC
        assert page_alloc.alloc_page(bench.machine, MOVABLE) is not None

    assert run(body, **{**TIGHT, "min_free_pages": 4}).marks["alloc: without watermarks"] == 1


def test_an_atomic_allocation_takes_more_of_what_is_kept_than_an_ordinary_one() -> None:
    def body(bench: Bench) -> None:
        while page_alloc.alloc_page(bench.machine, MOVABLE) is not None:
            pass
        left = bench.zone.nr_free_pages.value
        while page_alloc.alloc_page(bench.machine, gfp.GFP_ATOMIC) is not None:
            pass
        # half of it for __GFP_HIGH, and of that a quarter more for who may not sleep
        assert (left, bench.zone.nr_free_pages.value) == (8, 3)

    run(body, **{**TIGHT, "min_free_pages": 8})


def test_an_allocation_that_can_free_nothing_fails() -> None:
    def body(bench: Bench) -> None:
        take_all(bench)
        assert page_alloc.alloc_page(bench.machine, KERNEL) is None

    marks = run(body, **TIGHT).marks
    assert marks["alloc: out of memory"] == 1 and marks["reclaim: nothing left to free"] == 1


def order_of(monkeypatch: pytest.MonkeyPatch, result: compaction.CompactResult, freed: int) -> list[str]:
    """Have the slow path say what it does, in order; nothing of it frees anything."""
    did: list[str] = []

    def compacts(zone: mmzone.Zone, order: int, gfp_mask: int, sync: bool) -> compaction.CompactResult:
        did.append("sync compaction" if sync else "async compaction")
        assert rt.current().pf & mmzone.PF_MEMALLOC
        return result

    def reclaims(zone: mmzone.Zone, order: int, gfp_mask: int) -> int:
        did.append("reclaim")
        assert rt.current().pf & mmzone.PF_MEMALLOC
        return freed

    monkeypatch.setattr(compaction, "try_to_compact_pages", compacts)
    monkeypatch.setattr(vmscan_zone, "try_to_free_pages", reclaims)
    return did


@pytest.mark.parametrize(
    ("mask", "order", "freed", "did"),
    [
        (gfp.GFP_TRANSHUGE, 2, 0, ["async compaction", "reclaim", "sync compaction"]),
        (gfp.GFP_TRANSHUGE, 2, 3, ["async compaction", "reclaim", "sync compaction"]),
        (MOVABLE, 2, 0, ["async compaction", "reclaim", "sync compaction"]),
        # the last compaction is left out: the one before it failed, and had waited
        (MOVABLE | gfp.__GFP_REPEAT, 2, 2, ["async compaction", "reclaim", "sync compaction", "reclaim"]),
        (MOVABLE, 1, 0, ["async compaction", "reclaim"]),
        (MOVABLE, 0, 0, ["reclaim"]),
        (gfp.GFP_ATOMIC, 2, 0, []),
    ],
)
def test_a_large_allocation_compacts_then_reclaims_then_compacts_and_waits(
    monkeypatch: pytest.MonkeyPatch, mask: int, order: int, freed: int, did: list[str]
) -> None:
    found = order_of(monkeypatch, compaction.COMPACT_COMPLETE, freed)

    def body(bench: Bench) -> None:
        take_all(bench)
        assert page_alloc.alloc_pages(bench.machine, mask, order) is None

    run(body, **TIGHT)
    assert found == did


def test_a_failed_compaction_defers_the_next_ones_only_if_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    found = order_of(monkeypatch, compaction.COMPACT_COMPLETE, 0)

    def body(bench: Bench) -> None:
        take_all(bench)
        for _ in range(3):
            page_alloc.alloc_pages(bench.machine, gfp.GFP_TRANSHUGE, 2)

    outcome = run(body, **TIGHT)
    # The second gives up at once, as it must not disturb; the third is the one that is let through again.
    assert found == ["async compaction", "reclaim", "sync compaction"] * 2
    assert outcome.marks["alloc: deferred, gave up"] == 1
    assert outcome.bench.machine.vm_events["COMPACTFAIL"] == 4


def test_a_compaction_that_was_skipped_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    order_of(monkeypatch, compaction.COMPACT_SKIPPED, 0)

    def body(bench: Bench) -> None:
        take_all(bench)
        page_alloc.alloc_pages(bench.machine, gfp.GFP_TRANSHUGE, 2)
        assert "COMPACTFAIL" not in bench.machine.vm_events and rt.peek(bench.zone, "compact_defer_shift") == 0

    run(body, **TIGHT)


def test_a_compaction_that_made_a_block_ends_the_deferral(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(bench: Bench) -> None:
        block = page_alloc.alloc_pages(bench.machine, MOVABLE, 2)
        take_all(bench)

        def compacts(zone: mmzone.Zone, order: int, gfp_mask: int, sync: bool) -> compaction.CompactResult:
            assert block is not None
            page_alloc.__free_pages(block, 2)
            return compaction.COMPACT_PARTIAL

        monkeypatch.setattr(compaction, "try_to_compact_pages", compacts)
        bench.zone.compact_defer_shift = 1
        assert page_alloc.alloc_pages(bench.machine, gfp.GFP_TRANSHUGE, 2) is None  # deferred
        assert page_alloc.alloc_pages(bench.machine, gfp.GFP_TRANSHUGE, 2) is block
        assert rt.peek(bench.zone, "compact_defer_shift") == 0

    outcome = run(body, **{**TIGHT, "min_free_pages": 0})
    assert outcome.marks["alloc: compaction made a block"] == 1
    assert outcome.notes("vm-event") == [("COMPACTSUCCESS", 1)]


def test_direct_reclaim_waits_while_more_pages_are_isolated_than_are_left() -> None:
    def body(bench: Bench) -> None:
        idle_pages(bench, 3)
        pages = [bench.page(index) for index in range(3)]
        for page in pages[:2]:
            assert bench.isolate(page) == 0
        freed: list[int] = []

        def reclaims() -> None:
            freed.append(vmscan.shrink_inactive_list(bench.machine, 1, vmscan.ScanControl()))

        rt.spawn(reclaims)
        until(lambda: marked("reclaim: too many isolated") or freed)
        assert not freed
        for page in pages[:2]:
            bench.zone.account("NR_ISOLATED", -1)
            vmscan.putback_lru_page(page)
        rt.join_others()
        assert freed == [1]

    assert run(body, stay=0.0, **TIGHT).marks["reclaim: too many isolated"] >= 1


@pytest.mark.parametrize(
    ("order", "free", "ready"), [(1, 16, False), (2, 16, True), (2, 4, False)], ids=["cheap", "room", "no room"]
)
def test_a_reclaim_for_a_costly_order_ends_where_there_is_room_to_compact(order: int, free: int, ready: bool) -> None:
    def body(bench: Bench) -> None:
        for _ in range(16 - free):
            page_alloc.alloc_page(bench.machine, MOVABLE)
        sc = vmscan.ScanControl(order=order, costly_order=mmzone.costly_order(bench.machine))
        assert vmscan_zone.compaction_ready(bench.zone, sc) == ready

    run(body, **{**TIGHT, "min_free_pages": 0})
