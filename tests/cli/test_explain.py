"""`mmrace explain`: a record, a minimal file or a folder; which finding; and what has no story."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import in_process
from tests.report.test_mermaid import LINE
from tests.runs import minimal_files


def explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setenv("COLUMNS", "100")
    code = in_process.run(monkeypatch, "explain", *words)
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a finding, with its record and its minimal file."""
    return minimal_files.folder(tmp_path)


@pytest.mark.slow
def test_a_record_a_minimal_file_and_a_folder_have_one_story(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    minimal = minimal_files.minimal()
    title = f"{minimal.finding.title} [{minimal.signature}]"
    texts = {}
    for file in (folder, folder / "record.jsonl", folder / "minimal.json"):
        code, text, _ = explained(monkeypatch, capsys, str(file))
        assert code == 0 and text.splitlines()[0] == title
        assert f"repeat: mmrace replay {file}" in text
        texts[file.name] = text
    assert "The orders that matter" in texts["minimal.json"] and "replayed 5 of 5" in texts[folder.name]
    assert "The orders that matter" not in texts["record.jsonl"]


def test_another_finding_of_the_record_is_told_if_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    found = minimal_files.minimal().record.verdict["findings"]
    other = next(one["signature"] for one in found if one["signature"] != minimal_files.minimal().signature)
    code, text, _ = explained(monkeypatch, capsys, str(folder), "--finding", other)
    assert code == 0 and f"[{other}]" in text.splitlines()[0] and "The orders that matter" not in text


def test_a_folder_tells_in_how_many_runs_its_finding_was_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "hits.jsonl").write_text('{"seed": 1}\n{"seed": 2}\n')
    text = explained(monkeypatch, capsys, str(folder))[1]
    assert "rarity: seen in 3 runs; of how many, nobody counted" in text


def test_all_has_more_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    part, whole = (explained(monkeypatch, capsys, str(folder), *words)[1] for words in ((), ("--all",)))
    assert len(whole.splitlines()) > len(part.splitlines())


def test_a_signature_that_is_not_there_is_a_wrong_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code, _, err = explained(monkeypatch, capsys, str(folder), "--finding", "000000000000")
    assert code == 2 and "--finding" in err and minimal_files.minimal().signature in err


def test_a_record_that_passed_has_no_story(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = list(minimal_files.minimal().record.lines())
    tail = json.loads(lines[-1]) | {"verdict": {"verdict": "PASS", "findings": [], "checked": {}}}
    path = tmp_path / "passed.jsonl"
    path.write_text("\n".join([*lines[:-1], json.dumps(tail)]) + "\n")
    code, _, err = explained(monkeypatch, capsys, str(path))
    assert code == 2 and "a record with a finding" in err and "mmrace show" in err


def test_a_story_is_drawn_as_a_diagram_of_its_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code, text, _ = explained(monkeypatch, capsys, str(folder), "--mermaid")
    lines = text.splitlines()
    assert code == 0 and lines[0] == "sequenceDiagram" and all(LINE.fullmatch(line) for line in lines)
    assert any("->>" in line for line in lines)


def test_a_story_says_how_to_stop_at_its_last_op_in_the_run_that_it_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    stops: list[str] = []
    for file, told in ((folder, folder / "minimal.json"), (folder / "record.jsonl", folder / "record.jsonl")):
        _, text, _ = explained(monkeypatch, capsys, str(file))
        words = text.partition("to stop there: mmrace ")[2].split("\n")[0].split(" ")
        assert words[:3] == ["replay", str(told), "--break-at"]
        monkeypatch.setattr(sys, "breakpointhook", lambda: stops.append(sys._getframe(1).f_code.co_filename))
        in_process.run(monkeypatch, *words)
    assert len(stops) == 2
