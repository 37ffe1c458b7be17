"""Snapshots: plain data, complete, and no op of their own."""

from __future__ import annotations

import json
from typing import Any

from mmrace import runtime as rt
from mmrace.actors import faulter, writer
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import filemap, mmzone, swap
from mmrace.runtime import live
from mmrace.scenarios.build import map_file
from mmrace.scenarios.snapshot import snapshot
from tests.scenarios.staged import cached, gate_spec, play, ring, unwritten

KEYS = {
    "pages": {
        "name",
        "pfn",
        "generation",
        "free",
        "flags",
        "count",
        "mapcount",
        "mapping",
        "index",
        "private",
        "words",
    },
    "mappings": {"name", "ino", "slots", "nrpages", "i_mmap"},
    "buffers": {"name", "page", "block", "index", "state", "count", "jh", "next"},
    "journals": {"name", "running", "committing", "lists"},
}
OF_MAPPINGS = {
    "mapped": {"name", "mapping", "start", "end", "pgoff"},
    "ptes": {"address", "page", "bits"},
}
PARTS = {
    *KEYS,
    *OF_MAPPINGS,
    "bh_lrus",
    "copies",
    "disk",
    "counters",
    "free_list",
    "heads",
    "lru",
    "pagevecs",
    "locks_held",
}


def taken(body: Any = None, pages: int = 1, pagevec: int = 1) -> tuple[Stage, dict[str, Any]]:
    """Play `body` on a stage, take a snapshot, and let `body` clean up if it is a generator."""

    def main(stage: Stage) -> dict[str, Any]:
        steps = body(stage) if body is not None else iter(())
        next(steps, None)
        shot = snapshot(stage)
        for _ in steps:
            pass
        return shot

    played = play(main, pages=pages, pagevec=pagevec)
    assert isinstance(played.value, dict)
    return played.stage, played.value


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rows}


def test_snapshot_is_json_and_survives_it() -> None:
    _, shot = taken(pages=2)
    assert json.loads(json.dumps(shot)) == shot


def test_snapshot_has_every_part_and_every_row_every_key() -> None:
    _, shot = taken()
    assert set(shot) == PARTS
    for part, keys in KEYS.items():
        assert shot[part], part
        assert all(set(row) == keys for row in shot[part]), part


def test_snapshot_has_what_is_mapped_and_every_pte_that_is_not_none() -> None:
    def body(stage: Stage) -> Any:
        map_file(stage)
        faulter.store_block(stage, 0, 0)
        faulter.load_block(stage, 0, 2)
        yield

    stage, shot = taken(body, pages=3)
    assert all(set(row) == keys for part, keys in OF_MAPPINGS.items() for row in shot[part])
    assert [(row["start"], row["end"], row["mapping"]) for row in shot["mapped"]] == [(0, 3, stage.mapping.name)]
    assert [(row["address"], row["page"], set(row["bits"])) for row in shot["ptes"]] == [
        (0, cached(stage, 0).name, {"present", "write", "dirty", "accessed"}),
        (1, cached(stage, 1).name, {"present", "accessed"}),
    ]
    assert by_name(shot["pages"])[cached(stage, 0).name]["mapcount"] == 1


def test_snapshot_has_every_frame_mapping_slot_and_live_buffer() -> None:
    stage, shot = taken(pages=3)
    machine = stage.machine
    assert [row["pfn"] for row in shot["pages"]] == list(range(len(machine.pages)))
    assert [row["name"] for row in shot["mappings"]] == [mapping.name for mapping in machine.mappings]
    mapping = by_name(shot["mappings"])[stage.mapping.name]
    assert [slot["page"] for slot in mapping["slots"]] == [cached(stage, index).name for index in range(3)]
    assert mapping["nrpages"] == 3
    assert {bh.name for index in range(3) for bh in ring(stage, index)} <= {row["name"] for row in shot["buffers"]}


