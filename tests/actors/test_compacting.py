"""Actors compactor and hugepage alone on a stage of scattered memory: what they get, what they give back."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import compactor, hugepage
from mmrace.actors.stage import Stage
from mmrace.kernel.mm import mmzone, page_alloc, swap
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import MigrateType
from mmrace.scenarios import scattered
from tests.scenarios.staged import Played, assert_idle, cached, play

HUGE = 2
BLOCK = 1 << HUGE


def free_frames(stage: Stage) -> int:
    return len(mmzone.free_pages(stage.machine.zone))


def owners(stage: Stage) -> dict[int, list[int]]:
    """Return the numbers of used frames, by pageblock, without an op."""
    free = {page.pfn for page in mmzone.free_pages(stage.machine.zone)}
    used: dict[int, list[int]] = {}
    for page in stage.machine.pages:
        if page.pfn not in free:
            used.setdefault(page.pfn // BLOCK, []).append(page.pfn)
    return used


def events(played: Played) -> dict[str, int]:
    return dict(played.stage.machine.vm_events)


# -- the set-up ----------------------------------------------------------------------------------------------------


def test_scattered_memory_has_no_free_pageblock_and_the_pages_of_the_file_are_apart() -> None:
    played = play(lambda stage: None, huge=HUGE, pages=3)
    used = owners(played.stage)
    assert set(used) == set(range(len(played.stage.machine.pages) // BLOCK))
    blocks = [cached(played.stage, index).pfn // BLOCK for index in range(3)]
    assert len(set(blocks)) == 3
    assert [used[block] for block in blocks] == [[cached(played.stage, index).pfn] for index in range(3)]
    for index in range(3):
        assert_idle(played.stage, index)


def test_more_pages_than_pageblocks_share_them() -> None:
    played = play(lambda stage: None, huge=1, pages=8)
    assert len({cached(played.stage, index).pfn for index in range(8)}) == 8


@pytest.mark.parametrize("pinned", [0, 1, 2])
def test_pinned_pageblocks_have_a_frame_of_the_kernels_and_its_migrate_type(pinned: int) -> None:
    played = play(lambda stage: None, huge=HUGE, pages=3, pinned=pinned)
    used = owners(played.stage)
    for index in range(3):
        page = cached(played.stage, index)
        kind = rt.peek(played.stage.machine.zone.pageblocks[page.pfn // BLOCK], "migratetype")
        assert (kind == MigrateType.MIGRATE_UNMOVABLE) == (index < pinned)
        assert len(used[page.pfn // BLOCK]) == 1 + (index < pinned)


def test_the_frames_of_others_have_a_reference_of_theirs_to_the_end() -> None:
    played = play(lambda stage: None, huge=HUGE, pages=2)
    cached_pages = {page for page in played.stage.machine.pages if rt.peek(page, "mapping") is not None}
    kept = [page for page in played.stage.machine.pages if page.dead is None and page not in cached_pages]
    assert kept and all(page._count.value == 1 and not page.flags.value for page in kept)
    renamed = [new for _, old, new in played.notes("rename") if old == "new"]
    assert renamed.count(scattered.OTHERS) == len(kept)


@pytest.mark.parametrize(("frames", "had"), [(64, 64), (61, 64), (65, 68)])
def test_a_machine_has_so_many_frames_up_to_a_whole_pageblock(frames: int, had: int) -> None:
    assert len(play(lambda stage: None, huge=HUGE, frames=frames).stage.machine.pages) == had


def test_without_huge_pages_memory_is_as_it_was() -> None:
    played = play(lambda stage: None, huge=0, pages=2)
    assert not played.stage.machine.zone.pageblocks
    assert scattered.OTHERS not in {new for *_, new in played.notes("rename")}


# -- hugepage ------------------------------------------------------------------------------------------------------


def test_a_fault_gets_a_huge_page_by_compaction_and_gives_it_back() -> None:
    before: list[int] = []

    def body(stage: Stage) -> None:
        before.append(free_frames(stage))
        hugepage.hugepage(stage)
        swap.lru_add_drain_all(stage.machine)

    played = play(body, huge=HUGE, pages=3, faults=3, held=1)
    assert events(played)["THP_FAULT_ALLOC"] == 3 and "THP_FAULT_FALLBACK" not in events(played)
    assert events(played)["COMPACTSTALL"] >= 1
    assert free_frames(played.stage) == before[0]


def test_a_fault_falls_back_to_small_pages_where_nothing_can_be_moved() -> None:
    def body(stage: Stage) -> list[tuple[Page, int]]:
        taken = hugepage.fault(stage)
        pages = [page for page, _ in taken]
        hugepage.give_back(taken)
        assert all(page.dead is not None for page in pages)
        return taken

    played = play(body, huge=HUGE, pages=2, pinned=2)
    assert [order for _, order in played.value] == [0] * BLOCK
    assert events(played)["THP_FAULT_FALLBACK"] == 1


@pytest.mark.parametrize("held", [0, 1, 2])
def test_it_holds_so_many_between_faults(held: int) -> None:
    most: list[int] = []

    def body(stage: Stage) -> None:
        give_back = hugepage.give_back
        now: list[int] = [0]

        def counted(taken: hugepage.Taken) -> None:
            now[0] -= 1
            give_back(taken)

        fault = hugepage.fault

        def faults(stage: Stage) -> hugepage.Taken:
            taken = fault(stage)
            now[0] += 1
            most.append(now[0])
            return taken

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hugepage, "fault", faults)
            patch.setattr(hugepage, "give_back", counted)
            hugepage.hugepage(stage)
        assert now == [0]

    play(body, huge=HUGE, pages=2, faults=4, held=held)
    assert max(most) == held + 1


# -- compactor -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compacts", [compactor.COMPACT_MEMORY, compactor.DIRECT_ASYNC, compactor.DIRECT_SYNC])
def test_a_round_makes_room_for_a_huge_page(compacts: str) -> None:
    def body(stage: Stage) -> None:
        compactor.compactor(stage)
        assert not rt.current().pf
        page = page_alloc.alloc_pages(stage.machine, 0, HUGE)
        assert page is not None
        page_alloc.__free_pages(page, HUGE)

    played = play(body, huge=HUGE, pages=3, rounds=1, compacts=compacts)
    mode = "MIGRATE_ASYNC" if compacts == compactor.DIRECT_ASYNC else "MIGRATE_SYNC_LIGHT"
    assert {how for _, how in played.notes("migrate-begin")} == {mode}
    assert played.notes("round") == [("main", 0)]  # who plays it: two casts of it have a name each
    assert events(played).get("COMPACTSTALL", 0) == (compacts != compactor.COMPACT_MEMORY)
