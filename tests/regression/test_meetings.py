"""The classic meetings on real threads: each is arranged by completions, so that it happens in every run and noise.

Each test is repeated: what the threads do around the meeting differs from run to run, what it must come to does not.
"""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, reader, reclaimer, writer
from mmrace.actors.stage import Stage
from mmrace.history.variant import Variant, applied
from mmrace.kernel.block import device
from mmrace.kernel.block.device import Bio
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.mm import migrate, page_flags, swap
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, MIGRATE_SYNC_LIGHT, MigrateMode
from mmrace.runtime import live
from mmrace.runtime.noise import PROFILES
from mmrace.scenarios.build import sync
from tests.scenarios.staged import Played, assert_idle, cached, on_disk, play, ring

TRIES = 3  # migrations while the buffer is busy

pytestmark = [pytest.mark.repeat(3), pytest.mark.parametrize("noise", PROFILES)]


def face(stage: Stage) -> tuple[object, ...]:
    """All that a migration which backed out must leave alone, without an op."""
    page, slot = cached(stage), stage.mapping.page_tree.slots[0]
    return (
        page, page.flags.value, page._count.value, rt.peek(page, "mapping"), rt.peek(page, "private"), slot.tags.value,
        tuple(page.words.values),
        tuple((bh, bh.b_state.value, bh.b_count.value, rt.peek(bh, "b_page")) for bh in ring(stage)),
    )  # fmt: skip


def outcomes(played: Played) -> list[tuple[str, str]]:
    return [(rc, reason) for *_, rc, reason in played.notes("migrate-end")]


def held_meanwhile(stage: Stage, bh: BufferHead, meanwhile: Any) -> None:
    """Do `meanwhile` while another task holds a buffer lock."""
    taken, over = rt.Completion(("taken", 0)), rt.Completion(("over", 0))

    def holder() -> None:
        buffer.get_bh(bh)
        buffer.lock_buffer(bh)
        taken.complete()
        over.wait()
        buffer.unlock_buffer(bh)
        buffer.put_bh(bh)

    task = rt.spawn(holder, name="holder", cpu=1)
    taken.wait()
    meanwhile()
    over.complete()
    rt.join(task)


def first_of(stage: Stage, block: int) -> int:
    """Return the version that a block of the file began with."""
    return stage.device.blocks.versions * (stage.inode.i_data + block + 1)


def migrate_async(stage: Stage) -> None:
    migrator.migrate_some(stage, migrator.isolate_index(stage, 0), MIGRATE_ASYNC)
    swap.lru_add_drain_all(stage.machine)


@pytest.mark.slow
@pytest.mark.parametrize("busy", [0, 1, 3])
def test_an_async_back_out_leaves_the_old_page_as_before(noise: str, busy: int) -> None:
    def body(stage: Stage) -> None:
        writer.write_block(stage, 1)
        swap.lru_add_drain_all(stage.machine)

        def meanwhile() -> None:
            before = face(stage)
            for _ in range(TRIES):
                migrate_async(stage)
                assert face(stage) == before

        held_meanwhile(stage, ring(stage)[busy], meanwhile)
        assert_idle(stage)
        migrate_async(stage)

    played = play(body, noise=noise, buffers=4, passes=1)
    assert outcomes(played) == [("-EAGAIN", "buffer-lock")] * TRIES + [("0", "moved")]
    assert played.engine.marks["async back-out"] == TRIES
    assert played.engine.marks.get("async back-out: middle of the ring", 0) == TRIES * busy
    first = [first_of(played.stage, block) for block in (0, 0, 2, 2, 3, 3)]
    assert cached(played.stage).words.values == [*first[:2], 1, 1, *first[2:]]


@pytest.mark.slow
def test_an_async_back_out_under_readers_loses_no_reference(noise: str) -> None:
    def body(stage: Stage) -> None:
        readers = [rt.spawn(reader.reader, stage, name=f"reader{i}", cpu=2 + i) for i in range(2)]

        def meanwhile() -> None:
            old = cached(stage)
            while not live.engine.marks.get("async back-out"):  # before it a reader's reference may be in the way
                migrate_async(stage)
            assert cached(stage) is old

        held_meanwhile(stage, ring(stage)[1], meanwhile)
        for task in readers:
            rt.join(task)
        swap.lru_add_drain_all(stage.machine)
        assert_idle(stage)

    played = play(body, noise=noise, rounds=20, passes=1)
    assert {reason for _, reason in outcomes(played)} <= {"buffer-lock", "refcount", "freeze"}
    reads = played.notes("read-end")
    assert reads and all(list(words) == [first_of(played.stage, block)] * 2 for *_, block, words in reads)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [MIGRATE_SYNC_LIGHT, MIGRATE_SYNC])
