"""What a terminal cannot spell is spelled otherwise, and what is printed into the void raises nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.cli.streams import SPELLING
from tests.cli.processes import ROOT


def test_what_ascii_lacks_is_spelled_or_escaped() -> None:
    assert "a ➜ b ➜➜ µ\udc80".encode("ascii", SPELLING) == b"a -> b ->-> \\xb5\\udc80"


@pytest.mark.slow
@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}], ids=["encoding", "locale"])
def test_an_ascii_terminal_shows_a_record(setting: dict[str, str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **setting}

    def mmrace(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "mmrace", *words], cwd=tmp_path, env=environment, capture_output=True, check=False
        )

    assert mmrace("run", "async-vs-commit", "--engine", "fiber", "--record", "r.jsonl").returncode == 0
    done = mmrace("show", "r.jsonl", "--last", "200")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii() and b" -> " in done.stdout


def test_a_full_stderr_changes_no_exit_code(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mmrace", "list", "nothing"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=full,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, b"")
