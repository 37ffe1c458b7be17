"""Actor reclaimer alone on a stage: what each role frees, writes, leaves alone and puts back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.actors import migrator, reclaimer, writer
from mmrace.actors.stage import Stage
from mmrace.kernel.mm import mm, mmzone, page_flags, swap, vmscan
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.strategy import BaseStrategy
from tests.scenarios.staged import cached, is_dirty, on_disk, play, unwritten


def isolated(stage: Stage) -> int:
    """Return how many pages are isolated, without an op."""
    return stage.machine.zone.vm_stat["NR_ISOLATED"]


class Chosen(BaseStrategy):
    """Fair turns; every choice has one value."""

    def __init__(self, value: int) -> None:
        self.value = value

    def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
        """Return the next task by id."""
        return min((task for task in enabled if task.id > running.id), key=lambda task: task.id, default=enabled[0])

    def choose(self, task: rt.Task, n: int, step: int) -> int:
        """Return the value, or the greatest there is."""
        return min(self.value, n - 1)


@pytest.mark.parametrize("kswapd", [0, 1])
def test_reclaim_frees_clean_pages_buffers_and_all(kswapd: int) -> None:
    played = play(reclaimer.reclaimer, strategy=Chosen(kswapd), pages=2, rounds=1)
    assert [(fate, reason) for _, fate, reason in played.notes("reclaim")] == [("freed", "clean")] * 2
    assert [rt.peek(slot, "page") for slot in played.stage.mapping.page_tree.slots] == [None, None]
    assert isolated(played.stage) == 0


def write_and_reclaim(stage: Stage) -> None:
    writer.write_block(stage, 0)
    swap.lru_add_drain_all(stage.machine)
    page_flags.ClearPageReferenced(cached(stage))
    reclaimer.reclaimer(stage)


def test_kswapd_writes_a_dirty_page() -> None:
    played = play(write_and_reclaim, strategy=Chosen(1), rounds=1)
    assert len(played.notes("writeback-end")) == 1
    assert on_disk(played.stage, 0) == [1, 1]


def test_a_direct_reclaimer_leaves_a_dirty_page_to_the_flusher() -> None:
    played = play(write_and_reclaim, strategy=Chosen(0), rounds=1)
    assert [tuple(rest) for _, *rest in played.notes("reclaim")] == [("kept", "deferred")]
    assert on_disk(played.stage, 0) == unwritten(played.stage, 0)
    assert is_dirty(cached(played.stage)) and cached(played.stage).flags.peek(page_flags.PG_reclaim)


@pytest.mark.parametrize("kswapd", [True, False])
def test_a_role_is_a_task_s_flags_and_what_it_may_do(kswapd: bool) -> None:
    def body(stage: Stage) -> int:
        reclaimer.with_role(not kswapd)
        reclaimer.with_role(kswapd)
        return rt.current().pf

    assert play(body).value == (mmzone.PF_KSWAPD | mmzone.PF_MEMALLOC if kswapd else mmzone.PF_MEMALLOC)


def test_a_direct_reclaimer_may_write_unless_it_is_zone_reclaim() -> None:
    assert reclaimer.kswapd_control() == vmscan.ScanControl(priority=reclaimer.HIGH_PRESSURE)
    assert reclaimer.direct_control(9, False) == vmscan.ScanControl(order=9)
    assert reclaimer.direct_control(0, True) == vmscan.ScanControl(may_writepage=False, may_unmap=False)


def test_zone_reclaim_does_not_even_isolate_a_dirty_page() -> None:
    played = play(write_and_reclaim, strategy=Chosen(0), rounds=1, zone_reclaim=1)
    assert played.notes("reclaim") == [] and played.engine.marks["isolate: dirty"] == 1
    assert not cached(played.stage).flags.peek(page_flags.PG_reclaim)


def activate(stage: Stage) -> None:
    swap.activate_page(cached(stage))
    swap.lru_add_drain_all(stage.machine)


def hold(stage: Stage) -> None:
    mm.get_page(cached(stage), "test")


@pytest.mark.parametrize(("before", "fate"), [(activate, ("freed", "clean")), (hold, ("kept", "refcount"))])
def test_isolated_pages_are_reclaimed_or_put_back(before: Callable[[Stage], None], fate: tuple[str, str]) -> None:
    def body(stage: Stage) -> Page:
        page = cached(stage)
        before(stage)
        reclaimer.shrink_isolated(stage, migrator.isolate_index(stage, 0))
        if before is hold:
            swap.put_page(page, "test")
        return page

    played = play(body)
    assert [tuple(rest) for _, *rest in played.notes("reclaim")] == [fate]
    assert isinstance(played.value, Page)
    assert played.value.flags.peek(page_flags.PG_lru) == (fate[0] == "kept")
    assert played.value._count.value == (fate[0] == "kept")
    assert isolated(played.stage) == 0
