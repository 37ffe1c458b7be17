"""Actor migrator alone on a stage: which pages it takes, what becomes of them, what is put back."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, reclaimer, writer
from mmrace.actors.stage import Stage
from mmrace.kernel.mm import filemap, migrate, mmzone, page_flags, swap
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, MIGRATE_SYNC_LIGHT, MigrateMode
from mmrace.kernel.mm.mm_types import Page
from tests.scenarios.staged import Played, assert_idle, cached, is_dirty, play, unwritten

MODES = list(MigrateMode)


def isolated(stage: Stage) -> int:
    """Return how many pages are isolated, without an op."""
    return stage.machine.zone.vm_stat["NR_ISOLATED"]


def outcomes(played: Played) -> list[tuple[str, str]]:
    return [(rc, reason) for *_, rc, reason in played.notes("migrate-end")]


def free_frames(stage: Stage) -> int:
    return len(mmzone.free_pages(stage.machine.zone))


@pytest.mark.parametrize("mode", MODES)
def test_the_migrator_moves_idle_pages_with_their_data(mode: MigrateMode) -> None:
    def body(stage: Stage) -> list[Page]:
        writer.write_block(stage, 1)
        old = [cached(stage, index) for index in range(2)]
        migrator.migrator(stage)
        swap.lru_add_drain_all(stage.machine)
        return old

    played = play(body, mode=mode.name, pages=2, migrations=1)
    assert outcomes(played) == [("0", "moved")] * 2
    assert isinstance(played.value, list)
    for index, old in enumerate(played.value):
        assert cached(played.stage, index) is not old
    assert cached(played.stage).words.values == [*unwritten(played.stage, 0), 1, 1]
    assert is_dirty(cached(played.stage)) and cached(played.stage)._count.value == 2
    assert_idle(played.stage, 1)
    assert isolated(played.stage) == 0


def test_the_migrator_plays_its_rounds_and_loses_no_frame() -> None:
    idle = play(lambda stage: None, pages=2, batch=1)
    played = play(migrator.migrator, pages=2, migrations=7, batch=1)
    assert [i for _, i in played.notes("round")] == list(range(7))
    assert outcomes(played) == [("0", "moved")] * 7
    in_pagevecs = sum(len(rt.peek(cpu, "lru_add_inactive")) for cpu in played.stage.machine.percpu)
    assert free_frames(played.stage) + in_pagevecs == free_frames(idle.stage)


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_a_batch_takes_no_more_than_it_may(batch: int) -> None:
    def body(stage: Stage) -> tuple[list[Page], int]:
        taken = migrator.isolate_some(stage, MIGRATE_SYNC, batch)
        count = isolated(stage)
        assert not any(page.flags.peek(page_flags.PG_lru) for page in taken)
        migrate.putback_lru_pages(list(taken))
        swap.lru_add_drain_all(stage.machine)
        return taken, count

    played = play(body, pages=3)
    assert isinstance(played.value, tuple)
    taken, count = played.value
    assert len(taken) == count == min(batch, 3)
    for index in range(3):
        assert_idle(played.stage, index)
    assert isolated(played.stage) == 0


@pytest.mark.parametrize("device", [0, 1])
def test_pages_of_the_block_device_are_taken_only_if_told(device: int) -> None:
    def body(stage: Stage) -> set[object]:
        writer.write_block(stage, 0)
        committer.commit_running(stage)
        swap.lru_add_drain_all(stage.machine)
        taken = migrator.isolate_some(stage, MIGRATE_SYNC, 32)
        found = {rt.peek(page, "mapping") for page in taken}
        migrate.putback_lru_pages(taken)
        return found

    played = play(body, device=device, metadata=1)
    assert isinstance(played.value, set)
    assert played.stage.mapping in played.value
    assert (len(played.value) > 1) == bool(device)


def test_async_leaves_pages_that_it_could_not_move_anyway_on_the_lru() -> None:
    """Compaction's filter: a dirty page of a mapping that has no ->migratepage, such as the block device's."""

    def body(stage: Stage) -> tuple[int, int]:
        for block in range(2):
            writer.write_block(stage, block)
        committer.commit_running(stage)
        swap.lru_add_drain_all(stage.machine)
        found = []
        for mode in (MIGRATE_ASYNC, MIGRATE_SYNC):
            taken = migrator.isolate_some(stage, mode, 32)
            found.append(sum(is_dirty(page) and rt.peek(page, "mapping") is not stage.mapping for page in taken))
            migrate.putback_lru_pages(taken)
            swap.lru_add_drain_all(stage.machine)
        return found[0], found[1]

    played = play(body, device=1, metadata=1)
    assert isinstance(played.value, tuple)
    assert played.value[0] == 0 < played.value[1]


def test_a_page_is_isolated_by_its_index_once() -> None:
    def body(stage: Stage) -> tuple[list[Page], list[Page]]:
        one = migrator.isolate_index(stage, 1)
        two = migrator.isolate_index(stage, 1)
        assert isolated(stage) == 1 and cached(stage, 1)._count.value == 3
        migrate.putback_lru_pages(list(one))
        swap.lru_add_drain_all(stage.machine)
        return one, two

    played = play(body, pages=2)
    assert played.value == ([cached(played.stage, 1)], [])
    assert_idle(played.stage, 1)


def drop(stage: Stage, index: int) -> None:
    """Take a clean page out of the page cache by reclaim."""
    pages = migrator.isolate_index(stage, index)
    reclaimer.shrink_isolated(stage, pages)
    assert rt.peek(stage.mapping.page_tree.slots[index], "page") is None


def test_an_index_without_a_page_gives_none() -> None:
    def body(stage: Stage) -> list[Page]:
        drop(stage, 0)
        return migrator.isolate_index(stage, 0)

    played = play(body)
    assert played.value == [] and isolated(played.stage) == 0


@pytest.mark.parametrize(
    ("mode", "direct", "memalloc"),
    [(MIGRATE_ASYNC, 1, True), (MIGRATE_SYNC_LIGHT, 1, True), (MIGRATE_SYNC_LIGHT, 0, False), (MIGRATE_SYNC, 1, False)],
)
def test_a_direct_compactor_has_pf_memalloc_for_as_long_as_it_migrates(
    monkeypatch: pytest.MonkeyPatch, mode: MigrateMode, direct: int, memalloc: bool
) -> None:
    seen = []
    original = migrate.migrate_pages

    def watched(*args: object) -> int:
        seen.append(bool(rt.current().pf & mmzone.PF_MEMALLOC))
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(migrate, "migrate_pages", watched)

    def body(stage: Stage) -> int:
        migrator.migrate_some(stage, migrator.isolate_some(stage, mode, 1), mode)
        return rt.current().pf

    assert play(body, direct=direct).value == 0
    assert seen == [memalloc]


def test_what_cannot_move_is_put_back_as_it_was() -> None:
    def body(stage: Stage) -> int:
        page = filemap.find_lock_page(stage.mapping, 0)
        assert page is not None
        rc = rt.spawn(migrator.migrator, stage, cpu=1)
        rt.join(rc)
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        swap.lru_add_drain_all(stage.machine)
        return isolated(stage)

    played = play(body, migrations=1, passes=2)
    assert outcomes(played) == [("-EAGAIN", "page-lock")] * 2
    assert played.value == 0
    assert_idle(played.stage)


def test_no_page_is_no_migration() -> None:
    played = play(lambda stage: migrator.migrate_some(stage, [], MIGRATE_ASYNC))
    assert played.value == 0 and not played.notes("migrate-begin")
