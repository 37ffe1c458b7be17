"""README shows only what runs: its commands print what it says they print, its Python too; paths and targets exist.

The walk is done as a newcomer does it: every command in turn, in one folder.  In what README prints of an output, a
line `...` stands for any lines, and `...` within one for what differs from run to run, or moves with every change of
the model, as numbers of events do.  A story is as wide as README.  Long-running targets (`make stress`) are not run
here; that they exist is checked, and the campaign they start is tested elsewhere.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python (\S+)\n(.*?)```", README, re.S))
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)
LINES_MAX = 380
WIDE, OF_A_STORY = 400, 110  # columns: so that no line of an output is broken, and so that a table fits
ANY = "..."
OWN_LINES_MAX = 10  # of a cast, or a planted bug, of one's own


class Shown(NamedTuple):
    """A command, and the lines that README shows of its output."""

    command: str
    lines: list[str]


def shown() -> list[Shown]:
    found: list[Shown] = []
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Shown(line[2:], []))
            else:
                found[-1].lines.append(line)
    return found


SHOWN = shown()


def python(folder: Path, *words: str, columns: int = WIDE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "", "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=False,
    )


def mmrace(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    words = shlex.split(command)
    assert words[0] == "mmrace"
    return python(folder, "-m", *words, columns=OF_A_STORY if words[1] == "explain" else WIDE)


def as_shown(lines: list[str], out: str) -> bool:
    """Say whether an output is what README shows of it."""
    pattern = ""
    for line in lines:
        if line == ANY:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.split(ANY)) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in out.splitlines())) is not None


@pytest.mark.parametrize(
    ("lines", "fits"),
    [
        (["one 12 s", "two"], True),
        (["one ... s", ANY], True),
        ([ANY, "two"], True),
        (["one 12 s"], False),
        (["two"], False),
        (["one 12", ANY], False),
        (["two", "one 12 s"], False),
    ],
)
def test_an_output_that_is_not_as_shown_is_noticed(lines: list[str], fits: bool) -> None:
    assert as_shown(lines, "one 12 s  \ntwo\n") is fits


def test_readme_shows_commands_and_programs_in_few_lines() -> None:
    assert len(SHOWN) >= 6 and FILES and SNIPPETS
    assert len(README.splitlines()) <= LINES_MAX


def test_every_command_is_shown_with_the_end_of_its_output() -> None:
    assert [each.command for each in SHOWN if not each.lines] == []


def test_a_cast_and_a_planted_bug_take_ten_lines() -> None:
    for name in ("truncation.py", "no_wake.py"):
        own = [line for line in FILES[name].splitlines() if line and not line.startswith(("from", "import"))]
        assert len(own) <= OWN_LINES_MAX, name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_command_of_the_walk_prints_what_readme_shows(tmp_path: Path) -> None:
    for command, lines in SHOWN:
        done = mmrace(command, tmp_path)
        assert as_shown(lines, done.stdout), f"{command}\n{done.stdout}\n{done.stderr}"
        fails = any(line.startswith("FAIL") for line in lines)
        assert done.returncode == int(fails), f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_python_shown_says_what_the_text_says(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for snippet in SNIPPETS:
        done = python(tmp_path, "-c", snippet)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("FAIL 4 [")


@pytest.mark.slow
def test_without_the_variant_the_same_run_passes(tmp_path: Path) -> None:
    command = next(each.command for each in SHOWN if re.match("mmrace run .*--variant", each.command))
    assert mmrace(command.replace("--variant async-backout", ""), tmp_path).returncode == 0
