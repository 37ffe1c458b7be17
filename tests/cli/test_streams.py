"""What a terminal cannot spell is spelled otherwise, and what is printed into the void raises nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.runs.output import SPELLING
from tests.cli.processes import ROOT
from tests.runs.program_files import GOOD


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


PRINTING = GOOD.replace("    box.x = box.x + 1", "    print('µ' * 10_000, flush=True)\n    box.x = box.x + 1")
EXPLORE = ("explore", "printing.py:main", "--schedules", "20", "--jobs", "2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "setting", "code"),
    [("/dev/null", {"PYTHONIOENCODING": "ascii"}, 0), ("/dev/full", {}, 2), ("", {}, 128 + signal.SIGPIPE)],
    ids=["ASCII", "full", "closed"],
)
def test_a_program_that_prints_in_a_worker_has_no_bug_by_what_stdout_is(
    device: str, setting: dict[str, str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "printing.py").write_text(PRINTING)
    reads, writes = os.pipe()
    os.close(reads)
    stdout = os.open(device, os.O_WRONLY) if device else writes
    done = subprocess.run(
        [sys.executable, "-m", "mmrace", *EXPLORE], cwd=tmp_path, stdout=stdout, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **setting}, check=False,
    )  # fmt: skip
    os.close(writes)
    assert (done.returncode, "FINDING" in done.stderr) == (code, False)
    assert not (tmp_path / ".mmrace" / "findings").exists()
