"""A record that is missing, cut, changed or of another schema is refused, with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime.errors import EXIT_USAGE
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
    assert error.where == str(path)
    assert error.try_, f"says not what to do: {error}"
    return str(error)


def edit(path: Path, change: Callable[[Lines], object]) -> None:
    """Change the lines of a record as data."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.jsonl")


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
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_part_that_is_not_as_the_schema_says_is_refused(path: Path, damage: str) -> None:
    edit(path, DAMAGE[damage])
    refused(path)


def test_unknown_keys_are_kept_or_ignored_never_refused(path: Path) -> None:
    edit(path, lambda lines: (lines[0].update(future=1), lines[-1].update(future=1)))
    assert Record.read(path).header["future"] == 1


def test_blind_spot_a_changed_outcome_is_not_noticed(path: Path) -> None:
    """The file carries a count of events, no checksum: an outcome that was edited is read as it stands."""
    edit(path, lambda lines: lines[2].__setitem__(3, 41))
    assert 41 in [event[2] for event in Record.read(path).events]
