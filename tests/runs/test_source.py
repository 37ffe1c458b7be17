"""FILE is a record, a minimal file or a finding's folder, by what is in it; the rest is refused with what to do."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from mmrace.runs.kept import RECORD
from mmrace.runs.minimal import MINIMAL
from mmrace.runs.source import open_source
from mmrace.runtime import record_file
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from tests.runs.minimal_files import failed, folder, minimal


def lines(record: Record | None) -> list[str]:
    assert record is not None
    return list(record.lines())


def test_a_record_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    recorded = failed().record
    assert recorded is not None
    for name in ("a.jsonl", "a.json", "a"):
        recorded.write(tmp_path / name)
        read = open_source(str(tmp_path / name))
        assert (lines(read.record), read.minimal, read.folder, read.signature) == (lines(recorded), None, None, "")


def test_a_minimal_file_is_read_whatever_it_is_called_with_the_record_that_it_contains(tmp_path: Path) -> None:
    for name in ("a.json", "a.jsonl", "a"):
        minimal().write(tmp_path / name)
        read = open_source(str(tmp_path / name))
        assert lines(read.record) == lines(minimal().record) and read.signature == minimal().signature
        assert read.minimal is not None and read.minimal.schedule == minimal().schedule


def test_a_minimal_file_on_one_line_is_none_the_less_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(minimal().plain(), separators=(",", ":")))
    assert open_source(str(path)).minimal is not None


def test_a_folder_gives_the_record_as_it_was_found_and_the_minimal_file_beside_it(tmp_path: Path) -> None:
    made = folder(tmp_path)
    read = open_source(str(made))
    assert (read.path, read.folder, read.signature) == (str(made / RECORD), made, minimal().signature)
    assert read.minimal is not None and read.minimal.signature == made.name
    assert open_source(str(made / RECORD)).signature == made.name
    assert open_source(str(folder(tmp_path / "other", with_minimal=False))).minimal is None


def test_a_folder_with_a_minimal_file_alone_will_do(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / RECORD).unlink()
    read = open_source(str(made))
    assert lines(read.record) == lines(minimal().record) and read.minimal is not None


def test_a_damaged_minimal_file_keeps_nobody_from_the_record_beside_it(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / MINIMAL).write_text("{}")
    read = open_source(str(made))
    assert read.record.events
    with pytest.raises(UsageError, match="mmrace-minimal/1"):
        _ = read.minimal


def test_a_folder_without_either_says_where_there_are_some(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"has no {RECORD}.*a record's own file"):
        open_source(str(tmp_path))
    made = folder(tmp_path / "findings")
    with pytest.raises(UsageError, match=f"one of the findings below it: {made}"):
        open_source(str(tmp_path))
    for name in (RECORD, MINIMAL):
        (made / name).unlink()
    (made / "summary.txt").write_text("x")
    with pytest.raises(UsageError, match=r"folder, which .*summary\.txt in it"):
        open_source(str(made))


@pytest.mark.parametrize("name", ["none", "", "a\0b", "x" * 5000])
def test_what_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="the path that the run printed"):
        open_source(str(tmp_path / name) if name else "")


def test_what_is_neither_is_no_record_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('["a"]\n')
    with pytest.raises(UsageError, match="looks like no record at all"):
        open_source(str(tmp_path / "a.json"))


def test_a_record_larger_than_any_that_is_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "BYTES_MAX", 10)
    recorded = failed().record
    assert recorded is not None
    (tmp_path / "a.jsonl").write_text("\n".join(recorded.lines()))
    with pytest.raises(UsageError, match="a record file of at most"):
        open_source(str(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("what", ["record", "minimal"])
def test_either_comes_through_a_fifo(tmp_path: Path, what: str) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    text = json.dumps(minimal().plain()) if what == "minimal" else "\n".join(minimal().record.lines()) + "\n"
    writer = threading.Thread(target=path.write_text, args=(text,))
    writer.start()
    read = open_source(str(path))
    writer.join()
    assert lines(read.record) == lines(minimal().record) and (read.minimal is not None) == (what == "minimal")


def test_a_folder_that_has_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        open_source(str(tmp_path))
    assert str(raised.value).startswith(f"{tmp_path}: expected a record") and "which has no record.jsonl" in str(
        raised.value
    )