def test_freed_buffers_are_left_out_and_free_frames_say_so() -> None:
    def body(stage: Stage) -> Any:
        page = filemap.find_lock_page(stage.mapping, 0)
        assert page is not None and buffer.try_to_free_buffers(page)
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        yield

    stage, shot = taken(body)
    assert not [row for row in shot["buffers"] if row["page"] == cached(stage).name]
    free = {row["name"] for row in shot["pages"] if row["free"]}
    assert free == {page.name for page in mmzone.free_pages(stage.machine.zone)}
    assert cached(stage).name not in free


def test_a_written_page_shows_its_words_bits_tags_and_journal_head() -> None:
    def body(stage: Stage) -> Any:
        writer.write_block(stage, 1)
        yield

    stage, shot = taken(body)
    page, written = cached(stage), ring(stage)[1]
    row = by_name(shot["pages"])[page.name]
    assert row["words"] == [*unwritten(stage, 0), 1, 1]
    assert "PG_dirty" in row["flags"]
    assert row["private"] == ring(stage)[0].name
    bh = by_name(shot["buffers"])[written.name]
    assert {"BH_Dirty", "BH_JBD"} <= set(bh["state"])
    assert (bh["page"], bh["index"], bh["next"]) == (page.name, 1, ring(stage)[0].name)
    journal = shot["journals"][0]
    assert journal["running"] is not None and journal["committing"] is None
    assert [bh["jh"]] in journal["lists"][journal["running"]].values()
    assert shot["mappings"][-1]["slots"][0]["tags"] == ["PAGECACHE_TAG_DIRTY"]
    assert shot["counters"]["NR_FILE_DIRTY"] == 1


def test_disk_shows_a_block_under_its_file_and_number_once_it_was_written() -> None:
    def body(stage: Stage) -> Any:
        writer.write_block(stage, 1)
        assert filemap.filemap_write_and_wait(stage.mapping) == 0
        yield

    stage, shot = taken(body)
    assert shot["disk"][str(stage.inode.i_ino)]["1"] == [1, 1]


def test_a_held_lock_and_a_queued_page_are_shown() -> None:
    def body(stage: Stage) -> Any:
        page = filemap.find_lock_page(stage.mapping, 0)
        assert page is not None
        swap.mark_page_accessed(page)
        swap.mark_page_accessed(page)
        rt.mutex_lock(stage.inode.i_mutex)
        yield
        rt.mutex_unlock(stage.inode.i_mutex)
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")

    stage, shot = taken(body, pagevec=14)
    name = cached(stage).name
    assert shot["locks_held"] == [f"{stage.inode.i_mutex} by main"]
    assert "PG_locked" in by_name(shot["pages"])[name]["flags"]  # a bit that sleepers wait for shows as a bit
    assert [name] in shot["pagevecs"].values()


def test_a_buffer_that_a_cpu_remembers_is_shown_with_it() -> None:
    def body(stage: Stage) -> Any:
        buffer.brelse(buffer.__getblk(stage.device, 0))
        yield

    _, shot = taken(body)
    kept = [name for names in shot["bh_lrus"].values() for name in names]
    assert len(kept) == 1
    assert by_name(shot["buffers"])[kept[0]]["count"] == 1


def test_a_page_that_nobody_touched_has_the_row_of_one_that_was_looked_at() -> None:
    def body(stage: Stage) -> Any:
        rows = snapshot(stage)["pages"]
        for page in stage.machine.pages:
            page.flags.peek(0)
        assert snapshot(stage)["pages"] == rows
        assert all(page.touched for page in stage.machine.pages)
        yield

    _, shot = taken(body)
    assert [row["name"] for row in shot["pages"]] == [f"page:{row['pfn']}" for row in shot["pages"]]


def test_a_snapshot_is_no_op() -> None:
    def body(stage: Stage) -> Any:
        engine = live.engine
        before = engine.position(engine.current())
        snapshot(stage)
        assert engine.position(engine.current()) == before
        yield

    taken(body)


def test_a_run_takes_both_snapshots_and_the_record_keeps_them() -> None:
    record = run_one(gate_spec("async-vs-commit", 3), keep_record=True).record
    assert record is not None
    assert set(record.final) == {"quiescent", "synced"}
    tail = json.loads(list(record.lines())[-1])
    assert tail["final"] == record.final
