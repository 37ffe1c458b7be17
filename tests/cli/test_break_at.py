"""`--break-at`: of `run` and `replay`, and what is wrong with a call."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmrace.examples import lost_update
from tests import in_process
from tests.runs.minimal_files import folder

PROGRAM = f"{lost_update.__file__}:main"
RUN = ("run", PROGRAM, "--engine", "gate", "--seed", "1")


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the debugger was called: lines."""
    found: list[int] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: found.append(sys._getframe(1).f_lineno))
    return found


def test_run_and_replay_stop_at_the_same_step(
    stops: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record was made under `fiber`: it is followed under `gate`, which does the same."""
    made = str(folder(tmp_path))
    told = []
    for words in (RUN, ("replay", made), ("replay", f"{made}/minimal.json")):
        assert in_process.run(monkeypatch, *words, "--break-at", "main.1/deposit:balance#2") == 1
        out = capsys.readouterr().out
        told.append(out.partition("stopped before")[2].partition("ops")[0].splitlines()[:-1])
        assert out.splitlines()[-1] == "FAIL"
    assert told[0] == told[1] == told[2] and "main.1 is about to write account.balance" in told[0][0]
    assert len(stops) == 3 and len(set(stops)) == 1


@pytest.mark.parametrize("engine", ["fiber", "free"])
def test_without_threads_that_stand_still_it_is_a_wrong_call(
    engine: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "run", PROGRAM, "--engine", engine, "--break-at", "5") == 2
    assert "--break-at: expected --engine gate" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["99999", "main.1/deposit:balnce#2", "main.1/deposit:balance#2/7"])
def test_a_step_that_is_not_there_is_a_wrong_call(
    step: str, stops: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = str(folder(tmp_path))
    for words in (RUN, ("replay", made)):
        assert in_process.run(monkeypatch, *words, "--break-at", step) == 2
        assert "mmrace: --break-at: expected" in capsys.readouterr().err
    assert stops == []


def test_what_is_no_step_is_a_wrong_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process.run(monkeypatch, *RUN, "--break-at", "deposit") == 2
    assert "TASK/SITE/TIMES" in capsys.readouterr().err


def test_a_record_of_free_threads_says_how_to_come_to_one_that_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record, controlled = str(tmp_path / "free.jsonl"), str(tmp_path / "free.controlled.jsonl")
    assert in_process.run(monkeypatch, "run", PROGRAM, "--engine", "free", "--record", record, "--convert", "off") in (
        0,
        1,
    )
    capsys.readouterr()
    assert in_process.run(monkeypatch, "replay", record, "--break-at", "5") == 2
    error = capsys.readouterr().err
    assert "--break-at: expected the record of a run under control" in error and "got 'one of free threads'" in error
    assert f"mmrace replay {record} --record {controlled}" in error and "--engine" not in error
