"""How small each planted bug's failing schedule gets, and whether its minimal file fails again wherever it is replayed.

    python stress/bench/minimal.py [--canaries NAME]... [--seconds 30] [--seed 1] [--place hunt|campaign] [--replays 10]
                                   [--cpu] [--folder DIR] [--json FILE] [--strict]

Each canary is hunted by the portfolio under `fiber`, with the parameters of a hunt or of its free runs (--place
campaign: longer runs, with pauses).  The record that has it is made smaller within --seconds.  Then the file is
replayed so many times, each in a fresh process with another PYTHONHASHSEED, by turns under `fiber` and `gate`: strictly
along its record, and by its schedule alone, which must do the same ops.

The bar: each canary replays every time, and the median of the seconds is under ten on two idle cores; with --strict
the exit code is 1 where it is not met.  "fewest" is shown if a walk over all
schedules with fewer turning points and choices came to its end.  With --cpu, seconds are those of this process alone,
whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from mmrace.history.canaries import canaries
from mmrace.history.canary import Canary
from mmrace.installed import MAKERS, run_one
from mmrace.runs.chosen import Chosen
from mmrace.runs.follow import follow
from mmrace.runs.judge import judge
from mmrace.runs.minimal import Minimal
from mmrace.runs.play import play
from mmrace.runs.spec import RunSpec, derive
from mmrace.runtime import files
from mmrace.runtime.record import Record
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget
from mmrace.strategies.guided import Guided

BAR_SECONDS = 10.0
SCHEDULES_MAX = 20_000  # of a hunt: the rarest canary is met in one of some hundred
REPLAY_SECONDS = 300.0  # of one process; a replay takes a second
ENGINES = ("fiber", "gate")


@dataclass(frozen=True, slots=True)
class Row:
    """One canary.  Attributes: same: of `of` fresh processes, so many replayed it both ways."""

    canary: str
    turns: tuple[int, int]
    choices: tuple[int, int]
    events: tuple[int, int]
    fewest: bool | None
    orderings: int
    complete: bool
    runs: int
    seconds: float
    same: int
    of: int


def hunted(canary: Canary, place: str, seed: int) -> tuple[Record, str]:
    """Return a record in which a canary was caught, and the signature of what it was caught by."""
    params = canary.params_under("fiber") if place == "hunt" else dict(canary.params)
    spec = RunSpec(canary.scenario, tuple(sorted(params.items())), canary.name, "fiber", "portfolio")
    for index in count():
        result = run_one(replace(spec, seed=derive(seed, canary.name, index)))
        caught = [finding for finding in result.findings if canary.caught_in([finding])]
        if caught and result.record is not None:
            return result.record, caught[0].signature
        if index == SCHEDULES_MAX:
            raise SystemExit(f"{canary.name} was not met in {SCHEDULES_MAX} schedules")
    raise AssertionError


def replays(path: str, times: int) -> int:
    """Return in how many of so many fresh processes a minimal file fails again."""
    same = 0
    for number in range(times):
        command = [sys.executable, __file__, "--replay", path, "--engine", ENGINES[number % len(ENGINES)]]
        environment = {**os.environ, "PYTHONHASHSEED": str(number)}
        ended = subprocess.run(command, env=environment, capture_output=True, timeout=REPLAY_SECONDS, check=False)
        same += ended.returncode == 0
        if ended.returncode:
            sys.stderr.write(ended.stdout.decode() + ended.stderr.decode())
    return same


def replay_here(path: str, engine: str) -> int:
    """Replay a minimal file in this process, both ways; return the exit code."""
    minimal = Minimal.read(path)
    spec = replace(minimal.spec, engine=engine)
    program = MAKERS.program(spec)
    strict = judge(program, spec, follow(program, spec, minimal.record), 0.0)
    guided = Guided(minimal.schedule.turns, minimal.schedule.choices)
    with play(program, spec, Chosen(guided), sites=True) as played:
        alike = _plain(played.record, minimal.record)
        again = judge(program, spec, played.record, 0.0)
    found = [minimal.signature in {finding.signature for finding in run.findings} for run in (strict, again)]
    print(f"{path} under {engine}: strictly {found[0]}, guided {found[1]}, the same ops {alike}")
    return 0 if all(found) and alike else 1


def _plain(one: Record, other: Record) -> bool:
    """Say whether two records have the same events, as files have them."""
    return json.dumps(list(one.plain()), default=str) == json.dumps(list(other.plain()), default=str)


def measure(canary: Canary, options: argparse.Namespace, folder: Path) -> Row:
    """Hunt a canary, make it smaller, replay it."""
    record, signature = hunted(canary, options.place, options.seed)
    clock = time.process_time if options.cpu else time.monotonic
    minimal = minimise(record, MAKERS, signature, Budget(seconds=options.seconds, clock=clock))
    path = folder / f"{canary.name}.json"
    minimal.write(path)
    shrunk = minimal.shrunk
    before, after = shrunk.before, shrunk.after
    return Row(
        canary.name,
        (before.turns, after.turns),
        (before.choices, after.choices),
        (before.events, after.events),
        shrunk.fewest,
        len(minimal.causal),
        shrunk.complete,
        shrunk.runs,
        shrunk.seconds,
        replays(str(path), options.replays),
        options.replays,
    )


def met(rows: Sequence[Row]) -> bool:
    """Say whether the bar is met."""
    if not rows:
        return False
    return statistics.median(row.seconds for row in rows) <= BAR_SECONDS and all(row.same == row.of for row in rows)


def line(row: Row) -> str:
    """Write a row."""
    turns, choices, events = (f"{before} -> {after}" for before, after in (row.turns, row.choices, row.events))
    fewest = {True: "shown", False: "not so", None: "not shown"}[row.fewest]
    ended = "" if row.complete else "  (budget ran out)"
    return (
        f"{row.canary:24} {turns:>12} {choices:>10} {events:>14}  {fewest:>9} {row.orderings:>9} {row.runs:>6} "
        f"{row.seconds:>7.1f}s  {row.same} of {row.of}{ended}"
    )


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--canaries", nargs="*", metavar="NAME", default=[])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--place", choices=("hunt", "campaign"), default="hunt")
    parser.add_argument("--replays", type=int, default=10)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--replay", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--engine", choices=ENGINES, default="fiber", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        return replay_here(options.replay, options.engine)
    head = f"{'canary':24} {'turns':>12} {'choices':>10} {'events':>14}  {'fewest':>9} {'orderings':>9} {'runs':>6}"
    print(f"{head} {'seconds':>8}  replayed")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        rows = []
        for name, canary in canaries().items():
            if not options.canaries or name in options.canaries:
                rows.append(measure(canary, options, folder))
                print(line(rows[-1]), flush=True)
    middle = statistics.median(row.seconds for row in rows)
    print(f"median {middle:.1f}s; shown to have the fewest: {sum(row.fewest is True for row in rows)} of {len(rows)}")
    if options.json:
        files.write_whole(options.json, [json.dumps([asdict(row) for row in rows], indent=1), "\n"])
    return 1 if options.strict and not met(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
