"""`mmrace trail`: of a record, a minimal file and a folder alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import in_process
from tests.runs.minimal_files import folder


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    made = folder(tmp_path)
    return [str(made), str(made / "record.jsonl"), str(made / "minimal.json")]


def test_the_same_life_is_in_the_folder_the_record_and_the_minimal_file(
    places: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for place in places:
        assert in_process.run(monkeypatch, "trail", "account", place, "--kind", "write") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] == told[2] and told[0].count("write balance = 1 (was 0)") == 1


def test_a_name_that_is_not_known_is_a_wrong_call(
    places: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "trail", "acount", places[0]) == 2
    assert "did you mean account" in capsys.readouterr().err


def test_steps_are_chosen_by_name_and_by_number(
    places: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "trail", "account", places[0], "--from", "main.1/deposit:balance#2/1") == 0
    named = capsys.readouterr().out
    step = named.split("main.1  write")[0].split()[-1]
    assert in_process.run(monkeypatch, "trail", "account", places[0], "--from", step) == 0
    assert capsys.readouterr().out == named
    assert in_process.run(monkeypatch, "show", places[0], "--around", "main.1/deposit:balance#2") == 0
    assert f" {step} " in capsys.readouterr().out
    assert in_process.run(monkeypatch, "show", places[0], "--around", "main.1/deposit:balnce#2") == 2
    assert "did you mean main.1/deposit:balance#2" in capsys.readouterr().err


def test_a_part_of_several_names_lists_them(
    places: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "trail", "main", places[0]) == 0  # a name, though it is a part of others
    capsys.readouterr()
    assert in_process.run(monkeypatch, "trail", "ain", places[0]) == 2
    error = capsys.readouterr().err
    assert "got 'ain, which is in the name of main, main.0, main.1'" in error and "mmrace trail main" in error
