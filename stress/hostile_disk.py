"""A disk that is full, read-only, shared or gone: clear words, and nothing is lost that was reported as kept.

    python -m stress.hostile_disk [--positions N] [--runs N] [findings|ledger|full|read-only|two|removed ...]

On small file systems in memory, in a mount namespace of its own (skipped, with the reason, where that is refused):

- `full`: the same campaign with a planted bug on disks of N sizes, so that the disk is full at another place each time.
  What the report says was kept is there, whole; then there is room, and the same seed again, or `--resume` where it
  was not written down that it ended, comes to what it should.
- `findings`, `ledger`: findings, and batches of the ledger, written by this process alone on disks of N sizes.
- `read-only`: a campaign is refused; what only reads the store works.
- `two`: two campaigns of the same runs on one store at once count each run once.
- `removed`: the store goes away under a campaign that runs.

Exit code 0 if nothing is wrong, else 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Row
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmrace.runtime.errors import EXIT_UNKNOWN, EXIT_USAGE
from stress import full_store
from stress.full_store import PAGE_BYTES, ROOMY, disk, refused, remount, unread, unshare
from stress.kept_campaign import Came, came, differences, ended_as, findings
from stress.kills_of_campaigns import PROGRAM
from stress.watched import size

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "MMRACE_OWN_MOUNTS"
POSITIONS, RUNS, SEED = 50, 120, 1
LIMIT_SECONDS = 300.0
LOOK_SECONDS = 0.01
ANSI = re.compile(r"\x1b\[[0-9;]*m")
UNKEPT = re.compile(r"([\d,]+) runs? (?:is|are) not in the ledger")
SAVED = re.compile(r"(?:saved|kept) in (\S+/findings/[\w-]+)")
NIGHT = "report-night"  # its exit code is that of what it tells
READING = ("status", "history", NIGHT)
"""Commands that only read a store."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    def wrong(self, *codes: int) -> list[str]:
        """Return what is wrong with how it ended."""
        found = [] if self.code in codes else [f"exit code {self.code}, expected {' or '.join(map(str, codes))}"]
        found += [text for text in ("Traceback", "mmrace bug") if text in self.out + self.err]
        return [f"{text}: {self.last()}" for text in found]

    def last(self) -> str:
        """Return its last lines."""
        return " / ".join((self.err + self.out).strip().splitlines()[-3:])


def mmrace(*words: str) -> Ran:
    """Run a command."""
    return _ended(_start(*words))


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mmrace", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended(process: subprocess.Popen[str]) -> Ran:
    try:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()
    return Ran(process.returncode, ANSI.sub("", out), ANSI.sub("", err))


