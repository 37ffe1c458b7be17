"""`mmrace diff`: records, minimal files and folders alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import in_process
from tests.runs.minimal_files import folder, passed


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    made = folder(tmp_path)
    passed().write(tmp_path / "passed.jsonl")
    return str(made), str(made / "minimal.json"), str(tmp_path / "passed.jsonl")


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert in_process.run(monkeypatch, "diff", *words) == 0
    return capsys.readouterr().out


def test_a_finding_and_its_minimal_file_that_nobody_shrank_are_the_same(
    files: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the same, event by event" in told(monkeypatch, capsys, files[0], files[1])


def test_a_failed_and_a_passed_run_differ_in_the_conflict_that_matters(
    files: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told(monkeypatch, capsys, files[0], files[2])
    assert "by a choice of the scheduler" in out and "headers differ of who chose: seed" in out
    assert "conflicting steps in another order" in out and "account.balance: A " in out


def test_a_step_is_looked_around_by_its_name_in_both(
    files: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = told(monkeypatch, capsys, files[0], files[2], "--around", "main.1/deposit:balance#2", "--last", "1")
    rows = out.partition("A event  ")[2].partition("not one class")[0].splitlines()
    assert [row.count("write account.balance") for row in rows if "account" in row] == [2], out


def test_a_file_that_is_none_is_a_wrong_call(
    files: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "diff", files[0], "nowhere.jsonl") == 2
    assert "nowhere.jsonl" in capsys.readouterr().err
