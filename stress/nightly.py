"""A night's work: all that is slow, part by part, in at most four hours and fifty minutes.

A night that was stopped goes on where it was.

    python stress/nightly.py [--fresh] [PART...]        (`make nightly`, `make nightly PARTS="canaries walks" FRESH=1`)

Each part is a list of commands under one time limit; it passes if all of them exit with 0 in time.  What a part prints
goes to `.mmrace/nightly/PART.log`, verdicts to `state.json` beside it.  Parts that passed are not done again when the
night goes on; they are once every part asked for has passed, once a source file has changed, or with --fresh.  Exit
code: 0 if all parts passed, 1 if not, 2 for a wrong call, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from mmrace.runtime import files

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".mmrace" / "nightly"
SOURCES = ("mmrace", "stress", "tests", "tools", "pyproject.toml")
NIGHT_MINUTES = 315
GRACE_SECONDS = 10.0  # between asking a part that is over its time to end and killing it
SHOWN_LINES = 15  # of the log of a part that did not pass
PASS, FAIL, TIMEOUT = "PASS", "FAIL", "TIMEOUT"

TESTS = ("-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal")
STRESS = ("-m", "mmrace", "stress", "--store", str(FOLDER / "findings"))


@dataclass(frozen=True, slots=True)
class Part:
    """One part.  `minutes`: its limit; `commands`: arguments of this Python, one command after the other."""

    name: str
    minutes: float
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one part."""

    verdict: str
    seconds: float


MIGRATE_WALKS = ("async-1", "sync-1", "reclaim-1", "writeback-1")  # a quarter of an hour together
FAULT_WALKS = ("fault-load", "fault-load-light", "fault-load-bare", "fault-store")  # half of that

SOAK = ("-m", "stress.soak", "--keep", str(FOLDER / "soak"), "--out", str(FOLDER / "soak" / "soak"))
ALARMS = ("stress/false_alarms.py", "--jobs", "2")

PARTS = (
    Part("slow", 8, ((*TESTS, "-m", "slow"),)),
    Part("grammar", 25, (("-m", "tests.strategies.whole_grammar"),)),
    Part("canaries", 7, tuple((*STRESS, "--engine", engine, "--runs", "60") for engine in ("free", "gate", "fiber"))),
    Part("pythons", 10, (("-m", "tools.quick_tiers"),)),
    Part("repeat", 8, ((*TESTS, "-k", "free or real_threads", "--count", "10", "tests/runtime", "tests/kernel"),)),
    Part("four", 3, ((*STRESS, "four", "--for", "2m", "--no-canaries"),)),
    Part("alarms", 18, tuple((*ALARMS, *more) for more in (("--runs", "14000"), ("--runs", "6000", "--eras")))),
    Part("walks", 20, (("stress/bench/exhaustive.py", "--seconds", "1150", "--strict", *MIGRATE_WALKS),)),
    Part("faults", 15, (("stress/bench/exhaustive.py", "--seconds", "850", "--strict", *FAULT_WALKS),)),
    Part("table", 10, (("-m", "mmrace", "compaction-table", "--store", str(FOLDER / "table")),)),
    Part("hunts", 12, (("stress/bench/hunts.py", "--strategies", "portfolio", "--cpu", "--strict"),)),
    Part("killing", 7, (("stress/killing.py",), ("stress/killing.py", "--seed", "2", "--jobs", "3"))),
    Part("kills", 20, (("-m", "stress.kills_of_campaigns"),)),
    Part("fleet", 12, (("-m", "stress.fleet", "--moments", "12"),)),
    Part("dask", 8, (("stress/bench/fleet.py", "--pairs", "3", "--batches", "10000"),)),
    Part("disk", 13, (("-m", "stress.hostile_disk"),)),
    Part("ledger", 10, (("stress/bench/ledger.py", "--batches", "1000000", "--strict"),)),
    Part("soak", 27, ((*SOAK, "--for", "23m", "--load", "2"),)),
    Part("fuzz", 10, (("-m", "stress.fuzz"),)),
    Part("signals", 8, (("-m", "stress.interrupting"),)),
    Part("judges", 10, (("-m", "stress.judges"),)),
    Part("blindness", 45, (("-m", "stress.blindness", "--state", str(FOLDER / "blindness.jsonl")),)),
    Part("classes", 4, (("stress/bench/classes.py", "--schedules", "2000", "--seconds", "0"),)),
)


