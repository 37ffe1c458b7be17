"""The lessons beside the examples: each shows its race by a script, and prints what the lesson says it prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests import in_process
from tests.test_readme import as_shown

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "mmrace" / "examples"
TEXT = (EXAMPLES / "README.md").read_text(encoding="utf-8")
LESSONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))
COUNT = 5
SCRIPT = "script:text="


def shown(lesson: str) -> tuple[str, list[str]]:
    """Return the command of a lesson, and the lines that it shows."""
    (block,) = re.findall(r"```console\n(.*?)```", lesson, re.S)
    command, *lines = block.splitlines()
    return command.removeprefix("$ "), lines


def test_there_are_five_and_each_names_its_file() -> None:
    assert len(LESSONS) == COUNT
    files = [re.findall(r"`mmrace/examples/(\w+)\.py`", text) for text in LESSONS.values()]
    named = [names[0] for names in files]
    assert len({*named}) == COUNT
    assert {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__"} == {*named, "bounded_queue"}


@pytest.mark.parametrize("title", LESSONS)
def test_a_script_of_one_line_shows_the_race_and_its_report(
    title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "400")
    command, lines = shown(LESSONS[title])
    assert SCRIPT in command
    assert in_process.run(monkeypatch, *shlex.split(command)[1:]) == 1
    out = capsys.readouterr().out
    assert as_shown(lines, out), out


@pytest.mark.parametrize("title", LESSONS)
def test_the_mended_twin_of_a_lesson_passes_in_every_schedule(
    title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    program = shlex.split(shown(LESSONS[title])[0])[2].replace(":main", ":mended")
    words = ["explore", program, "--exhaustive", "--store", str(tmp_path), "--quiet"]
    assert in_process.run(monkeypatch, *words) == 0
    assert "PASS exhaustive" in capsys.readouterr().out
