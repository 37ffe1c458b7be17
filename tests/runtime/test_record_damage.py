"""A record that is missing, cut, changed or of another schema is refused, with what to do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime import record_file
from mmrace.runtime.decoding import DEPTH_MAX
from mmrace.runtime.errors import EXIT_USAGE
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.record import SCHEMA, Record
from tests.runtime.engines import box, gate

Lines = list[Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a good record to damage."""
    place = tmp_path / "run.jsonl"

    def main() -> None:
        shared = box()
        shared.x += 1
        rt.note("round", "writer", 1)

    gate(main, sites=True).record.write(place)
    assert Record.read(place).events
    return place


def refused(path: Path) -> str:
    """Assert that reading is a usage error that names the file and says what to try; return its text."""
    with pytest.raises(rt.UsageError) as caught:
        Record.read(path)
    error = caught.value
    assert error.exit_code == EXIT_USAGE
    assert re.fullmatch(re.escape(str(path)) + r"(, line \d+.*)?", error.where), error.where
    assert error.try_, f"says not what to do: {error}"
    return str(error)


def edit(path: Path, change: Callable[[Lines], object]) -> None:
    """Change the lines of a record as data."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "'no such file'" in refused(tmp_path / "none.jsonl")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path)


GARBAGE = (b"", b"\n", b"\x80\xff\x00", b"text\n", b"[1, 2]\n", b"3\n", b'"text"\n', b"{}\n", b"null\n", b"{}\n{}\n")


@pytest.mark.parametrize("content", GARBAGE)
def test_garbage_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path)


def test_a_file_that_was_cut_anywhere_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    assert whole.endswith(b"\n")
    ends = [at + after for at, byte in enumerate(whole) if byte == ord("\n") for after in (0, 1)]
    for length in {*ends[:-2], *range(0, len(whole) - 1, 23), *range(len(whole) - 30, len(whole) - 1)}:
        path.write_bytes(whole[:length])
        refused(path)


def test_the_last_newline_may_be_missing(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert Record.read(path).events


@pytest.mark.parametrize("change", [-1, 1], ids=["an event less", "an event more"])
def test_a_changed_count_is_refused(path: Path, change: int) -> None:
    edit(path, lambda lines: lines[-1].update(events=lines[-1]["events"] + change))
    assert "cut or changed" in refused(path)


def test_a_line_that_was_taken_out_is_refused(path: Path) -> None:
    edit(path, lambda lines: lines.pop(2))
    assert "cut or changed" in refused(path)


@pytest.mark.parametrize("schema", ["mmrace-record/4", "mmrace-record/0", "", None, 1, [SCHEMA]])
def test_another_schema_is_refused(path: Path, schema: object) -> None:
    edit(path, lambda lines: lines[0].update(schema=schema))
    text = refused(path)
    assert SCHEMA in text
    assert "the mmrace that wrote it" in text


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else 0


def note(lines: Lines) -> Any:
    return next(line for line in lines[1:-1] if line[1] == "NOTE")


DAMAGE: dict[str, Callable[[Lines], object]] = {
    "tables of another shape": lambda lines: lines[0]["tables"].update(published={"Box.x": "why"}),
    "no tables but a list": lambda lines: lines[0].update(tables=["Box.x"]),
    "no tasks": lambda lines: lines[0].pop("tasks"),
    "no lanes": lambda lines: lines[0].pop("lanes"),
    "lanes that are a list": lambda lines: lines[0].update(lanes=[]),
    "a lane that is no number": lambda lines: lines[0]["lanes"].update(x=["Box", "box:0", "x", ""]),
    "no end": lambda lines: lines[-1].pop("end"),
    "no final state": lambda lines: lines[-1].pop("final"),
    "no marks": lambda lines: lines[-1].pop("marks"),
    "no verdict": lambda lines: lines[-1].pop("verdict"),
    "an unknown kind": lambda lines: lines[2].__setitem__(1, "TELEPORT"),
    "an op without a lane": lambda lines: lines[2].__setitem__(2, None),
    "an event that is too short": lambda lines: lines[2].pop(),
    "an event that is too long": lambda lines: lines[2].append(0),
    "an event that is no list": lambda lines: lines.__setitem__(2, {}),
    "an event that is a number": lambda lines: lines.__setitem__(2, 7),
    "an event of a task that is not there": lambda lines: lines[2].__setitem__(0, 1),
    "an event of task -1": lambda lines: lines[2].__setitem__(0, -1),
    "an event of a task by name": lambda lines: lines[2].__setitem__(0, "main"),
    "an event of task true": lambda lines: lines[2].__setitem__(0, True),
    "a kind that is a number": lambda lines: lines[2].__setitem__(1, 3),
    "a lane below zero": lambda lines: lines[2].__setitem__(2, -1),
    "a lane without bound": lambda lines: lines[2].__setitem__(2, 10**30),
    "a lane that is half a number": lambda lines: lines[2].__setitem__(2, 1.5),
    "a site that is a number": lambda lines: lines[2].__setitem__(5, 5),
    "an outcome that is nested without end": lambda lines: lines[2].__setitem__(3, nested(DEPTH_MAX)),
    "an outcome that is no number": lambda lines: lines[2].__setitem__(3, float("nan")),
    "a choice out of nothing": lambda lines: lines.__setitem__(2, [0, "CHOOSE", 2, 0, 0, None, 1]),
    "a choice beyond its range": lambda lines: lines.__setitem__(2, [0, "CHOOSE", 2, 2, 2, None, 1]),
    "a choice in words": lambda lines: lines.__setitem__(2, [0, "CHOOSE", 2, "2", "1", None, 1]),
    "a set of enabled tasks that are not there": lambda lines: lines[2].__setitem__(6, 2),
    "a set of enabled tasks without bound": lambda lines: lines[2].__setitem__(6, 1 << 4000),
    "a set of enabled tasks below zero": lambda lines: lines[2].__setitem__(6, -1),
    "no set of enabled tasks at one op": lambda lines: lines[2].__setitem__(6, None),
    "stamps of one op only": lambda lines: lines[2].__setitem__(6, [1, 0]),
    "three stamps": lambda lines: lines[2].__setitem__(6, [1, 0, 0]),
    "a note on a lane": lambda lines: note(lines).__setitem__(2, 5),
    "a note without facts": lambda lines: note(lines).__setitem__(4, None),
    "a note of no kind": lambda lines: note(lines).__setitem__(3, 7),
    "a note of a reference that died nowhere": lambda lines: note(lines).__setitem__(slice(3, 5), ["retire", ["x"]]),
    "a task in another's place": lambda lines: lines[0]["tasks"][0].update(id=1),
    "a task without a name": lambda lines: lines[0]["tasks"][0].pop("name"),
    "a task that is a number": lambda lines: lines[0].update(tasks=[0]),
    "a lane of five parts": lambda lines: lines[0]["lanes"].update({"1": ["Box", "box:0", "x", "", ""]}),
    "a lane of a number": lambda lines: lines[0]["lanes"].update({"1": ["Box", 0, "x", ""]}),
    "a lane below zero in the header": lambda lines: lines[0]["lanes"].update({"-1": ["Box", "box:0", "x", ""]}),
    "an engine that there is not": lambda lines: lines[0].update(engine="steam"),
    "a strategy that is a list": lambda lines: lines[0].update(strategy=["pos"]),
    "a seed in words": lambda lines: lines[0].update(seed="one"),
    "a seed that is no number": lambda lines: lines[0].update(seed=float("inf")),
    "parameters in a list": lambda lines: lines[0].update(params=["x"]),
    "a parameter that is an object": lambda lines: lines[0].update(params={"x": {}}),
    "a workload that is a number": lambda lines: lines[0].update(workload=7),
    "files to load that are numbers": lambda lines: lines[0].update(load=[7]),
    "promoted fields that are numbers": lambda lines: lines[0].update(promoted=[7]),
    "more CPUs than any machine has": lambda lines: lines[0].update(ncpus=10**9),
    "tables that name no field": lambda lines: lines[0]["tables"].update(published=["x"]),
    "a header that is nested without end": lambda lines: lines[0].update(future=nested(DEPTH_MAX)),
    "findings of another shape": lambda lines: lines[-1].update(verdict={"findings": ["x"]}),
    "findings that are a number": lambda lines: lines[-1].update(verdict={"findings": 7}),
    "a finding without a signature": lambda lines: lines[-1].update(verdict={"findings": [{"rule": "x"}]}),
    "a signature that is a list": lambda lines: lines[-1].update(verdict={"findings": [{"signature": []}]}),
    "a verdict that there is not": lambda lines: lines[-1].update(verdict={"verdict": "MAYBE"}),
    "a verdict that is a text": lambda lines: lines[-1].update(verdict="PASS"),
    "an end that is a text": lambda lines: lines[-1].update(end="finished"),
    "a detail that is a list": lambda lines: lines[-1].update(end={"how": "deadlock", "detail": []}),
    "marks in words": lambda lines: lines[-1].update(marks={"x": "often"}),
    "events in words": lambda lines: lines[-1].update(events=str(lines[-1]["events"])),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_part_that_is_not_as_the_schema_says_is_refused(path: Path, damage: str) -> None:
    edit(path, DAMAGE[damage])
    refused(path)


BYTES: dict[str, tuple[bytes, bytes]] = {
    "nested too deep for any decoder": (b'"scenario":"', b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"scenario":"'),
    "a number of ten thousand digits": (b'"schema"', b'"x":' + b"1" * 10_000 + b',"schema"'),
    "a number beyond all floats": (b'"schema"', b'"x":1e999,"schema"'),
    "bytes that are no text": (b'"schema"', b'"x":"\xff\xfe","schema"'),
    "a raw escape": (b'"schema"', b'"x":"\x1b[31m","schema"'),
    "half a surrogate pair": (b'"schema"', b'"x":"\\ud800","schema"'),
    "a zero byte": (b'"schema"', b'\0"schema"'),
}


@pytest.mark.parametrize("damage", BYTES)
def test_bytes_that_are_no_json_are_refused(path: Path, damage: str) -> None:
    old, new = BYTES[damage]
    content = path.read_bytes()
    path.write_bytes(content.replace(old, new, 1) if old in content else new + content)
    assert ", line 1" in refused(path)


def test_the_line_that_is_wrong_is_named(path: Path) -> None:
    edit(path, lambda lines: lines[4].__setitem__(0, 7))
    text = refused(path)
    assert f"{path}, line 5: " in text
    assert "task 7 of 1" in text


def test_a_file_beyond_the_limit_is_refused_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "BYTES_MAX", 100)
    assert "a larger one" in refused(path)


def test_a_fifo_is_read_only_if_a_person_named_it(tmp_path: Path) -> None:
    place = tmp_path / "fifo"
    os.mkfifo(place)
    assert "not a regular file" in refused(place)


def test_what_a_program_may_log_is_written_so_that_it_can_be_read(tmp_path: Path) -> None:
    """JSON has no NaN, its readers take no number without bound, and no half of a surrogate pair."""
    place = tmp_path / "run.jsonl"

    def main() -> None:
        shared = box()
        for value in (float("nan"), float("-inf"), 10**5000, "\ud800", {"\ud800": [float("nan")]}):
            shared.x = value  # type: ignore[assignment]

    gate(main).record.write(place)
    written = [event[3] for event in Record.read(place).events if event[1] & KIND_MASK == Kind.WRITE]
    assert written == ["nan", "-inf", hex(10**5000), "\\ud800", {"\\ud800": ["nan"]}]


def test_unknown_keys_are_kept_or_ignored_never_refused(path: Path) -> None:
    edit(path, lambda lines: (lines[0].update(future=1), lines[-1].update(future=1)))
    assert Record.read(path).header["future"] == 1


def test_blind_spot_a_changed_outcome_is_not_noticed(path: Path) -> None:
    """The file carries a count of events, no checksum: an outcome that was edited is read as it stands."""
    edit(path, lambda lines: lines[2].__setitem__(3, 41))
    assert 41 in [event[2] for event in Record.read(path).events]
