"""README shows only what runs: its commands are run, its paths and make targets exist.

Long-running targets (`make stress`) are not run here; that they exist is checked, and the campaign they start is tested
elsewhere.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line[2:] for block in re.findall(r"```console\n(.*?)```", README, re.S) for line in block.splitlines()]
MAY_FAIL = ("--variant", "replay")  # a planted bug is shown: exit code 1 is what the text promises


def mmrace(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[0] == "mmrace"
    return subprocess.run(
        [sys.executable, "-m", "mmrace", *words[1:]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 6


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_shown_does_what_the_text_says(tmp_path: Path) -> None:
    for command in COMMANDS:
        done = mmrace(command, tmp_path)
        wanted = 1 if any(word in command for word in MAY_FAIL) else 0
        assert done.returncode == wanted, f"{command}\n{done.stdout}\n{done.stderr}"
        if command.startswith("mmrace run") and "--variant" in command:
            assert "unlock of a lock that nobody holds (task migrator, object bh:main:0.b_state.BH_Lock)" in done.stdout
        if command.startswith("mmrace replay"):
            assert "every op as recorded; the same findings as recorded" in done.stdout
        if "--exhaustive" in command:
            assert "PASS exhaustive: all 346 classes of interleavings" in done.stdout
        if command.startswith("mmrace show"):
            assert "bh:main:0.b_state.BH_Lock" in done.stdout


@pytest.mark.slow
def test_without_the_variant_the_same_run_passes(tmp_path: Path) -> None:
    command = next(command for command in COMMANDS if command.startswith("mmrace run") and "--variant" in command)
    assert mmrace(command.replace("--variant async-backout", ""), tmp_path).returncode == 0


def test_every_path_and_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets
    for path in re.findall(r"`((?:mmrace|stress|tools|tests)/[\w./-]*)`", README):
        assert (ROOT / path).exists(), path
