"""The faulter and the zapper alone, and among the others: everything holds, and R6 has its witness.

What is drawn has fixed seeds.
"""

from __future__ import annotations

from collections import Counter

import pytest

from mmrace.actors import faulter, reader, zapper
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.fs import fs
from mmrace.kernel.mm import filemap
from mmrace.runs.spec import RunSpec
from mmrace.runtime.kinds import COUNT, FREEZE, GET_UNLESS_ZERO, KIND_MASK, NOTE, PUT, SHIFT
from mmrace.runtime.record import Record
from mmrace.scenarios.build import map_file
from tests.actors.meetings import meetings
from tests.runtime.engines import random_walk
from tests.scenarios.staged import play, unwritten

MARKS = {
    "migrate-vs-fault": {
        "migration entry: page lock awaited", "migration entry: removed", "unmap: dirty pte", "zap: dirty pte",
        "zap: migration entry", "fault: came again",
    },
    "mapped-vs-writeback": {"mkclean: pte protected", "fault: write-protected", "writeback: pte was dirty"},
    "mapped-vs-reclaim": {"reclaim: used through a pte, kept", "reclaim: used through ptes, active", "reclaim: freed"},
    "mapped-vs-truncate": {"fault: beyond the end by now", "truncate: page lock busy"},
}  # fmt: skip
SEEDS = 12


def test_a_store_is_seen_by_read_and_by_another_mapping() -> None:
    def body(stage: Stage) -> list[list[int] | None]:
        map_file(stage)
        assert faulter.store_block(stage, 0, 1)
        return [reader.read_block(stage, 1), faulter.load_block(stage, stage.pages, 1), faulter.load_block(stage, 0, 0)]

    played = play(body, mappings=2, pages=2)
    assert played.value == [[1, 1], [1, 1], unwritten(played.stage, 0)]
    assert played.notes("store-end") == [(1, 1, 1)]
    assert played.notes("load-end") == [(1, 1, [1, 1]), (1, 0, unwritten(played.stage, 0))]


def test_a_store_that_was_synced_is_on_the_disk_and_the_next_one_after_another_sync() -> None:
    def body(stage: Stage) -> list[list[int]]:
        map_file(stage)
        shown = []
        for _ in range(2):
            faulter.store_block(stage, 0, 0)
            filemap.filemap_write_and_wait(stage.mapping)
            shown.append(list(stage.device.block(stage.inode.i_data).words.values))
        return shown

    assert play(body).value == [[1, 1], [2, 2]]


def test_a_block_beyond_the_end_of_the_file_is_told_as_failed() -> None:
    def body(stage: Stage) -> tuple[bool, list[int] | None]:
        map_file(stage)
        fs.i_size_write(stage.inode, 0)
        return faulter.store_block(stage, 0, 0), faulter.load_block(stage, 0, 0)

    played = play(body)
    assert played.value == (False, None)
    assert played.notes("store-failed") == [(1, 0, 1, "VM_FAULT_SIGBUS")]
    assert played.notes("load-failed") == [(1, 0, "VM_FAULT_SIGBUS")]


def test_mapping_again_takes_the_ptes_away_and_keeps_what_was_stored() -> None:
    def body(stage: Stage) -> list[int] | None:
        map_file(stage)
        faulter.store_block(stage, 0, 0)
        zapper.map_again(stage, 0)
        assert set(stage.mm.ptes.values) == {0}
        return faulter.load_block(stage, 0, 0)

    played = play(body, touched=1)
    assert played.value == [1, 1]
    assert [facts[0] for facts in played.notes("map")] == ["vma:main:0", "vma:main:1"]
    assert played.notes("unmap") == [("vma:main:0",)]


@pytest.mark.parametrize("stores", [0, 1, 2])
def test_the_faulter_accesses_its_rounds_times_accesses_blocks(stores: int) -> None:
    def body(stage: Stage) -> None:
        map_file(stage)
        faulter.faulter(stage)

    played = play(body, strategy=random_walk(1), pages=3, rounds=3, accesses=4, stores=stores, mappings=2)
    done = Counter({kind: len(played.notes(kind)) for kind in ("load-end", "store-end")})
    assert done.total() == 3 * 4
    assert bool(done["store-end"]) == (stores > 0) and bool(done["load-end"]) == (stores < 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKS)
def test_mapped_pages_meet_the_others_and_everything_holds(name: str) -> None:
    reached: set[str] = set()
    for result in meetings(name, SEEDS):
        reached |= result.marks.keys()
    assert reached >= MARKS[name]


def refused_for_a_waiter(record: Record) -> list[str]:
    """Return the pages whose migration failed while a fault that waited for one held its reference to them."""
    counts = record.lanes("Page", "_count")
    waiting: Counter[int] = Counter()
    met: dict[int, int] = {}  # migrating task -> lane of the count that it found too high for a waiter
    pages = []
    for task, op, a, b in record.events:
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            if a == "migrate-end" and met.pop(task, None) is not None and b[4] in ("refcount", "freeze"):
                pages.append(str(record.name(b[0])))
        elif lane in counts and a == "entry-wait":
            waiting[lane] += (kind == GET_UNLESS_ZERO and bool(b)) - (kind == PUT)
        elif lane in counts and kind in (COUNT, FREEZE) and waiting[lane]:
            met[task] = lane
    return pages


@pytest.mark.slow
def test_r6_a_fault_that_waits_for_a_migration_makes_the_retry_fail_and_the_page_moves_in_the_end() -> None:
    params = (("accesses", 6), ("idle", 0), ("passes", 6), ("touched", 1), ("without", "zapper,reader"))
    witnesses = 0
    for seed in range(40):
        result = run_one(RunSpec("migrate-vs-fault", params, engine="fiber", seed=seed), keep_record=True)
        assert result.record is not None and result.verdict == "PASS"
        witnesses += bool(refused_for_a_waiter(result.record))
    assert witnesses > 0
