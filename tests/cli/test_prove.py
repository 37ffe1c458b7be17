"""`mmrace prove`: a proof of a minimal file or of the folder that has one, written into it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmrace import installed
from mmrace.runs.minimal import Minimal
from mmrace.runtime.errors import EXIT_PASS, EXIT_UNKNOWN, EXIT_USAGE
from mmrace.search.minimise.trials import Budget
from tests import in_process
from tests.runs.minimal_files import folder, minimal
from tests.runs.program_files import GOOD, write

FEW = ("--samples", "5")


@pytest.fixture
def found(tmp_path: Path) -> Path:
    return folder(tmp_path)


def test_the_proof_goes_into_the_file_and_is_told(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "prove", str(found), "--runs", "300", *FEW) == EXIT_PASS
    told = capsys.readouterr().out
    assert "point of no return: the beginning: all 4 classes of schedules fail (proved)" in told
    assert f"proved in: {found / 'minimal.json'}" in told
    proof = Minimal.read(found / "minimal.json").proof
    assert proof is not None
    assert proof.no_return is not None and proof.no_return.proved


@pytest.mark.slow
def test_minimising_proves_too_if_it_is_told_to(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "minimise", str(found), "--runs", "60") == EXIT_PASS
    assert "point of no return" not in capsys.readouterr().out
    assert in_process.run(monkeypatch, "minimise", str(found), "--runs", "60", "--prove", "60s") == EXIT_PASS
    assert "point of no return" in capsys.readouterr().out
    assert Minimal.read(found / "minimal.json").proof is not None


@pytest.mark.slow
def test_a_story_has_the_proof_or_says_how_to_get_one(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "explain", str(found)) == EXIT_PASS
    assert f"not yet proved: mmrace prove {found}" in capsys.readouterr().out
    assert in_process.run(monkeypatch, "prove", str(found), "--runs", "300", *FEW) == EXIT_PASS
    capsys.readouterr()
    assert in_process.run(monkeypatch, "explain", str(found)) == EXIT_PASS
    told = capsys.readouterr().out
    assert "How sure it is" in told
    assert "point of no return: the beginning" in told
    assert "not yet proved" not in told


def test_another_file_leaves_the_first_as_it_was(found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = found / "minimal.json", tmp_path / "proved.json"
    before = file.read_bytes()
    assert in_process.run(monkeypatch, "prove", str(file), "--runs", "300", *FEW, "--out", str(other)) == EXIT_PASS
    assert file.read_bytes() == before
    assert Minimal.read(other).proof is not None


def test_what_is_not_proved_is_unknown(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "prove", str(found), "--runs", "1") == EXIT_UNKNOWN
    assert "point of no return: not found within the budget" in capsys.readouterr().out
    proof = Minimal.read(found / "minimal.json").proof
    assert proof is not None and not proof.budget.complete


def test_a_record_without_a_minimal_file_is_a_wrong_call(
    found: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (found / "minimal.json").unlink()
    for place in (found, found / "record.jsonl"):
        assert in_process.run(monkeypatch, "prove", str(place)) == EXIT_USAGE
        assert f"mmrace minimise {place}" in capsys.readouterr().err


def test_a_record_of_a_run_that_passed_is_not_sent_to_another_command_that_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "good.py", GOOD)
    assert (
        in_process.run(monkeypatch, "run", "good.py:main", "--engine", "fiber", "--record", "good.jsonl") == EXIT_PASS
    )
    assert in_process.run(monkeypatch, "prove", "good.jsonl") == EXIT_USAGE
    told = capsys.readouterr().err
    assert "a record without a finding" in told and "mmrace minimise good.jsonl" not in told


def test_the_proof_of_a_file_is_a_function_of_it_and_of_the_runs() -> None:
    proofs = [installed.prove(minimal(), "", Budget(runs=200), 5).proof for _ in range(2)]
    assert proofs[0] is not None and proofs[1] is not None
    assert replace(proofs[0], budget=proofs[1].budget) == proofs[1]
