"""A newcomer's walk over one bug: hunted freely, found by construction, hunted again, all in one folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.runs.program_files import RACY, mmrace, write

HERE = '--store "my findings"'
FREE = f"stress racy.py:main --engine free --runs 4 --jobs 1 --convert off {HERE}"
CONTROLLED = f"explore racy.py:main --schedules 20 --jobs 1 {HERE}"


def done(folder: Path, command: str) -> str:
    """Run a command that is to end in FAIL; return what it prints."""
    ended = mmrace(*shlex.split(command), cwd=folder)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


def repeats(text: str) -> list[str]:
    """Return the commands to paste, without the program's name."""
    return re.findall(r"repeat: mmrace (.*)", text)


@pytest.mark.slow
def test_the_commands_of_a_finding_work_whoever_found_it_first(tmp_path: Path) -> None:
    write(tmp_path / "racy.py", RACY)
    hunted = done(tmp_path, FREE)
    signatures = re.findall(r"FINDING (\w+)", hunted)
    assert signatures and f"new; saved in my findings/findings/{signatures[0]}\n" in hunted
    assert not any(command.startswith("replay") for command in repeats(hunted))

    explored = done(tmp_path, CONTROLLED)
    assert "replayed 5 of 5" in explored and "replayed 0" not in explored
    assert re.search(r"^known since \d{4}-\d\d-\d\dT\S+; seen in", explored, re.M)
    replays = [command for command in repeats(explored) if command.startswith("replay")]
    assert {Path(shlex.split(command)[1]).parent.name for command in replays} >= {*signatures}
    for command in repeats(explored):
        assert "FAIL" in done(tmp_path, command)
    for signature in signatures:
        folder = tmp_path / "my findings" / "findings" / signature
        written = (folder / "command.txt").read_text().splitlines()
        assert written[0].startswith("mmrace replay") and "FAIL" in done(tmp_path, written[0].removeprefix("mmrace "))
        assert json.loads((folder / "summary.json").read_text())["findings"][0]["signature"] == signature

    again = done(tmp_path, FREE)
    assert f"known since {json.loads((folder / 'summary.json').read_text())['since']}; kept in my findings" in again
    assert "saved in" not in again
    assert {command for command in repeats(again) if command.startswith("replay")} <= {*replays}
