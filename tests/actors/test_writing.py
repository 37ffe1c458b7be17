"""Actors writer, writeback, fsync and committer, each alone on a stage: what they leave in memory and on disk."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, fsync, writeback, writer
from mmrace.actors.stage import Stage
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.mm import page_flags
from mmrace.kernel.mm.page_writeback import WB_SYNC_ALL, WB_SYNC_NONE, SyncMode
from mmrace.scenarios.build import sync
from tests.runtime.engines import random_walk
from tests.scenarios.staged import Played, assert_idle, blocks, cached, is_dirty, on_disk, play, ring, unwritten

MODES = [WB_SYNC_NONE, WB_SYNC_ALL]


def last_versions(played: Played) -> dict[int, int]:
    """Return the last version that was acknowledged for each block of the file."""
    last = dict.fromkeys(blocks(played.stage), 0)
    last.update({block: version for _, block, version in played.notes("write-end")})
    return last


def in_memory(stage: Stage, block: int) -> list[int]:
    """Return the words of a block as its page has them, without an op."""
    words = stage.machine.words_per_buffer
    index, place = divmod(block, stage.machine.buffers_per_page)
    return list(cached(stage, index).words.values[place * words : (place + 1) * words])


# -- writer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_writer_writes_its_rounds_times_burst_blocks_whole(seed: int) -> None:
    played = play(writer.writer, strategy=random_walk(seed), seed=seed, pages=2, rounds=3, burst=4)
    assert len(played.notes("write-end")) == 3 * 4
    assert [i for actor, i in played.notes("round") if actor == "writer"] == [0, 1, 2]
    for block, version in last_versions(played).items():
        assert in_memory(played.stage, block) == [version] * 2
    touched = {block // 2 for _, block, _ in played.notes("write-end")}
    for index in range(2):
        assert is_dirty(cached(played.stage, index)) == (index in touched)
        assert not cached(played.stage, index).flags.peek(page_flags.PG_locked)


@pytest.mark.parametrize("seed", range(5))
def test_after_a_sync_the_disk_holds_what_the_writer_wrote_last(seed: int) -> None:
    def body(stage: Stage) -> None:
        writer.writer(stage)
        sync(stage)

    played = play(body, strategy=random_walk(seed), seed=seed, pages=2, buffers=3, rounds=4, burst=3)
    for block, version in last_versions(played).items():
        assert on_disk(played.stage, block) == [version] * 2
    assert_idle(played.stage)


def test_nothing_of_a_write_reaches_the_disk_by_itself() -> None:
    stage = play(writer.writer, rounds=3).stage
    assert all(on_disk(stage, block) == unwritten(stage, block) for block in blocks(stage))


@pytest.mark.parametrize("seed", range(5))
def test_versions_grow_in_the_order_of_the_writes(seed: int) -> None:
    def body(stage: Stage) -> None:
        for number in range(2):
            rt.spawn(writer.writer, stage, name=f"writer{number}", cpu=number)

    played = play(body, strategy=random_walk(seed), seed=seed, rounds=4, burst=2)
    began, ended = (played.notes(kind) for kind in ("write-begin", "write-end"))
    assert began == ended and len(began) == 2 * 4 * 2
    assert all(one[2] < two[2] for one, two in pairwise(began))


def test_a_written_block_is_ordered_data_of_the_running_transaction() -> None:
    stage = play(lambda stage: writer.write_block(stage, 1)).stage
    assert [bh.b_state.peek(BufferState.BH_Dirty) for bh in ring(stage)] == [False, True]
    assert [bh.b_state.peek(BufferState.BH_JBD) for bh in ring(stage)] == [False, True]
    assert rt.peek(stage.journal, "j_running_transaction") is not None


# -- writeback and fsync -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_writeback_brings_dirty_pages_to_the_disk(mode: SyncMode) -> None:
    def body(stage: Stage) -> None:
        for block in blocks(stage):
            writer.write_block(stage, block)
        assert writeback.write_range(stage, mode, 0, stage.pages - 1) == 0

    stage = play(body, pages=2, buffers=3).stage
    assert [on_disk(stage, block) for block in blocks(stage)] == [[block + 1] * 2 for block in blocks(stage)]
    for index in range(2):
        assert not is_dirty(cached(stage, index))
        assert not any(bh.b_state.peek(BufferState.BH_Dirty) for bh in ring(stage, index))


@pytest.mark.parametrize("mode", MODES)
def test_writeback_writes_no_page_outside_its_range(mode: SyncMode) -> None:
    def body(stage: Stage) -> None:
        for block in blocks(stage):
            writer.write_block(stage, block)
        writeback.write_range(stage, mode, 1, 1)

    stage = play(body, pages=3).stage
    assert [is_dirty(cached(stage, index)) for index in range(3)] == [True, False, True]


@pytest.mark.parametrize("mode", MODES)
def test_writeback_of_a_clean_file_does_no_transfer(mode: SyncMode) -> None:
    played = play(lambda stage: writeback.write_range(stage, mode, 0, 0))
    assert played.value == 0 and not played.notes("writeback-begin")


def test_the_writeback_actor_writes_in_each_round() -> None:
    def body(stage: Stage) -> None:
        writer.write_block(stage, 0)
        writeback.writeback(stage)

    played = play(body, rounds=3)
    assert [i for actor, i in played.notes("round") if actor == "writeback"] == [0, 1, 2]
    assert on_disk(played.stage, 0) == [1, 1]
    assert len(played.notes("writeback-begin")) == len(played.notes("writeback-end")) == 1


@pytest.mark.parametrize("seed", range(5))
def test_when_fsync_returns_the_data_are_on_the_disk(seed: int) -> None:
    """No other task has to end first: it waits for the transfers itself."""

    def body(stage: Stage) -> list[list[int]]:
        for block in blocks(stage):
            writer.write_block(stage, block)
        fsync.fsync(stage)
        assert not any(cached(stage, index).flags.peek(page_flags.PG_writeback) for index in range(stage.pages))
        return [on_disk(stage, block) for block in blocks(stage)]

    played = play(body, strategy=random_walk(seed), pages=2, rounds=1)
    assert played.value == [[block + 1] * 2 for block in blocks(played.stage)]
    assert played.notes("round") == [("fsync", 0)]


# -- committer ---------------------------------------------------------------------------------------------------


def test_the_committer_commits_nothing_without_a_running_transaction() -> None:
    played = play(committer.committer, rounds=3)
    assert not played.notes("commit-begin")
    assert [i for _, i in played.notes("round")] == [0, 1, 2]
    assert play(committer.commit_running).value is False


def test_the_committer_commits_a_running_transaction_once() -> None:
    def body(stage: Stage) -> None:
        writer.write_block(stage, 0)
        committer.committer(stage)

    played = play(body, rounds=3)
    assert len(played.notes("commit-begin")) == len(played.notes("commit-end")) == 1
    assert rt.peek(played.stage.journal, "j_running_transaction") is None
    assert rt.peek(played.stage.journal, "j_committing_transaction") is None


@pytest.mark.parametrize("seed", range(5))
def test_ordered_data_are_on_the_disk_before_their_commit_ends(seed: int) -> None:
    def body(stage: Stage) -> list[list[int]]:
        for block in blocks(stage):
            writer.write_block(stage, block)
        assert committer.commit_running(stage)
        return [on_disk(stage, block) for block in blocks(stage)]

    played = play(body, strategy=random_walk(seed), buffers=4, wbuf=2)
    assert played.value == [[block + 1] * 2 for block in blocks(played.stage)]


def test_after_its_commit_a_buffer_is_no_longer_the_journal_s() -> None:
    def body(stage: Stage) -> None:
        writer.write_block(stage, 0)
        committer.commit_running(stage)

    stage = play(body).stage
    assert not any(bh.b_state.peek(BufferState.BH_JBD) for bh in ring(stage))
    assert not any(bh.b_count.value for bh in ring(stage))
    assert cached(stage)._count.value == 2


def test_each_write_after_a_commit_opens_the_next_transaction() -> None:
    def body(stage: Stage) -> list[bool]:
        done = []
        for _ in range(3):
            writer.write_block(stage, 0)
            done += [committer.commit_running(stage), committer.commit_running(stage)]
        return done

    played = play(body)
    assert played.value == [True, False] * 3
    tids = [tid for _, tid in played.notes("commit-end")]
    assert all(one < two for one, two in pairwise(tids)) and len(tids) == 3
