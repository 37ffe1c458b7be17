"""A program's private memory: its actors alone, with who moves its pages, and in the casts.

What is drawn has fixed seeds.
"""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import faulter, heap, migrator, unmapper
from mmrace.actors.stage import Stage
from mmrace.history.eras import ERAS
from mmrace.installed import run_one
from mmrace.kernel.mm import pgtable, rmap, swap
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import AnonVma, Page
from mmrace.runs.spec import RunSpec
from mmrace.scenarios.private import map_memory
from tests.actors.meetings import meetings
from tests.scenarios.staged import play

MARKS = {
    "anon-vs-migration": {
        "migrate: moved anonymous", "migrate: anonymous, unmapped meanwhile", "anon_vma: outlived its mapping",
        "mm: taken apart at exit", "zap: migration entry", "migration entry: page lock awaited",
    },
    "anon-vs-compaction": {"migrate: moved anonymous", "mm: taken apart at exit"},
}  # fmt: skip
SEEDS = 12


def shown(stage: Stage, index: int = 0) -> Page:
    """Return the page that the memory's pte maps, without an op."""
    return stage.machine.pages[pgtable.pte_pfn(stage.mm.ptes.values[stage.heap_start + index])]


def anon_vma_of(page: Page) -> AnonVma:
    made = rt.peek(page, "mapping")
    assert isinstance(made, AnonVma)
    return made


def test_memory_is_zeros_at_first_and_shows_what_was_stored_until_it_is_unmapped() -> None:
    def body(stage: Stage) -> list[list[int] | None]:
        map_memory(stage, 1)
        seen = [faulter.load_block(stage, 0, 1, heap.NAME)]
        faulter.store_block(stage, 0, 1, heap.NAME)
        seen.append(faulter.load_block(stage, 0, 1, heap.NAME))
        unmapper.unmap_and_map(stage)
        return [*seen, faulter.load_block(stage, 0, 1, heap.NAME)]

    played = play(body, heap=1)
    assert played.value == [[0, 0], [1, 1], [0, 0]]
    assert played.notes("store-end") == [("heap", 1, 1)]
    assert played.stage.machine.zone.vm_stat["NR_ANON_PAGES"] == 1


@pytest.mark.parametrize("mode", MigrateMode)
def test_every_mode_moves_a_dirty_anonymous_page_and_its_pte_lets_stores_through_as_before(mode: MigrateMode) -> None:
    def body(stage: Stage) -> tuple[Page, Page, list[int] | None]:
        map_memory(stage, 1)
        faulter.store_block(stage, 0, 0, heap.NAME)
        swap.lru_add_drain_all(stage.machine)
        old = shown(stage)
        anon_vma = anon_vma_of(old)
        assert migrator.migrate_some(stage, migrator.isolate_some(stage, mode, 1), mode) == 0
        new = shown(stage)
        assert anon_vma_of(new) is anon_vma and anon_vma.refcount.value == 1
        assert pgtable.pte_write(stage.mm.ptes.values[0]) and not pgtable.pte_dirty(stage.mm.ptes.values[0])
        swap.lru_add_drain_all(stage.machine)
        assert old.dead is not None and {"PG_swapbacked", "PG_dirty", "PG_uptodate"} <= set(new.flags.names())
        assert new in rt.peek(stage.machine.zone.anon, "active_list")  # type: ignore[arg-type]
        return old, new, faulter.load_block(stage, 0, 0, heap.NAME)

    old, new, words = play(body, heap=1).value
    assert old is not new and words == [1, 1]


def test_a_page_that_nothing_maps_any_more_gives_no_way_to_its_anon_vma() -> None:
    def body(stage: Stage) -> None:
        map_memory(stage, 1)
        page = shown(stage)
        page._count.get("lookup")
        anon_vma = anon_vma_of(page)
        unmapper.unmap_and_map(stage)
        assert anon_vma.dead is not None and anon_vma_of(page) is anon_vma
        assert rmap.page_get_anon_vma(page) is None and rmap.page_lock_anon_vma(page) is None
        swap.lru_add_drain_all(stage.machine)
        swap.put_page(page, "lookup")
        assert page.dead is not None and rt.peek(page, "mapping") is None

    play(body, heap=1, touched=1)


def test_an_anon_vma_that_is_held_outlives_its_mapping() -> None:
    def body(stage: Stage) -> None:
        map_memory(stage, 1)
        anon_vma = rmap.page_get_anon_vma(shown(stage))
        assert anon_vma is not None and anon_vma.refcount.value == 2
        unmapper.unmap_and_map(stage)
        assert anon_vma.dead is None and rt.peek(anon_vma, "head") == ()
        rmap.put_anon_vma(anon_vma, "migrate")
        assert anon_vma.dead is not None

    play(body, heap=1, touched=1)


def test_the_last_thread_takes_the_address_space_apart() -> None:
    def body(stage: Stage) -> None:
        map_memory(stage, 2)
        heap.leave(stage)
        assert stage.mm.ptes.values[0]
        heap.leave(stage)
        assert set(stage.mm.ptes.values) == {0} and rt.peek(stage.mm, "mmap") == ()

    played = play(body, heap=1, touched=1, exits=1)
    assert played.stage.machine.zone.vm_stat["NR_ANON_PAGES"] == 0


def test_who_waits_for_the_mutex_of_an_anon_vma_holds_a_reference_to_it() -> None:
    def body(stage: Stage) -> list[int]:
        map_memory(stage, 1)
        page = shown(stage)
        anon_vma = anon_vma_of(page)
        seen: list[int] = []

        def come() -> None:
            locked = rmap.page_lock_anon_vma(page)
            assert locked is anon_vma
            seen.append(anon_vma.refcount.value)
            rmap.page_unlock_anon_vma(anon_vma)

        rmap.anon_vma_lock(anon_vma)
        rt.spawn(come, name="come", cpu=1)
        while anon_vma.refcount.value == 1:
            rt.schedule()
        rmap.anon_vma_unlock(anon_vma)
        rt.join_others()
        return seen

    assert play(body, heap=1, touched=1).value == [1]


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKS)
def test_private_memory_meets_who_moves_its_pages_and_everything_holds(name: str) -> None:
    reached: set[str] = set()
    for result in meetings(name, SEEDS):
        reached |= result.marks.keys()
    assert reached >= MARKS[name]


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
def test_private_memory_is_moved_in_every_era(era: str) -> None:
    moved = 0
    for seed in range(SEEDS // 2):
        result = run_one(RunSpec("anon-vs-migration", (("idle", 10),), engine="fiber", era=era, seed=seed))
        assert (result.verdict, result.findings) == ("PASS", [])
        moved += result.marks.get("migrate: moved anonymous", 0)
    assert moved
