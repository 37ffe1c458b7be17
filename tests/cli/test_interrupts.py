"""Signals: whatever asks a command to stop gets the report, 128 + its number, and leaves nobody behind."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.runs import stops
from tests.cli.processes import ROOT, ended, lines, start

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "interrupted by SIGTERM", signal.SIGHUP: "interrupted by SIGHUP"}
SIGNALS = pytest.mark.parametrize("number", NAMES, ids=[number.name for number in NAMES])
SEED = 7

LONG = {
    "stress": ("failing_on_canaries", "stress", "alpha", "--for", "1d12h", "--jobs", "2"),
    "samples": ("real", "explore", "async-vs-commit", "--for", "1d", "--jobs", "2"),
    "walk": ("real", "explore", "async-vs-commit", "--exhaustive", "--param", "idle=0"),
    "claims": ("real", "claims", "C1", "--for", "8h30m", "--jobs", "2"),
}
"""Commands that do not end by themselves within a test."""
COMMANDS = pytest.mark.parametrize("words", LONG.values(), ids=LONG)


@pytest.mark.slow
@COMMANDS
@SIGNALS
def test_a_signal_to_the_whole_group_at_a_random_moment_ends_in_the_report(
    words: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    process = start(*words, cwd=tmp_path)
    lines(process, random.Random(f"{SEED} {words} {number}").randint(1, 12))
    os.killpg(process.pid, number)  # as a terminal, a closed one, or the end of a session does
    code, out, err = ended(process)
    assert code == 128 + number
    assert NAMES[number] in out and out.strip().splitlines()[-1].startswith(("UNKNOWN", "FAIL", "interrupted"))
    assert "Traceback" not in out + err


@pytest.mark.slow
@SIGNALS
def test_a_signal_to_the_parent_alone_takes_its_workers_along(number: signal.Signals, tmp_path: Path) -> None:
    process = start(*LONG["samples"], cwd=tmp_path)
    lines(process, 3)
    process.send_signal(number)
    code, out, err = ended(process)
    assert (code, err) == (128 + number, "")
    assert NAMES[number] in out


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed_though_they_are_in_the_middle_of_a_run(tmp_path: Path) -> None:
    process = start("stuck", "stress", "alpha", "--no-canaries", "--for", "1h", "--jobs", "2", cwd=tmp_path)
    assert process.stdout is not None
    begun = 0
    while begun < 2:
        begun += process.stdout.readline() == "stuck\n"
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL  # comes back: nobody has the pipe any more


@pytest.mark.slow
def test_nohup_keeps_sighup_away_and_sigterm_still_ends_it(tmp_path: Path) -> None:
    process = start(*LONG["stress"], cwd=tmp_path, before="trap '' HUP")
    lines(process, 2)
    os.killpg(process.pid, signal.SIGHUP)
    lines(process, 3)
    os.killpg(process.pid, signal.SIGTERM)
    code, out, _ = ended(process)
    assert code == 143 and "interrupted by SIGTERM" in out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_background_job_of_a_script_can_be_stopped_though_its_shell_ignores_ctrl_c_for_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = start(*LONG["stress"], cwd=tmp_path, before="trap '' INT")
    lines(process, 2)
    process.send_signal(number)
    assert ended(process)[0] == 128 + number


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize("group", [False, True], ids=["make alone", "group"])
def test_make_stress_that_is_ended_takes_mmrace_along_report_and_all(group: bool, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    os.symlink(sys.executable, tools / "python")
    mmrace = tools / "mmrace"
    mmrace.write_text(
        f'#!{sys.executable}\nimport sys\nsys.path.insert(0, "{ROOT}")\nfrom mmrace.cli import main\nmain()\n'
    )
    mmrace.chmod(0o755)
    (tmp_path / ".venv" / ".stamp-run").touch()
    process = subprocess.Popen(
        ["make", "stress"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    while "canary" not in process.stdout.readline():
        pass
    os.killpg(process.pid, signal.SIGTERM) if group else process.terminate()
    _, out, err = ended(process)
    assert "interrupted by SIGTERM; this is what was known by then" in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_display_that_is_ended_gives_the_terminal_its_cursor_back(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = start(*LONG["stress"], cwd=tmp_path, stdout=theirs, environment={"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # nobody has the other end any more
        while piece := os.read(ours, 4096):
            if b"runs" in piece and b"runs" not in shown:
                process.terminate()
            shown += piece
    os.close(ours)
    assert ended(process)[0] == 143
    assert b"interrupted by SIGTERM" in shown.rpartition(b"\x1b[?25h")[2]


EARLY = """
import os, runpy, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
sys.argv = ["mmrace", "stress"]
runpy.run_module("mmrace", run_name="__main__")
"""


@pytest.mark.parametrize("name", ["click", "rich.console", "mmrace.kernel.mm.migrate", "mmrace.cli.stress"])
@SIGNALS
def test_a_signal_during_the_imports_ends_it_without_a_traceback(
    name: str, number: signal.Signals, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY.format(name=name, number=int(number))],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "interrupted\n")


def test_ctrl_c_before_anything_can_take_it_has_no_traceback_either(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY.format(name="mmrace.cli", number=int(signal.SIGINT))],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_signals_that_end_a_command_are_those_that_are_tested() -> None:
    assert set(NAMES) == set(stops.NUMBERS)
