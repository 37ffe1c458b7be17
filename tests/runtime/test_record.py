"""The record: what is written is what is read, and live or loaded it answers the same questions."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mmrace import runtime as rt
from mmrace.runtime import files
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.record import READABLE, SCHEMA, Record
from tests.runtime.contended import contended
from tests.runtime.engines import Box, Setup, box, gate, walk


class Wide(Box):
    """A variant of a box."""

    z = rt.shared(0)


class Mode(IntEnum):
    """An enum of the model."""

    MIGRATE_ASYNC = 0
    MIGRATE_SYNC = 2


QUESTIONS: dict[str, Callable[[Record], object]] = {
    "lanes of a field": lambda record: record.lanes("Box", "x"),
    "lanes of a count": lambda record: record.lanes("Box", "count"),
    "lanes of a lock": lambda record: record.lanes("Box", "spin"),
    "lanes of a word of flags": lambda record: record.lanes("Box", "flags"),
    "lanes of a field of a subclass": lambda record: record.lanes("Wide", "x"),
    "lanes of a field that is not there": lambda record: record.lanes("Box", "none"),
    "lanes of tasks": lambda record: record.lanes("Task", ""),
    "lanes of CPUs": lambda record: record.lanes("Cpu", ""),
    "bit lanes": lambda record: record.bit_lane("Box", "flags", "DIRTY"),
    "queue lanes": lambda record: record.queue_lanes("Box", "flags", "LOCKED"),
    "word lanes": lambda record: record.word_lanes("Box", "words"),
    "lanes of objects": lambda record: record.lanes_of({"box:0", "wide:0"}),
    "steps on lanes": lambda record: record.steps_on(
        record.bit_lane("Box", "flags", "DIRTY"), int(Kind.SET), notes=("mode",)
    ),
    "lane names": lambda record: [record.lane_name(event[1] >> 6) for event in record.events],
    "task names": lambda record: [record.task_name(task["id"]) for task in record.tasks],
    "tasks": lambda record: record.tasks,
    "plain events": lambda record: list(record.plain()),
    "ops": lambda record: [event[:2] for event in record.events],
    "sites": lambda record: record.sites,
    "masks": lambda record: record.masks,
    "stamps": lambda record: record.stamps,
    "end": lambda record: record.end,
    "final": lambda record: record.final,
    "marks": lambda record: record.marks,
    "verdict": lambda record: record.verdict,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a record."""
    return tmp_path / "run.jsonl"


def made(**options: Any) -> Record:
    """Return the record of a contended run, judged, with something in every part of it."""

    def main() -> None:
        rt.reached("rare branch")
        rt.note("mode", Mode.MIGRATE_SYNC, (1, Mode.MIGRATE_ASYNC))
        Wide("wide:0", words=0).link = Mode.MIGRATE_SYNC
        contended()

    record = walk(main, 5, **options).record
    record.header.update({"scenario": "contended", "seed": 5})
    record.final = {"quiescent": {"pages": [{"name": "page:0", "words": [1, 2]}]}}
    record.verdict = {"verdict": "PASS", "findings": [], "checked": {"liveness": 3}}
    return record


def used(answer: object, record: Record) -> object:
    """Leave of a map of lanes what the events of the record use: a file names no others."""
    lanes = {event[1] >> 6 for event in record.events if event[1] != rt.NOTE}
    if isinstance(answer, dict) and all(isinstance(key, int) for key in answer):
        return {lane: owner for lane, owner in answer.items() if lane in lanes}
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("sites", [False, True], ids=["no-sites", "sites"])
def test_live_and_loaded_answer_the_same(path: Path, question: str, sites: bool) -> None:
    live, ask = made(sites=sites), QUESTIONS[question]
    live.write(path)
    assert used(ask(live), live) == ask(Record.read(path))


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_live_record_answers_the_same_after_its_table_was_made(question: str) -> None:
    fresh, asked = made(), made()
    assert asked.table
    assert QUESTIONS[question](fresh) == QUESTIONS[question](asked)


def test_the_bits_of_a_flag_word_are_told_from_other_lanes() -> None:
    record = made()
    word, owner = next(iter(record.lanes("Box", "flags").items()))
    bits = [lane for lane, entry in record.lanes_of({owner}).items() if entry[2] == "flags" and entry[3]]
    assert len(bits) > 1
    assert record.bits_among(record.table, word) == bits
    assert record.bits_among(record.table, bits[0]) == bits
    assert record.bits_among(record.table, max(record.table) + 1) == []


def test_each_question_has_something_to_find() -> None:
    empty = {"lanes of a field that is not there", "lanes of a field of a subclass", "stamps"}
    record = made(sites=True)
    assert {name for name, ask in QUESTIONS.items() if not ask(record)} == empty


def test_writing_what_was_read_gives_the_same_file(path: Path) -> None:
    made(sites=True).write(path)
    first = path.read_text()
    Record.read(path).write(path)
    assert path.read_text() == first


def test_a_record_of_every_engine_survives_the_file(run: Setup, path: Path) -> None:
    live = run(contended).record
    live.write(path)
    loaded = Record.read(path)
    assert list(loaded.plain()) == list(live.plain())
    assert loaded.masks == live.masks
    assert bool(loaded.masks) == run.controlled
    assert loaded.end == live.end