def test_a_sync_migration_waits_in_its_window_for_journal_io_and_the_data_survive(
    noise: str, mode: MigrateMode
) -> None:
    """Window W: the slot shows the new page, while the journal's transfer still reads the old one."""
    transfer = device._transfer
    shown: list[bool] = []

    def body(stage: Stage) -> None:
        writer.write_block(stage, 1)
        swap.lru_add_drain_all(stage.machine)
        old, slot = cached(stage), stage.mapping.page_tree.slots[0]
        submitted = rt.Completion(("submitted", 0))

        def transfer_in_window(rw: int, bio: Bio) -> None:
            if bio.bi_sector == stage.inode.i_data + 1 and not shown:
                submitted.complete()
                for _ in rt.until_changed():
                    if slot.page is not old:
                        break
                shown.append(bio.bi_io_vec[0].bv_page is old and rt.peek(old, "private") is not None)
            transfer(rw, bio)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device, "_transfer", transfer_in_window)
            task = rt.spawn(committer.commit_running, stage, name="committer", cpu=1)
            submitted.wait()
            migrator.migrate_some(stage, migrator.isolate_index(stage, 0), mode)
            rt.join(task)
        assert cached(stage) is not old
        assert on_disk(stage, 1) == [1, 1]
        sync(stage)

    played = play(body, noise=noise, passes=1)
    assert outcomes(played) == [("0", "moved")]
    assert shown == [True]  # the old page still owned its ring when its block went to the disk
    assert cached(played.stage).words.values == [first_of(played.stage, 0)] * 2 + [1, 1]
    assert on_disk(played.stage, 1) == [1, 1]
    assert_idle(played.stage)


@pytest.mark.slow
def test_a_reader_that_meets_a_frozen_page_reads_the_new_one(noise: str) -> None:
    lock_buffers = migrate.buffer_migrate_lock_buffers
    frozen: list[rt.Completion] = []

    def lock_under_a_reader(head: BufferHead, mode: MigrateMode) -> bool:
        """Lock the ring of a frozen page, but not before a lookup has met it."""
        frozen[0].complete()
        for _ in rt.until_changed():
            buffer_head.buffer_locked(head)
            if live.engine.marks.get("lookup: frozen page"):
                break
        return lock_buffers(head, mode)

    def body(stage: Stage) -> tuple[object, object]:
        writer.write_block(stage, 0)
        swap.lru_add_drain_all(stage.machine)
        frozen.append(rt.Completion(("frozen", 0)))
        seen: list[object] = []
        old = cached(stage)

        def read() -> None:
            frozen[0].wait()
            seen.append(reader.read_block(stage, 0))
            seen.append(cached(stage))

        task = rt.spawn(read, name="reader", cpu=1)
        migrate_async(stage)
        rt.join(task)
        swap.lru_add_drain_all(stage.machine)
        assert cached(stage) is not old
        return seen[0], seen[1] is old

    place = {"mm.migrate:buffer_migrate_lock_buffers": lock_under_a_reader}
    with applied(Variant("a slow freeze", "the same steps, with a lookup in between", place)):
        played = play(body, noise=noise, passes=1)
    assert played.value == ([1, 1], False)
    assert played.engine.marks["lookup: frozen page"] > 0
    assert outcomes(played) == [("0", "moved")]
    assert_idle(played.stage)


@pytest.mark.slow
def test_reclaim_and_migration_never_both_win_a_page(noise: str) -> None:
    def body(stage: Stage) -> None:
        writer.write_block(stage, 0)
        sync(stage)
        start = rt.Completion(("start", 0))

        def reclaim() -> None:
            start.wait()
            reclaimer.shrink_isolated(stage, migrator.isolate_index(stage, 0))

        def move() -> None:
            start.wait()
            migrator.migrate_some(stage, migrator.isolate_index(stage, 0), MIGRATE_ASYNC)

        tasks = [rt.spawn(move, name="migrator", cpu=1), rt.spawn(reclaim, name="reclaimer", cpu=2)]
        start.complete()
        for task in tasks:
            rt.join(task)
        assert reader.read_block(stage, 0) == [1, 1]
        swap.lru_add_drain_all(stage.machine)

    played = play(body, noise=noise, passes=1)
    lives: dict[str, list[str]] = {}
    for _, op, kind, facts in played.record.events:
        if op < 0 and kind == "page-alloc":
            lives[facts[0].name] = []
        elif op < 0 and kind == "migrate-end" and facts[4] == "moved":
            lives[facts[0].name].append("moved")
        elif op < 0 and kind == "reclaim" and facts[1] == "freed":
            lives[facts[0].name].append("freed")
        assert all(len(ends) <= 1 for ends in lives.values())
    page = cached(played.stage)  # read anew, without buffers, if reclaim won
    assert page._count.value == 1 + page.flags.peek(page_flags.PG_private)
    assert not page.flags.peek(page_flags.PG_locked) and page.flags.peek(page_flags.PG_lru)