def digest(paths: Iterable[Path]) -> str:
    """Return a hash of all files under these paths: verdicts are of one tree."""
    found = hashlib.sha256()
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(f"{file.relative_to(path.parent)}\0".encode() + file.read_bytes())
    return found.hexdigest()


class Night:
    """Does parts, and remembers what came of each.  `tree`: what identifies the sources; `out`: where it reports."""

    def __init__(self, parts: Sequence[Part], folder: Path, tree: str, out: TextIO = sys.stdout) -> None:
        self.parts = parts
        self.folder = folder
        self.tree = tree
        self.out = out
        self.done: dict[str, Done] = {}

    def run(self, *, fresh: bool = False) -> int:
        """Do all parts that did not pass yet; return the exit code."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = self._passed()
        if fresh or all(part.name in kept for part in self.parts):
            for part in self.parts:
                kept.pop(part.name, None)
        self.done = {**kept}
        self._save()
        for part in self.parts:
            if part.name in kept:
                self._say(f"{part.name}: passed already")
                continue
            self._say(f"{part.name}: at most {part.minutes:g} minutes, log {self._log(part)}")
            self.done[part.name] = self._do(part)
            self._save()
        self._table(kept)
        return 0 if all(self.done[part.name].verdict == PASS for part in self.parts) else 1

    # -- what is remembered -----------------------------------------------------------------------------------------

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"

    def _passed(self) -> dict[str, Done]:
        """Return the parts that passed on this tree."""
        if not self._state.exists():
            return {}
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            done = {name: Done(**facts) for name, facts in state["parts"].items()}
            tree = state["tree"]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self._say(f"{self._state} cannot be read ({error}): all anew")
            return {}
        if tree != self.tree:
            self._say("the sources have changed: all anew")
            return {}
        return {name: facts for name, facts in done.items() if facts.verdict == PASS}

    def _save(self) -> None:
        state = {"tree": self.tree, "parts": {name: asdict(done) for name, done in self.done.items()}}
        files.write_whole(self._state, [json.dumps(state, indent=1), "\n"])

    # -- one part ---------------------------------------------------------------------------------------------------

    def _do(self, part: Part) -> Done:
        began, code = time.monotonic(), None
        self._log(part).unlink(missing_ok=True)
        with files.create(self._log(part)) as log:
            for command in part.commands:
                print(f"$ python {' '.join(command)}", file=log, flush=True)
                code = _ended(command, log, began + 60 * part.minutes - time.monotonic())
                if code != 0:
                    break
        verdict = TIMEOUT if code is None else FAIL if code else PASS
        if verdict != PASS:
            for line in self._log(part).read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]:
                self._say(f"    {line}")
        done = Done(verdict, round(time.monotonic() - began, 1))
        self._say(f"{part.name}: {verdict}{f', exit code {code}' if code else ''}, {done.seconds:.0f} s")
        return done

    def _log(self, part: Part) -> Path:
        return self.folder / f"{part.name}.log"

    # -- what is told -----------------------------------------------------------------------------------------------

    def _table(self, kept: dict[str, Done]) -> None:
        self._say(f"\n{'part':12}{'verdict':10}{'seconds':>9}")
        for part in self.parts:
            done = self.done[part.name]
            self._say(f"{part.name:12}{done.verdict:10}{done.seconds:>9.1f}{'  earlier' if part.name in kept else ''}")

    def _say(self, line: str) -> None:
        print(line, file=self.out, flush=True)


def _ended(command: Sequence[str], log: TextIO, seconds: float) -> int | None:
    """Run a command in a process group of its own; return its exit code, None if its time was up."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:  # Ctrl-C comes by here as well, and workers outlive a part that was killed
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part, and whatever it left behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def chosen(names: Sequence[str], parts: Sequence[Part]) -> list[Part]:
    """Return the parts of these names, in the order of the night; all without names.  Raises LookupError."""
    known = [part.name for part in parts]
    for name in names:
        if name not in known:
            raise LookupError(f"expected parts of {', '.join(known)}; got {name!r}")
    return [part for part in parts if not names or part.name in names]


def main(arguments: Sequence[str] | None = None, parts: Sequence[Part] = PARTS, folder: Path = FOLDER) -> int:
    """Do the night, or the parts named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(part.name for part in parts))
    parser.add_argument("--fresh", action="store_true", help="do parts again that passed")
    options = parser.parse_args(arguments)
    try:
        night = Night(chosen(options.parts, parts), folder, digest(ROOT / source for source in SOURCES))
    except LookupError as error:
        parser.error(str(error.args[0]))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return night.run(fresh=options.fresh)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
