"""What `build` promises of a stage before its actors start, on the shapes that the parameters allow."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import committer, writer
from mmrace.actors.stage import Stage
from mmrace.kernel.fs import ext3
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.mm import mmzone
from mmrace.oracles.general.bench import judge_all
from mmrace.oracles.general.judgement import Verdict
from mmrace.oracles.protocol import PROTOCOL
from mmrace.scenarios.build import BUFFERS, SPARE_PAGES, WORDS, sync
from mmrace.scenarios.snapshot import snapshot
from tests.scenarios.staged import Played, assert_idle, blocks, cached, on_disk, play, ring, unwritten

SHAPES = [
    {},
    {"pages": 1, "buffers": 1, "words": 1},
    {"pages": 3, "buffers": 4, "words": 2, "pagevec": 14},
    {"pages": 8, "buffers": 8, "words": 8, "pagevec": 4},
    {"metadata": 1, "errors": 1, "irq": "any", "resched": 1},
]


@pytest.fixture(params=SHAPES, ids=str)
def built(request: pytest.FixtureRequest) -> Played:
    """Give a stage on which nothing was played, for each shape."""
    return play(lambda stage: None, **request.param)


def test_every_page_is_idle_clean_and_counted_by_cache_and_buffers(built: Played) -> None:
    stage = built.stage
    per_page = stage.machine.buffers_per_page
    for index in range(stage.pages):
        assert_idle(stage, index)
        assert set(cached(stage, index).flags.names()) == {"PG_uptodate", "PG_lru", "PG_private"}
        assert cached(stage, index).words.values == unwritten(stage, *range(index * per_page, (index + 1) * per_page))


def test_every_buffer_is_mapped_uptodate_and_unused(built: Played) -> None:
    stage = built.stage
    numbers = []
    for index in range(stage.pages):
        made = ring(stage, index)
        assert len(made) == stage.value(BUFFERS)
        for place, bh in enumerate(made):
            assert set(bh.b_state.names()) == {"BH_Uptodate", "BH_Mapped"}
            assert bh.b_count.value == 0
            assert rt.peek(bh, "b_data") == place * stage.value(WORDS)
            numbers.append(rt.peek(bh, "b_blocknr"))
    first = stage.inode.i_data
    assert numbers == [first + block for block in blocks(stage)]


def test_every_block_holds_a_version_of_its_own_on_disk(built: Played) -> None:
    stage = built.stage
    assert all(on_disk(stage, block) == unwritten(stage, block) for block in blocks(stage))
    assert len({unwritten(stage, block)[0] for block in blocks(stage)}) == len(list(blocks(stage)))


def test_nothing_is_dirty_held_or_under_way(built: Played) -> None:
    stage = built.stage
    zone = stage.machine.zone
    assert zone.vm_stat["NR_FILE_PAGES"] >= stage.pages
    assert {
        name: n for name, n in zone.vm_stat.items() if n and name in ("NR_FILE_DIRTY", "NR_WRITEBACK", "NR_ISOLATED")
    } == {}
    assert all(not rt.peek(cpu, "lru_add_inactive") for cpu in stage.machine.percpu)
    assert rt.peek(stage.journal, "j_running_transaction") is None
    assert all(task.done and not task.held for task in built.engine.tasks)


def test_every_page_is_on_one_list_of_the_lru(built: Played) -> None:
    stage = built.stage
    zone = stage.machine.zone
    listed = [*rt.peek(zone, "inactive_list"), *rt.peek(zone, "active_list")]
    assert all(listed.count(cached(stage, index)) == 1 for index in range(stage.pages))


def test_migrations_and_metadata_find_free_frames(built: Played) -> None:
    stage = built.stage
    assert len(mmzone.free_pages(stage.machine.zone)) >= SPARE_PAGES - 1


def test_every_reference_has_a_recorded_origin() -> None:
    """The refcount oracle replays the record from its first event, set-up included."""

    def with_snapshots(stage: Stage) -> None:
        for label in ("quiescent", "synced"):
            rt.note("snapshot", label)
            stage.final[label] = snapshot(stage)

    record = play(with_snapshots, pages=3, buffers=4, metadata=1).record
    judges = {name: PROTOCOL[name] for name in ("refcount", "slot", "dirty")}
    judged = {judgement.oracle: judgement for judgement in judge_all(record, judges)}
    assert {name: judgement.findings for name, judgement in judged.items() if judgement.findings} == {}
    assert judged["refcount"].verdict is Verdict.PASS


def test_set_up_is_a_function_of_the_parameters() -> None:
    one, two = (play(lambda stage: None, seed=seed, pages=2, buffers=4) for seed in (1, 2))
    assert list(one.record.plain()) == list(two.record.plain())


MODES = [mode.value for mode in ext3.DataMode]


@pytest.mark.parametrize("data", MODES)
@pytest.mark.parametrize("metadata", [0, 1])
def test_the_log_has_room_for_every_round_and_the_final_sync(metadata: int, data: str) -> None:
    rounds = 25

    def body(stage: Stage) -> None:
        for _ in range(rounds):
            writer.write_block(stage, 0)
            committer.commit_running(stage)
        sync(stage)

    played = play(body, rounds=rounds, metadata=metadata, data=data)
    assert on_disk(played.stage, 0) == [rounds] * 2


@pytest.mark.parametrize("data", MODES)
def test_sync_brings_every_block_to_the_disk_and_leaves_the_stage_as_built(data: str) -> None:
    def body(stage: Stage) -> None:
        for block in blocks(stage):
            writer.write_block(stage, block)
        sync(stage)

    stage = play(body, pages=2, buffers=4, data=data).stage
    assert [on_disk(stage, block) for block in blocks(stage)] == [[block + 1] * 2 for block in blocks(stage)]
    assert rt.peek(stage.journal, "j_running_transaction") is None
    for index in range(stage.pages):
        page = cached(stage, index)
        assert not {"PG_dirty", "PG_writeback", "PG_locked"} & set(page.flags.names())
        assert not any(bh.b_state.peek(BufferState.BH_Dirty) for bh in ring(stage, index))
    assert stage.machine.zone.vm_stat["NR_FILE_DIRTY"] == 0


@pytest.mark.parametrize(
    ("pages", "bare", "without"),
    [(1, 50, []), (1, 100, [0]), (2, 50, [1]), (4, 50, [1, 3]), (4, 0, []), (4, 100, [0, 1, 2, 3]), (4, 25, [3])],
)
def test_a_share_of_the_pages_has_no_buffers_as_after_a_read(pages: int, bare: int, without: list[int]) -> None:
    stage = play(lambda stage: None, pages=pages, bare=bare).stage
    assert [index for index in range(pages) if not ring(stage, index)] == without
    assert [cached(stage, index)._count.value for index in without] == [1] * len(without)


def test_a_bare_page_gets_its_buffers_with_its_first_write() -> None:
    def body(stage: Stage) -> None:
        writer.write_block(stage, 1)

    stage = play(body, bare=100).stage
    assert [set(bh.b_state.names()) >= {"BH_Mapped"} for bh in ring(stage)] == [False, True]
    assert cached(stage).words.values == [*unwritten(stage, 0), 1, 1]