class Hostile:
    """All cases.  Args: folder: for file systems.  runs: of each campaign."""

    def __init__(self, folder: Path, runs: int, positions: int) -> None:
        self.folder, self.positions = folder, positions
        self.ask = ("stress", *PROGRAM, "--runs", str(runs), "--seed", str(SEED))
        self.each = ("--jobs", "1", "--minimise", "off")

    @cached_property
    def undisturbed(self) -> tuple[Ran, Came, int]:
        """What the campaign comes to where there is room: how it ended, what it left, and how many bytes that is."""
        with disk(self.folder / "calm", ROOMY) as place:
            ran = self._campaign(place / "store")
            calm, bytes_ = came(place / "store"), size(place)
        print(f"undisturbed: {calm.runs} runs, {len(calm.folders)} findings, {bytes_:,} bytes, exit code {ran.code}")
        return ran, calm, bytes_

    @property
    def code(self) -> int:
        """Its exit code."""
        return self.undisturbed[0].code

    @property
    def calm(self) -> Came:
        """What it left."""
        return self.undisturbed[1]

    def _campaign(self, store: Path) -> Ran:
        return mmrace(*self.ask, *self.each, "--store", str(store))

    def _resumed(self, store: Path) -> Ran:
        return mmrace("stress", "--resume", *self.each, "--store", str(store))

    # -- full -------------------------------------------------------------------------------------------------------

    def full(self) -> Iterator[str]:
        """Yield what is wrong with disks of all sizes."""
        most = self.undisturbed[2] // PAGE_BYTES + 2 * self.positions
        told = 0
        for position in range(self.positions):
            pages = 2 + position * most // self.positions
            with disk(self.folder / "full", pages * PAGE_BYTES) as place:
                store = place / "store"
                ran = self._campaign(store)
                told += ran.code == EXIT_USAGE or bool(UNKEPT.search(ran.out + ran.err))
                for wrong in self._kept(ran, store):
                    yield f"{pages} pages: {wrong}"
                remount(place, f"size={ROOMY}")
                again = self._resumed(store) if ended_as(store)[-1:] == [None] else self._campaign(store)
                for wrong in (*again.wrong(self.code), *differences(self.calm, came(store))):
                    yield f"{pages} pages, and then room: {wrong}"
            last = (ran.out or ran.err).strip().splitlines()[-1:]
            print(f"full: {position + 1} of {self.positions}, {pages} pages:", *last, file=sys.stderr, flush=True)
        print(f"full: {self.positions} sizes up to {most} pages; of {told} the report said that runs are not kept")

    def _kept(self, ran: Ran, store: Path) -> Iterator[str]:
        """Yield what is wrong with what a full disk left."""
        yield from ran.wrong(self.code, EXIT_USAGE, EXIT_UNKNOWN)
        found = came(store)
        if found.twice:
            yield f"{found.twice} runs are there twice"
        unkept = sum(int(number.replace(",", "")) for number in UNKEPT.findall(ran.out + ran.err)[:1])
        if ran.code != EXIT_USAGE and found.runs != self.calm.runs - unkept:
            yield f"{found.runs} runs are kept, and it said {unkept} of {self.calm.runs} are not: {ran.last()}"
        if found.lost and "No space left" not in ran.out:
            yield f"it does not say why {', '.join(found.lost)} has no folder: {ran.last()}"
        yield from unread(SAVED.findall(ran.out))
        yield from unread(map(str, findings(store)))

    # -- others -----------------------------------------------------------------------------------------------------

    def read_only(self) -> Iterator[str]:
        """Yield what is wrong with a store that can only be read."""
        with disk(self.folder / "read-only", ROOMY) as place:
            store = place / "store"
            self._campaign(store)
            before = came(store)
            remount(place, "ro")
            ran = self._campaign(store)
            yield from ran.wrong(EXIT_USAGE)
            if "Read-only file system" not in ran.err or "--store" not in ran.err:
                yield f"it does not say what is wrong, and what to try: {ran.last()}"
            for name in READING:
                more = mmrace(name, "--store", str(store))
                yield from (f"{name}: {wrong}" for wrong in more.wrong(self.code if name == NIGHT else 0))
            if came(store) != before:
                yield "the store is not what it was"
        print("read-only: done")

    def two(self) -> Iterator[str]:
        """Yield what is wrong with two campaigns at once."""
        with disk(self.folder / "two", ROOMY) as place:
            store = place / "store"
            both = [_start(*self.ask, *self.each, "--store", str(store)) for _ in range(2)]
            for process in both:
                yield from _ended(process).wrong(self.code)
            yield from differences(self.calm, came(store))
        print("two: done")

    def removed(self) -> Iterator[str]:
        """Yield what is wrong with a store that goes away."""
        with disk(self.folder / "removed", ROOMY) as place:
            store = place / "store"
            process = _start(*self.ask, *self.each, "--store", str(store))
            until = time.monotonic() + LIMIT_SECONDS
            while not size(store / "ledger") and time.monotonic() < until and process.poll() is None:
                time.sleep(LOOK_SECONDS)
            shutil.rmtree(store, ignore_errors=True)
            ran = _ended(process)
            yield from ran.wrong(self.code)
            found = came(store)
            unkept = sum(int(number.replace(",", "")) for number in UNKEPT.findall(ran.out + ran.err)[:1])
            if found.runs + unkept != self.calm.runs or found.twice:
                yield f"{found.runs} of {self.calm.runs} runs are kept, and it said {unkept} are not: {ran.last()}"
        print("removed: done")


CASES: dict[str, Callable[[Hostile], Iterator[str]]] = {
    "findings": lambda hostile: full_store.findings_kept(hostile.folder, hostile.positions),
    "ledger": lambda hostile: full_store.batches_kept(hostile.folder, hostile.positions),
    "full": Hostile.full,
    "read-only": Hostile.read_only,
    "two": Hostile.two,
    "removed": Hostile.removed,
}


def main(words: Row[str] | None = None) -> int:
    """Try all; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--positions", type=int, default=POSITIONS)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args(words)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"expected {', '.join(CASES)}; got {', '.join(sorted(unknown))}")
    if INSIDE not in os.environ:
        if why := refused():
            print(f"skipped: no mounts of one's own here: {why}")
            return 0
        asked = sys.argv[1:] if words is None else words
        command = [*unshare(), sys.executable, "-m", "stress.hostile_disk", *asked]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, INSIDE: "1"}, check=False).returncode
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this script ends what it started
    wrong = []
    with tempfile.TemporaryDirectory(prefix="mmrace-disk-") as place:
        hostile = Hostile(Path(place), options.runs, options.positions)
        for name in options.cases or CASES:
            for text in CASES[name](hostile):
                wrong.append(text)
                print(f"WRONG {name}: {text}", flush=True)
    print(f"{len(wrong)} things are wrong" if wrong else "nothing is wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
