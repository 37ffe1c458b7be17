"""What becomes of commands where something is missing: room, a folder, a reader, letters, columns, descriptors.

python -m tests.cli.conditions [FOLDER]      prints the table: condition, command, exit code, words
"""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.cli.processes import start

STRESS = ("stress", "alpha", "--runs", "2", "--jobs", "1", "--no-canaries")
EXPLORE = ("explore", "async-vs-commit", "--variant", "double-put", "--schedules", "20", "--jobs", "1")
SMALL_EXPLORE = ("explore", "async-vs-commit", "--schedules", "4", "--jobs", "2", "--param", "idle=0")
ESCAPE = "\x1b"
BAR = "\\|"  # inside a table


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A command where something is missing, and what is to become of it.

    Args: stand_in: who makes its runs, `real` if nobody stands in.  stdout: `pipe`, `head` (closed after the line with
    `out`), a device's path, or `terminal`.  before: what the shell does first.  out, err: words that must be there;
    lacks: what must not be in either.  leaves: a file that must be there in the end.
    """

    name: str
    words: tuple[str, ...]
    code: int
    stand_in: str = "real"
    stdout: str = "pipe"
    environment: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    out: str = ""
    err: str = ""
    lacks: str = "Traceback"
    ascii: bool = False
    columns: int = 0
    leaves: str = ""

    def run(self, folder: Path) -> Ended:
        """Run the command in a folder."""
        if self.stdout == "terminal":
            return self._on_terminal(folder)
        device = os.open(self.stdout, os.O_WRONLY) if self.stdout.startswith("/") else None
        try:
            kinds = {} if device is None else {"stdout": device}
            process = start(
                self.stand_in, *self.words, cwd=folder, environment=self.environment, before=self.before, **kinds
            )
        finally:
            if device is not None:
                os.close(device)
        out = ""
        if self.stdout == "head":
            assert process.stdout is not None
            while line := process.stdout.readline():
                out += line
                if self.out in line:
                    break
            process.stdout.close()
            process.stdout = None
        more, err = process.communicate()
        return Ended(process.returncode, out + (more or ""), err)

    def _on_terminal(self, folder: Path) -> Ended:
        ours, theirs = pty.openpty()
        process = start(
            self.stand_in, *self.words, cwd=folder, environment=self.environment, before=self.before, stdout=theirs
        )
        os.close(theirs)
        got = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # nobody has the other end any more
                break
            if not piece:
                break
            got += piece
        os.close(ours)
        _, err = process.communicate()
        return Ended(process.returncode, got.decode(), err)

    def breaches(self, ended: Ended, folder: Path) -> list[str]:
        """Return what is not as it should be."""
        found = []
        if ended.code != self.code:
            found.append(f"exit code {ended.code}, not {self.code}")
        for name, text, wanted in (("stdout", ended.out, self.out), ("stderr", ended.err, self.err)):
            if wanted not in text:
                found.append(f"{name} lacks {wanted!r}")
        if self.lacks in ended.out + ended.err or "Traceback" in ended.out + ended.err:
            found.append(f"{self.lacks!r} or a traceback is there")
        if self.ascii and not (ended.out + ended.err).isascii():
            found.append("not ASCII")
        if self.columns and max(map(len, re.findall(r"^ .*$", ended.out, re.M))) > self.columns:
            found.append("a row is too long")
        if self.leaves and not list(folder.glob(self.leaves)):
            found.append(f"no {self.leaves}")
        return found


NO_ROOM = "ulimit -f 0"  # as a full disk: whatever is written to a file fails
PIPE = 128 + signal.SIGPIPE

CONDITIONS = (
    Condition(
        "full disk", ("stress", "alpha", "--runs", "1", "--jobs", "1", "--no-canaries"), 1, "full_disk",
        out="COULD NOT BE SAVED: OSError: [Errno 28] No space left on device",
    ),
    Condition("full disk from the start", STRESS, 2, "passing", before=NO_ROOM, err="--store: File too large"),
    Condition(
        "full disk under --log", (*STRESS, "--log", "/dev/full"), 0, "passing",
        out="PASS  2 runs", err="mmrace: /dev/full: No space left on device: the log ends here, the campaign goes on\n",
    ),
    Condition(
        "full disk under --junit", (*STRESS, "--junit", "/dev/full"), 2, "passing",
        out="PASS  2 runs", err="--junit /dev/full: expected a JUnit file that can be written",
    ),
    Condition("a file as folder", (*STRESS, "--store", "/dev/null"), 2, "passing", err="a folder that can be written"),
    Condition("read-only folder", (*EXPLORE, "--store", "/proc/here"), 2, err="expected a folder that can be written"),
    Condition("read-only folder", ("claims", "C1", "--store", "/proc/here"), 2, err="expected a folder that can be"),
    Condition("closed stdout", ("list", "noise"), 2, before="exec >&-", err="expected a stdout to write to"),
    Condition("closed stdout", EXPLORE, 2, before="exec >&-", err="expected a stdout to write to"),
    Condition("full stdout", ("list", "noise"), 2, stdout="/dev/full", err="stdout cannot be written: No space left"),
    Condition("full stdout", ("run", "async-vs-commit", "--engine", "fiber"), 2, stdout="/dev/full", err="\nPASS\n"),
    Condition("full stdout", EXPLORE, 2, stdout="/dev/full", err="\nFAIL ", leaves=".mmrace/findings/*/record.jsonl"),
    Condition("full stdout", ("--help",), 2, stdout="/dev/full", err="Usage: "),
    Condition("| head -1", ("list",), PIPE, stdout="head"),
    Condition("| head -1", ("status", "--watch"), PIPE, before="mkdir .mmrace", stdout="head", out="no campaign yet"),
    Condition(
        "full disk", ("export-ledger", "--parquet", "x"), 2, before=f"mkdir .mmrace; {NO_ROOM}",
        err="--parquet x: expected a Parquet file that can be written, got 'File too large",
    ),
    Condition(
        "| grep -m1 FINDING",
        ("explore", "async-vs-commit", "--variant", "double-put", "--for", "1d", "--jobs", "1"), PIPE,
        stdout="head", out="FINDING ", leaves=".mmrace/findings/*/record.jsonl",
    ),
    Condition(
        "| head -1", ("stress", "alpha", "--for", "1d", "--jobs", "1"), PIPE, "failing_on_canaries", stdout="head"
    ),
    Condition("| head -1", ("claims", "C1", "--for", "1d", "--jobs", "1"), PIPE, stdout="head"),
    Condition("ASCII", ("list",), 0, environment={"PYTHONIOENCODING": "ascii"}, out="async-vs-commit", ascii=True),
    Condition("ASCII", EXPLORE, 1, environment={"LC_ALL": "C"}, out="\nFAIL ", ascii=True),
    Condition("ASCII", STRESS, 0, "passing", environment={"LC_ALL": "POSIX"}, out="PASS  2 runs", ascii=True),
    Condition(
        "TERM=dumb", ("stress", "alpha", "--runs", "40", "--jobs", "1"), 0, "failing_on_canaries", stdout="terminal",
        environment={"TERM": "dumb"}, out="; runs ", lacks=ESCAPE,
    ),
    Condition(
        "TERM=xterm", ("stress", "alpha", "--runs", "40", "--jobs", "1"), 0, "failing_on_canaries", stdout="terminal",
        environment={"TERM": "xterm"}, out=ESCAPE,
    ),
    *(
        Condition(f"{width} columns", words, 0, stand_in, environment={"COLUMNS": str(width)}, columns=width)
        for width in (80, 200)
        for stand_in, words in (("real", ("list",)), ("passing", STRESS))
    ),
    Condition(
        "no descriptors", SMALL_EXPLORE, 5, before="ulimit -n 8",
        err="could not be started: [Errno 24] Too many open files", out="UNKNOWN ",
    ),
    Condition(
        "no processes", SMALL_EXPLORE, 5, environment={"MMRACE_TEST_NO_PROCESSES": "1"},
        err="[Errno 11] Resource temporarily unavailable", out="UNKNOWN ",
    ),
    Condition(
        "no processes", STRESS, 5, "passing", environment={"MMRACE_TEST_NO_PROCESSES": "1"},
        err="[Errno 11] Resource temporarily unavailable", out="UNKNOWN ",
    ),
)  # fmt: skip


def main() -> int:
    """Print the table."""
    bad = 0
    print("| condition | command | exit | words |\n|---|---|---|---|")
    for condition in CONDITIONS:
        with tempfile.TemporaryDirectory() as folder:
            ended = condition.run(Path(folder))
            breaches = condition.breaches(ended, Path(folder))
        bad += bool(breaches)
        said = next((line for line in ended.err.splitlines() if "mmrace" in line), "") or _last(ended.err)
        last = _last(ended.out) or _last(ended.err)
        told = [said.strip()] if said.strip() not in ("", last) else []
        words = "; ".join([*told, f"last line `{last[:120]}`", *breaches]).replace(ESCAPE, "ESC").replace("|", BAR)
        print(
            f"| {condition.name.replace('|', BAR)} | `{' '.join(condition.words)}` | {ended.code} | {words} |",
            flush=True,
        )
    return 1 if bad else 0


def _last(text: str) -> str:
    return text.strip().splitlines()[-1].strip() if text.strip() else ""


if __name__ == "__main__":
    sys.exit(main())
