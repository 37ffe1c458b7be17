"""Reclaim and the LRU on real runs: isolation by mode, putback, and each fate of a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import filemap, mmzone, page_alloc, page_flags, page_writeback, swap, truncate, vmscan
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.vmscan import (
    ISOLATE_ACTIVE,
    ISOLATE_ASYNC_MIGRATE,
    ISOLATE_CLEAN,
    ISOLATE_INACTIVE,
    IsolateMode,
    ScanControl,
)
from mmrace.oracles.protocol import liveness
from mmrace.runtime.record import Record
from tests.kernel.mm.bench import NO_MIGRATEPAGE, Bench, Outcome, assert_idle, assert_memory, marked, run, until
from tests.oracles.verdicts import passed

DATA = [11, 12, 13, 14]
BOTH = ISOLATE_ACTIVE | ISOLATE_INACTIVE


def shrink(bench: Bench, **control: bool | int) -> int:
    return vmscan.shrink_inactive_list(bench.machine, 8, ScanControl(**control))  # type: ignore[arg-type]


def in_irq(fn: Callable[[Page], None], page: Page) -> None:
    rt.irq_enter(0)
    fn(page)
    rt.irq_exit()


def fates(outcome: Outcome) -> list[tuple[str, str]]:
    return [(fate, reason) for _, fate, reason in outcome.notes("reclaim")]


def test_clean_idle_page_is_reclaimed() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert shrink(bench) == 1
        assert bench.cached() is None and page.dead is not None
        assert_memory(bench)
        assert bench.read(0, 4) == DATA

    assert fates(run(body)) == [("freed", "clean")]


def test_locked_page_is_kept() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        assert shrink(bench) == 0
        filemap.unlock_page(page)
        assert_idle(bench)
        assert_memory(bench)

    assert fates(run(body)) == [("kept", "page-lock")]


def test_page_under_writeback_is_kept() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        page_writeback.set_page_writeback(page)
        filemap.unlock_page(page)
        assert shrink(bench) == 0
        filemap.end_page_writeback(page)
        assert_idle(bench)
        assert_memory(bench)

    assert fates(run(body)) == [("kept", "writeback")]


def test_referenced_page_with_another_user_is_kept() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert filemap.find_get_page(bench.mapping, 0) is page
        assert shrink(bench) == 0
        assert not page.flags.peek(page_flags.PG_private)  # stripped all the same
        swap.put_page(page, "lookup")
        assert_idle(bench)
        assert shrink(bench) == 1
        assert_memory(bench)

    outcome = run(body)
    assert fates(outcome) == [("kept", "refcount"), ("freed", "clean")]
    assert outcome.marks["reclaim: freeze lost"] == 1


def test_page_with_a_busy_buffer_is_activated() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[0]
        buffer.get_bh(bh, "jh")
        assert shrink(bench) == 0
        buffer.put_bh(bh, "jh")
        assert rt.peek(bench.zone, "active_list") == (page,)
        assert_idle(bench)
        assert_memory(bench)

    assert fates(run(body)) == [("kept", "releasepage")]


def test_dirty_page_is_left_to_the_flusher_and_rotated_when_written() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.fill(1, DATA)
        bench.dirty(0, DATA)
        assert vmscan.shrink_inactive_list(bench.machine, 1, ScanControl()) == 0
        assert page.flags.peek(page_flags.PG_reclaim)
        filemap.lock_page(page)
        page_writeback.clear_page_dirty_for_io(page)
        assert page.flags.peek(page_flags.PG_reclaim)  # it is for the end of this very write
        page_writeback.set_page_writeback(page)
        filemap.unlock_page(page)
        assert rt.peek(bench.zone, "inactive_list")[0] is page
        rt.spawn(in_irq, filemap.end_page_writeback, page, name="device", cpu=None)
        until(lambda: page._count.value == 3)
        swap.lru_add_drain_all(bench.machine)
        assert rt.peek(bench.zone, "inactive_list")[-1] is page
        assert_idle(bench)

    outcome = run(body)
    assert ("kept", "deferred") in fates(outcome)
    assert outcome.marks["rotate: page reclaimed after writeback"] == 1


@pytest.mark.parametrize("seed", range(10))
def test_kswapd_under_pressure_writes_a_dirty_page(seed: int) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.dirty(0, [1, 2, 3, 4])
        rt.current().pf |= mmzone.PF_KSWAPD
        shrink(bench, priority=0, may_writepage=True)
        until(lambda: not page.flags.peek(page_flags.PG_writeback))
        swap.lru_add_drain_all(bench.machine)
        assert bench.on_disk(0) + bench.on_disk(1) == [1, 2, 3, 4]
        if bench.cached() is not None:
            assert shrink(bench) == 1
        assert_memory(bench)

    assert run(body, seed=seed).marks["reclaim: paged out"] == 1


def test_orphan_of_truncation_is_freed() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[0]
        buffer.get_bh(bh, "jh")
        truncate.truncate_inode_pages(bench.mapping, 0)
        buffer.put_bh(bh, "jh")
        assert page.dead is None
        assert shrink(bench) == 1
        assert page.dead is not None
        assert_memory(bench)

    assert fates(run(body)) == [("freed", "orphan")]


def test_mlocked_page_goes_to_the_unevictable_list_and_back() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        page_flags.SetPageMlocked(page)
        assert shrink(bench) == 0
        assert rt.peek(bench.zone, "unevictable_list") == (page,) and page._count.value == 2
        assert bench.isolate(page) == -Errno.EINVAL
        assert vmscan.isolate_lru_page(page) == 0
        page_flags.TestClearPageMlocked(page)
        vmscan.putback_lru_page(page)
        swap.lru_add_drain_all(bench.machine)
        assert rt.peek(bench.zone, "inactive_list") == (page,)
        assert_idle(bench)
        assert_memory(bench)

    assert fates(run(body)) == [("kept", "unevictable")]


@pytest.mark.parametrize(
    ("mode", "dirty", "writeback", "clean"),
    [
        (BOTH, 0, 0, 0),
        (BOTH | ISOLATE_CLEAN, -Errno.EBUSY, -Errno.EBUSY, 0),
        (BOTH | ISOLATE_ASYNC_MIGRATE, -Errno.EBUSY, -Errno.EBUSY, 0),
        (ISOLATE_ACTIVE, -Errno.EINVAL, -Errno.EINVAL, -Errno.EINVAL),
    ],
)
def test_isolation_by_mode(mode: IsolateMode, dirty: int, writeback: int, clean: int) -> None:
    """On a mapping without ->migratepage."""

    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)

        def outcome() -> int:
            rc = bench.isolate(page, mode)
            if rc == 0:
                bench.zone.account("NR_ISOLATED", -1)
                vmscan.putback_lru_page(page)
                swap.lru_add_drain_all(bench.machine)
            return rc

        assert outcome() == clean
        page_writeback.__set_page_dirty_nobuffers(page)
        assert outcome() == dirty
        filemap.lock_page(page)
        page_writeback.clear_page_dirty_for_io(page)
        page_writeback.set_page_writeback(page)
        filemap.unlock_page(page)
        assert outcome() == writeback
        filemap.end_page_writeback(page)
        assert_memory(bench)

    run(body, a_ops=NO_MIGRATEPAGE)


def test_async_isolation_takes_a_dirty_page_that_can_be_migrated() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        page_writeback.__set_page_dirty_nobuffers(page)
        assert bench.isolate(page, BOTH | ISOLATE_ASYNC_MIGRATE) == 0

    run(body)


@pytest.mark.parametrize("seed", range(20))
def test_one_isolator_wins(seed: int) -> None:
    """PG_lru is cleared under lru_lock, by one of them."""

    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        won: list[int] = []

        def isolator(cpu: int) -> None:
            if bench.isolate(page) == 0:
                won.append(cpu)

        tasks = [rt.spawn(isolator, cpu, name=("isolator", cpu), cpu=cpu) for cpu in range(2)]
        for task in tasks:
            rt.join(task)
        assert len(won) == 1 and page._count.value == 3

    run(body, seed=seed)


def test_active_page_ages_and_can_lose_its_buffers() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        for _ in range(3):
            swap.mark_page_accessed(page)
        swap.lru_add_drain_all(bench.machine)
        assert rt.peek(bench.zone, "active_list") == (page,)
        vmscan.shrink_active_list(bench.machine, 4, ScanControl(buffer_heads_over_limit=True))
        assert rt.peek(bench.zone, "inactive_list") == (page,)
        assert not assert_idle(bench).flags.peek(page_flags.PG_private)
        assert_memory(bench)

    run(body)


def test_ageing_does_not_strip_a_locked_page_of_its_buffers() -> None:
    def body(bench: Bench) -> None:
        pages = [bench.fill(0, DATA), bench.fill(1, DATA)]
        for page in pages:
            swap.activate_page(page)
        swap.lru_add_drain_all(bench.machine)
        filemap.lock_page(pages[0])
        vmscan.shrink_active_list(bench.machine, 4, ScanControl(buffer_heads_over_limit=True))
        filemap.unlock_page(pages[0])
        assert [page.flags.peek(page_flags.PG_private) for page in pages] == [True, False]
        assert all(page in rt.peek(bench.zone, "inactive_list") for page in pages)
        assert_memory(bench)

    assert run(body).marks["strip: page lock busy"] == 1


def last_reference(bench: Bench, page: Page) -> None:
    """Leave the isolator alone with a page that was in the cache, as truncation does."""
    assert bench.page() is page
    truncate.truncate_inode_pages(bench.mapping, 0)
    assert page._count.value == 1


@pytest.mark.parametrize("active", [False, True])
def test_a_page_that_only_reclaim_still_holds_is_freed_where_it_is_put_back(active: bool) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert bench.isolate(page) == 0
        last_reference(bench, page)
        rt.spin_lock_irq(bench.zone.lru_lock)
        if active:
            freed = vmscan.move_active_pages_to_lru(bench.zone, [page], mmzone.LRU_INACTIVE_FILE)
        else:
            freed = vmscan.putback_inactive_pages(bench.zone, [page])
        assert freed == [page] and page._count.value == 0 and rt.peek(bench.zone, "inactive_list") == ()
        rt.spin_unlock_irq(bench.zone.lru_lock)
        page_alloc.free_hot_cold_page_list(freed)
        bench.zone.account("NR_ISOLATED", -1)
        assert_memory(bench)

    assert run(body).marks["putback: last reference"] == 1


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("active", [False, True])
def test_a_page_that_is_put_back_is_on_the_list_without_the_reclaimer_s_reference(active: bool, seed: int) -> None:
    """Whoever looks under lru_lock finds only the slot's reference and the buffers': the put is under that lock too."""

    def looker(bench: Bench, seen: list[int]) -> None:
        for _ in range(30):
            rt.spin_lock_irq(bench.zone.lru_lock)
            seen.extend(page._count.value for page in rt.peek(bench.zone, "inactive_list"))
            rt.spin_unlock_irq(bench.zone.lru_lock)

    def body(bench: Bench) -> None:
        page, seen = bench.fill(0, DATA), list[int]()
        filemap.lock_page(page)
        if active:
            swap.activate_page(page)
            swap.lru_add_drain_all(bench.machine)
        rt.spawn(looker, bench, seen, name="looker", cpu=1)
        for _ in range(1 if active else 6):
            if active:
                vmscan.shrink_active_list(bench.machine, 1, ScanControl())
            else:
                shrink(bench)
        rt.join_others()
        filemap.unlock_page(page)
        assert set(seen) == {2}

    run(body, seed=seed)


@pytest.mark.parametrize("order", [0, 9])
def test_direct_reclaim_for_a_large_order_waits_for_writeback_with_the_page_locked(order: int) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        page_writeback.set_page_writeback(page)
        filemap.unlock_page(page)

        def end_it() -> None:
            until(lambda: marked("reclaim: waited for writeback" if order else "reclaim: under writeback"))
            assert page.flags.peek(page_flags.PG_locked) == bool(order)
            in_irq(filemap.end_page_writeback, page)

        rt.spawn(end_it, name="device", cpu=None)
        assert shrink(bench, order=order) == bool(order)
        rt.join_others()
        assert_memory(bench)

    waited = [("freed", "clean")] if order else []
    assert fates(run(body)) == [("kept", "writeback"), *waited]


def test_a_page_that_no_waiting_frees_ends_the_wait_for_a_large_order() -> None:
    def body(bench: Bench) -> None:
        pages = [bench.fill(0, DATA), bench.fill(1, DATA)]
        filemap.lock_page(pages[0])
        page_writeback.set_page_writeback(pages[0])
        filemap.unlock_page(pages[0])
        filemap.lock_page(pages[1])
        assert shrink(bench, order=9) == 0
        filemap.unlock_page(pages[1])
        filemap.end_page_writeback(pages[0])
        assert_memory(bench)

    assert sorted(fates(run(body))) == [("kept", "page-lock"), ("kept", "writeback")]


def test_kswapd_never_waits_for_writeback() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        page_writeback.set_page_writeback(page)
        filemap.unlock_page(page)
        rt.current().pf |= mmzone.PF_KSWAPD
        assert shrink(bench, order=9, priority=0) == 0
        filemap.end_page_writeback(page)

    assert fates(run(body)) == [("kept", "writeback")]


@pytest.mark.parametrize("active", [False, True])
def test_reclaim_that_may_not_write_takes_clean_pages_only(active: bool) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.dirty(0, DATA)
        if active:
            swap.activate_page(page)
            swap.lru_add_drain_all(bench.machine)
            vmscan.shrink_active_list(bench.machine, 4, ScanControl(may_writepage=False))
            assert rt.peek(bench.zone, "active_list") == (page,)
        else:
            assert shrink(bench, may_writepage=False) == 0
        assert not page.flags.peek(page_flags.PG_reclaim)

    outcome = run(body)
    assert fates(outcome) == [] and outcome.marks["isolate: dirty"] == 1


def test_full_pagevec_flushes_itself() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, list(range(16)))
        lru = rt.peek(bench.zone, "inactive_list")
        assert len(lru) == 4 and all(page._count.value == 2 for page in lru)

    assert run(body, pagevec_size=2).marks["pagevec: full"] == 2


def test_page_whose_last_reference_goes_leaves_the_lru() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        truncate.truncate_inode_pages(bench.mapping, 0)
        assert rt.peek(bench.zone, "inactive_list") == ()
        assert_memory(bench)

    assert run(body).marks["put: last reference on the LRU"] == 1


def test_a_pagevec_that_has_one_page_in_each_place_is_no_busy_wait() -> None:
    """BUG once: false alarm of the liveness judge over readers that used one page again and again."""

    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        swap.lru_add_drain(bench.machine)
        for _ in range(mmzone.PAGEVEC_SIZE):
            swap.activate_page(page)
        assert page_flags.PageActive(page)

    outcome = run(body, pagevec_size=mmzone.PAGEVEC_SIZE)
    passed(liveness.judge(Record.of_run(outcome.gate, {}, {})))
