"""Actor reader alone, and the stage that all actors share."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, migrator, reader, reclaimer, writer
from mmrace.actors.stage import PAGES, Stage
from mmrace.kernel.errno import Errno
from mmrace.kernel.mm import filemap, swap
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from tests.runtime.engines import random_walk
from tests.scenarios.staged import Played, assert_idle, cached, play, unwritten


def ops_of(played: Played, kind: Kind) -> int:
    """Count the ops of one kind."""
    return sum(op != NOTE and op & KIND_MASK == kind for _, op, _, _ in played.record.events)


# -- reader ------------------------------------------------------------------------------------------------------


def test_an_unwritten_block_reads_as_its_own_first_version() -> None:
    played = play(lambda stage: [reader.read_block(stage, block) for block in (0, 1)])
    first, second = unwritten(played.stage, 0), unwritten(played.stage, 1)
    assert played.value == [first, second] and first != second
    assert played.notes("read-begin") == [(1, 0), (1, 1)]
    assert played.notes("read-end") == [(1, 0, first), (1, 1, second)]


def test_a_read_shows_the_block_that_was_written() -> None:
    def body(stage: Stage) -> list[list[int] | None]:
        writer.write_block(stage, 2)
        return [reader.read_block(stage, block) for block in range(4)]

    played = play(body, pages=2)
    assert played.value == [[1, 1] if block == 2 else unwritten(played.stage, block) for block in range(4)]


@pytest.mark.parametrize("seed", range(3))
def test_the_reader_reads_its_rounds_times_reads_blocks(seed: int) -> None:
    played = play(reader.reader, strategy=random_walk(seed), pages=3, rounds=3, reads=4)
    assert len(played.notes("read-end")) == 3 * 4
    assert {block for _, block, _ in played.notes("read-end")} <= set(range(6))
    assert [i for _, i in played.notes("round")] == [0, 1, 2]
    for index in range(3):
        assert cached(played.stage, index)._count.value == 2


def test_reading_takes_no_page_lock_of_an_uptodate_page() -> None:
    def body(stage: Stage) -> list[int] | None:
        page = filemap.find_lock_page(stage.mapping, 0)
        assert page is not None
        kept: list[list[int] | None] = []
        rt.join(rt.spawn(lambda: kept.append(reader.read_block(stage, 0)), cpu=1))
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        return kept[0]

    played = play(body)
    assert played.value == unwritten(played.stage, 0)
    assert_idle(played.stage)


def test_a_page_that_was_reclaimed_is_read_from_the_disk_again() -> None:
    def body(stage: Stage) -> list[int] | None:
        writer.write_block(stage, 1)
        assert filemap.filemap_write_and_wait(stage.mapping) == 0
        committer.commit_running(stage)  # until then the journal keeps the buffers
        reclaimer.shrink_isolated(stage, migrator.isolate_index(stage, 0))
        assert rt.peek(stage.mapping.page_tree.slots[0], "page") is None
        return reader.read_block(stage, 1)

    assert play(body).value == [1, 1]


def test_a_failed_read_ends_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filemap, "do_generic_file_read", lambda *_: -Errno.EIO)
    played = play(lambda stage: reader.read_block(stage, 0))
    assert played.value is None
    assert played.notes("read-begin") and not played.notes("read-end")


# -- stage -------------------------------------------------------------------------------------------------------


def test_versions_are_unique_and_grow() -> None:
    stage = Stage({})
    drawn = [stage.next_version() for _ in range(100)]
    assert drawn == sorted(set(drawn)) and drawn[0] > 0


def test_a_value_is_that_of_the_run_and_an_undeclared_parameter_has_none() -> None:
    stage = Stage({"pages": 3, "mode": "MIGRATE_SYNC", "rounds": 4})
    assert (stage.value(PAGES), stage.value(migrator.MODE)) == (3, "MIGRATE_SYNC")
    assert (stage.pages, stage.rounds) == (3, 4)
    with pytest.raises(KeyError, match="reads"):
        stage.value(reader.READS)


def test_the_set_up_has_the_default_where_an_actor_is_not_cast() -> None:
    assert Stage({"reads": 7}).value_or_default(reader.READS) == 7
    assert Stage({}).value_or_default(reader.READS) == reader.READS.default


@pytest.mark.parametrize(("pages", "buffers", "choices"), [(1, 1, 0), (1, 2, 1), (2, 1, 1), (2, 2, 2)])
def test_a_block_is_chosen_only_where_there_is_a_choice(pages: int, buffers: int, choices: int) -> None:
    played = play(lambda stage: stage.any_block(), pages=pages, buffers=buffers)
    assert ops_of(played, Kind.CHOOSE) == choices


def test_every_block_can_be_chosen_and_no_other() -> None:
    played = play(lambda stage: {stage.any_block() for _ in range(300)}, strategy=random_walk(1), pages=3, buffers=2)
    assert played.value == set(range(6))  # one of six is missed by 300 draws with a chance below 1e-22


@pytest.mark.parametrize("idle", [0, 1, 50])
def test_a_pause_is_of_fewer_points_than_idle(idle: int) -> None:
    none = ops_of(play(lambda stage: None), Kind.YIELD)
    for seed in range(10):
        played = play(lambda stage: stage.pause(), strategy=random_walk(seed), idle=idle)
        assert ops_of(played, Kind.CHOOSE) == (idle > 0)
        assert 0 <= ops_of(played, Kind.YIELD) - none < max(1, idle)
