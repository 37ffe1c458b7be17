"""The command line in a process of its own, which can be sent signals and whose output can be taken away.

Its progress comes as a line at each turn, so that a test can wait for the n-th one; `ended` reads to the end of the
pipes, which its workers have too: it comes back only when none of them is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.search.campaign import stand_ins

ROOT = Path(__file__).resolve().parent.parent.parent

TALKATIVE = """
import errno, multiprocessing.process, os, sys
from mmrace import cli
from mmrace.report import terminal
from mmrace.search.explore import driver
terminal.LINE_SECONDS = driver.TELL_SECONDS = 0.0
stand_in = sys.argv.pop(1)
if stand_in != "real":
    from mmrace import installed
    from tests.search.campaign import stand_ins
    known = stand_ins.stand_in_catalogue(stand_ins.StandInCanary("planted"))
    installed.catalogue, installed.campaign_one = lambda: known, stand_ins.__dict__[stand_in]
if "MMRACE_TEST_NO_PROCESSES" in os.environ:
    def refuse(process):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    multiprocessing.process.BaseProcess.start = refuse
sys.argv[0] = "mmrace"
cli.main()
"""
"""Its first argument is the stand-in that makes runs, or `real`."""


def start(
    *words: str,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    before: str = "",
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start it as the head of a process group of its own.  Args: before: what a shell does before it becomes it."""
    settings = {"PYTHONPATH": str(ROOT), stand_ins.SCRATCH: str(cwd), **(environment or {})}
    return subprocess.Popen(
        ["sh", "-c", f'{before}\nexec "$@"', "sh", sys.executable, "-c", TALKATIVE, *words],
        cwd=cwd,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lines(process: subprocess.Popen[str], number: int) -> str:
    """Return its next lines."""
    assert process.stdout is not None
    return "".join(process.stdout.readline() for _ in range(number))


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return its exit code, and what it wrote since, when it and all its workers have ended."""
    out, err = process.communicate()
    return process.returncode, out, err
