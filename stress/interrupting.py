"""Signals at random moments: whatever moment it is, the report comes, the exit code says which signal, nobody is left.

    python -m stress.interrupting [--moments N] [--seed N]

For each of SIGINT, SIGTERM and SIGHUP, N times: start one of the long commands, and at the n-th function call of its
parent process send it the signal; to the parent alone, or to the whole group as a terminal does.  n is drawn by seed: a
fifth of the moments are in the imports, three fifths in the search, a fifth after it, in the report.  Prints a line for
each moment, then a table; exit code 1 if one of them went wrong.  Not deterministic: what the parent is doing at its
n-th call depends on its workers.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from stress.watched import having

ROOT = Path(__file__).resolve().parent.parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOMENTS = 20
ORPHAN_SECONDS = 5.0  # so long may somebody be left after the parent's end
LIMIT_SECONDS = 120.0
MARK = "MMRACE_INTERRUPTED"
IMPORTING, SEARCHING, REPORTING = PHASES = ("imports", "search", "report")
TURNS = (SEARCHING, IMPORTING, SEARCHING, REPORTING, SEARCHING)
CALLS = {IMPORTING: 120_000, REPORTING: 600}
"""Phase -> about how many calls it has, at least."""
LAST_LINE = re.compile(r"(PASS|FAIL|UNKNOWN)\b|.*claims? in \d+ parts")

COMMANDS = {
    ("stress", "--jobs", "2", "--for"): 10_000,
    ("explore", "async-vs-commit", "--jobs", "2", "--for"): 200_000,
    ("explore", "async-vs-commit", "--exhaustive", "--param", "idle=0", "--for"): 500_000,
    ("claims", "C1", "C2", "--jobs", "2", "--for"): 20_000,
}
"""Long command, without its time -> about how many calls its parent makes in a few seconds of search."""

SENDING = """
import os, runpy, signal, sys, time
phase, number, group, at = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "group", int(sys.argv[4])
RUNS = {"Campaign.run", "Explorer.run", "ClaimsRun.run"}
where, calls = "imports", 0
def profile(frame, event, argument):
    global where, calls
    if event in ("call", "return") and frame.f_code.co_qualname in RUNS:
        where = "search" if event == "call" else "report"
    if event == "call" and where == phase:
        calls += 1
        if calls == at:
            sys.setprofile(None)
            open("sent", "w").write(str(time.monotonic()))
            (os.killpg if group else os.kill)(os.getpid(), number)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever this script was started under, such as nohup
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[:5] = ["mmrace"]
sys.setprofile(profile)
runpy.run_module("mmrace", run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When which signal comes to what."""

    words: tuple[str, ...]
    number: signal.Signals
    phase: str
    group: bool
    at: int

    def __str__(self) -> str:
        whom = "group" if self.group else "parent"
        return f"{self.number.name} to the {whom} at call {self.at} of the {self.phase}: {' '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of it.

    Attributes: wrong: what should not be.  took: seconds from the signal to the parent's end, report and all.  seconds:
    until nobody was left after that.
    """

    wrong: tuple[str, ...]
    took: float
    seconds: float


def moments(seed: int, each: int) -> list[Moment]:
    """Draw the moments."""
    draw = random.Random(seed)
    made = []
    for number in SIGNALS:
        for turn in range(each):
            words, calls = list(COMMANDS.items())[turn % len(COMMANDS)]
            phase = TURNS[turn // len(COMMANDS) % len(TURNS)]
            for_ = "2s" if phase == REPORTING else "1d"
            at = draw.randint(1, CALLS.get(phase, calls))
            made.append(Moment((*words, for_), number, phase, draw.random() < 0.5, at))
    return made


def interrupt(moment: Moment) -> Ended:
    """Start the command, let it send itself the signal, and see how it ends."""
    with tempfile.TemporaryDirectory() as folder:
        mark = f"{MARK}={Path(folder).name}"
        arguments = (moment.phase, str(int(moment.number)), "group" if moment.group else "parent", str(moment.at))
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", SENDING, *arguments, *moment.words],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), MARK: Path(folder).name},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        try:
            code: int | str = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            code = f"none after {LIMIT_SECONDS:g} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        began = time.monotonic()
        sent = Path(folder, "sent")
        took = began - float(sent.read_text() or began) if sent.exists() else 0.0  # it may have been ended before
        while (left := having(mark)) and time.monotonic() - began < ORPHAN_SECONDS:
            time.sleep(0.02)
        seconds = time.monotonic() - began
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return Ended(tuple(_wrong(moment, code, out.read_text(), err.read_text(), left)), took, seconds)


def _wrong(moment: Moment, code: int | str, out: str, err: str, left: Sequence[int]) -> list[str]:
    """Return what should not be."""
    wrong = []
    unhandled = moment.phase == IMPORTING and not err  # nothing could take it yet: a shell says 128 + n of that, too
    if code != (-moment.number if unhandled else 128 + moment.number):
        wrong.append(f"exit code {code}")
    if "Traceback" in err or "ignored" in err:
        wrong.append(f"stderr: {err.strip()[-300:]}")
    if bug := re.search(r"mmrace bug.{0,300}", out + err, re.DOTALL):
        wrong.append(bug[0])
    if left:
        wrong.append(f"{len(left)} processes left")
    if moment.phase == IMPORTING:
        if out or err not in ("", "interrupted\n"):
            wrong.append(f"printed {out[-100:]!r} {err[-100:]!r}")
        return wrong
    lines = out.strip().splitlines()
    if not lines or not LAST_LINE.match(lines[-1]):
        wrong.append(f"no report: {out[-100:]!r}")
    if "interrupted" not in out + err or (moment.number != signal.SIGINT and moment.number.name not in out + err):
        wrong.append("it does not say what ended it")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the signals; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=MOMENTS, help="how many of each signal")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this script ends what it started
    right: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    took: list[float] = []
    longest = 0.0
    for moment in moments(options.seed, options.moments):
        ended = interrupt(moment)
        key = moment.number.name, moment.phase
        tried[key] += 1
        right[key] += not ended.wrong
        longest = max(longest, ended.seconds)
        took.append(ended.took)
        print(f"{'; '.join(ended.wrong) or 'right'}, {ended.took:.2f} s: {moment}", flush=True)
    print(f"\n{'signal':10}" + "".join(f"{phase:>12}" for phase in PHASES))
    for number in SIGNALS:
        cells = [f"{right[number.name, phase]} of {tried[number.name, phase]}" for phase in PHASES]
        print(f"{number.name:10}" + "".join(f"{cell:>12}" for cell in cells))
    print(f"from the signal to the end, report and all: {median(took):.2f} s, {max(took):.2f} s at the latest")
    print(f"nobody was left {longest:.2f} s after the parent's end, at the latest")
    return 0 if right == tried else 1


if __name__ == "__main__":
    sys.exit(main())
