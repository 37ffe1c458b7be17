"""What `--help` prints on 80 columns: no sentence cut short, no word broken."""

from __future__ import annotations

import re

import pytest

from mmrace.cli.group import cli
from mmrace.report import lists
from tests import in_process


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


def test_no_command_is_told_by_a_sentence_that_is_cut(
    narrow: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(narrow, "--help") == 0
    out = capsys.readouterr().out
    assert "..." not in out.partition("Commands:")[2] and all(name in out for name in cli.commands)


def test_the_kinds_of_lists_are_whole_words(narrow: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process.run(narrow, "list", "--help") == 0
    assert {*lists.KINDS} <= {*re.findall(r"\w+", capsys.readouterr().out)}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["run", "--help"], ["rum"]])
def test_the_program_has_one_name_however_it_is_started(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, *words, program="/else/where.py") in (0, 2)
    told = "".join(capfd.readouterr())
    assert "mmrace" in told and "where.py" not in told


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_no_line_of_a_help_is_wider(name: str, narrow: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process.run(narrow, name, "--help") == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
