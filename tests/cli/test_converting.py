"""Failures of free threads from the command line: a campaign, a run and a replay make them again under control."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mmrace.runtime.record import Record
from tests.in_process import run
from tests.runs.program_files import RACY, write
from tests.search.convert.test_convert import ABBA


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with the program abba.py, which stands still in every run."""
    write(tmp_path / "abba.py", ABBA)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recorded(monkeypatch: pytest.MonkeyPatch, program: str = "abba.py", convert: str = "off") -> int:
    words = ("--engine", "free", "--record", "free.jsonl", "--convert", convert)
    return run(monkeypatch, "run", f"{program}:main", *words)


def test_a_run_that_fails_is_kept_as_it_was_and_under_control(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded(monkeypatch, convert="10s") == 1
    shown = capsys.readouterr().out
    assert "under control: followed; " in shown and "record under control: free.controlled.jsonl" in shown
    assert shown.splitlines()[-1] == "FAIL"
    assert Record.read("free.jsonl").header["engine"] == "free"
    assert run(monkeypatch, "replay", "free.controlled.jsonl") == 1
    assert "replay: every op as recorded; the same findings as recorded" in capsys.readouterr().out


def test_beside_a_device_nothing_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "run", "abba.py:main", "--engine", "free", "--record", "/dev/null") == 1
    assert "under control" not in capsys.readouterr().out and not Path("/dev/null.controlled").exists()


def test_a_record_of_free_threads_is_done_again_and_can_be_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recorded(monkeypatch) == 1
    assert "under control" not in capsys.readouterr().out and not Path("free.controlled.jsonl").exists()
    assert run(monkeypatch, "replay", "free.jsonl", "--record", "made.jsonl") == 1
    shown = capsys.readouterr().out
    assert shown.splitlines()[1].startswith("a record of free threads, where nobody chose")
    assert "under control: followed; " in shown and "record: made.jsonl" in shown
    assert f"retrace:record={folder / 'free.jsonl'}" in shown
    assert run(monkeypatch, "replay", "made.jsonl") == 1


def test_what_does_not_come_again_is_unknown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(monkeypatch)
    lines = Path("free.jsonl").read_text().splitlines()
    tail = json.loads(lines[-1])
    tail["verdict"]["findings"] = [{"signature": "0" * 12, "title": "something else"}]
    Path("free.jsonl").write_text("\n".join([*lines[:-1], json.dumps(tail)]) + "\n")
    capsys.readouterr()
    assert run(monkeypatch, "replay", "free.jsonl", "--convert", "off", "--record", "made.jsonl") == 5
    shown = capsys.readouterr().out
    assert "something else [000000000000]\n  under control: not found again; " in shown
    assert "found instead: " in shown and shown.splitlines()[-1] == "UNKNOWN"
    assert not Path("made.jsonl").exists()


def test_a_record_that_did_not_fail_is_followed_and_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "good.py", RACY.replace("rt.spawn(hasty", "rt.spawn(add"))
    assert recorded(monkeypatch, "good.py") == 0
    assert run(monkeypatch, "replay", "free.jsonl") == 0
    assert re.search(r"retrace followed (\d+) of \1 recorded ops", capsys.readouterr().out)


def test_a_controlled_record_is_followed_strictly_and_gives_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "run", "abba.py:main", "--engine", "fiber", "--record", "fiber.jsonl")
    assert run(monkeypatch, "replay", "fiber.jsonl", "--record", "made.jsonl") == 2
    assert "expected a record of free threads" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "soon", ""])
def test_a_time_that_is_none_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert run(monkeypatch, "stress", "abba.py:main", "--convert", value) == 2
    error = capsys.readouterr().err
    assert "expected a duration, or off" in error and "--convert" in error and "try: 10s, 2m, or off" in error


@pytest.mark.slow
def test_a_campaign_keeps_both_records_and_the_commands_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("stress", "abba.py:main", "--engine", "free", "--runs", "4", "--jobs", "2")
    assert run(monkeypatch, *words) == 1
    shown = capsys.readouterr().out
    assert "under control: followed; " in shown and "not found again" not in shown
    found = list(Path(".mmrace/findings").iterdir())
    assert found
    for place in found:
        assert Record.read(place / "free.jsonl").header["engine"] == "free"
        assert f"repeat: mmrace replay {place / 'record.jsonl'}" in shown
        assert run(monkeypatch, "replay", str(place)) == 1
        assert "every op as recorded; the same findings" in capsys.readouterr().out
        summary = json.loads((place / "summary.json").read_text())
        assert (summary["spec"]["engine"], summary["conversion"]["how"]) == ("fiber", "followed")