@pytest.mark.parametrize("program", ["violation", "deadlock", "freed"])
def test_a_failing_run_survives_the_file_with_names_for_objects(path: Path, program: str) -> None:
    def main() -> None:
        """BUGGY: trips, sleeps for ever, or uses what it freed."""
        shared = box()
        if program == "deadlock":
            shared.link = rt.current()
            rt.Completion("never:0").wait()
        rt.poison(shared)
        rt.bug_on(program == "violation", "page", page=shared, who=rt.current())
        _ = shared.x

    live = gate(main).record
    live.write(path)
    loaded = Record.read(path)
    assert loaded.end == Record.name(live.end)
    assert list(loaded.plain()) == list(live.plain())
    assert "box:0" in path.read_text()


def test_lanes_of_notes_are_named_in_the_file_too(path: Path) -> None:
    def main() -> None:
        box().count.rename("new", "slot")

    gate(main).record.write(path)
    loaded = Record.read(path)
    [(lane, _, _)] = [event[3] for event in loaded.events if event[1] == rt.NOTE]
    assert loaded.lane_name(lane) == "box:0.count"


def test_a_name_is_plain_data_whatever_it_was() -> None:
    def main() -> None:
        assert Record.name((box(), [rt.current(), Mode.MIGRATE_SYNC], {"a": box(1)}, 3, None, "x", True, main)) == [
            "box:0", ["main", "MIGRATE_SYNC"], {"a": "box:1"}, 3, None, "x", True, "main",
        ]  # fmt: skip

    assert gate(main).how == "finished"


def test_an_unknown_lane_is_named_by_its_number() -> None:
    assert made().lane_name(10**6) == "lane:1000000"


def test_each_line_is_json_and_the_schema_stands_in_the_first(path: Path) -> None:
    record = made()
    record.write(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["schema"] == SCHEMA
    assert SCHEMA in READABLE
    assert len(lines) == len(record.events) + 2
    assert lines[-1]["events"] == len(record.events)
    assert all(len(line) == 7 for line in lines[1:-1])


def test_a_record_replaces_an_older_one_and_leaves_nothing_else(path: Path) -> None:
    path.write_text("older")
    made().write(path)
    assert Record.read(path).header["scenario"] == "contended"
    assert os.listdir(path.parent) == [path.name]


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("existing", [False, True], ids=["new", "over-an-older-one"])
@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize(("failure", "error"), [(_full, OSError), (_interrupted, KeyboardInterrupt)])
def test_a_write_that_fails_leaves_what_was_there_and_no_part(
    path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, failing: str,
    failure: Callable[..., None], error: type[BaseException],
) -> None:  # fmt: skip
    if existing:
        path.write_text("older")
    record = made()
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, failure)
        with pytest.raises(error):
            record.write(path)
    assert os.listdir(path.parent) == ([path.name] if existing else [])
    assert not existing or path.read_text() == "older"


def test_a_disk_that_fills_up_while_lines_are_written_leaves_no_part(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Filling(io.TextIOWrapper):
        lines = 0

        def write(self, text: str) -> int:
            self.lines += 1
            if self.lines > 20:
                _full()
            return super().write(text)

    def opened(name: int, mode: str, encoding: str, errors: str) -> Filling:
        return Filling(io.FileIO(name, mode), encoding, errors)

    monkeypatch.setattr(files, "open", opened, raising=False)
    with pytest.raises(OSError, match="No space left"):
        made().write(path)
    assert os.listdir(path.parent) == []


def test_a_place_that_cannot_be_written_raises_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        made().write(tmp_path / "missing" / "run.jsonl")


@pytest.mark.parametrize("source", ["live", "loaded"])
def test_steps_of_kinds_are_those_of_a_walk_over_all_events(path: Path, source: str) -> None:
    record = made()
    if source == "loaded":
        record.write(path)
        record = Record.read(path)
    kinds = (rt.NOTE, *(int(kind) for kind in (Kind.WRITE, Kind.TEST_AND_SET, Kind.EXIT)))
    walked = [
        step for step, event in enumerate(record.events)
        if (event[1] if event[1] == rt.NOTE else event[1] & KIND_MASK) in kinds
    ]  # fmt: skip
    assert record.steps(*kinds) == walked
    assert 0 < len(record.steps(rt.NOTE)) < len(walked)


def test_a_single_lane_is_what_the_table_says_of_it() -> None:
    record, asked = made(), made()
    lanes = range(-1, max(asked.table) + 2)
    assert {lane: entry for lane in lanes if (entry := record.lane(lane)) is not None} == asked.table
    assert any(sub == "[1]" for _, _, _, sub in asked.table.values())


class Frame(rt.Struct):
    """One of many, of which few are used."""

    lazy: ClassVar[bool] = True
    count = rt.shared(0)


def test_lanes_of_a_class_are_those_of_objects_that_somebody_touched() -> None:
    def main() -> None:
        frames = [Frame(("frame", i)) for i in range(3)]
        frames[1].count += 1

    record = walk(main, 5).record
    assert list(record.lanes("Frame", "count").values()) == ["frame:1"]
    assert {entry[1] for entry in record.lanes_of({"frame:0", "frame:1"}).values()} == {"frame:1"}
    assert [entry[1] for entry in record.table.values() if entry[0] == "Frame"] == ["frame:0", "frame:1", "frame:2"]
