"""Each judge alone: whether it sees the bug that is planted for it, and nothing in the same runs without the bug.

    python -m stress.judges [--only JUDGE]... [--schedules N] [--seeds K] [--seed S] [--jobs J] [--json FILE]

For each judge of `mmrace list oracles` there is a bug in `stress/planted.py`.  It is hunted from K seeds, with at most
N schedules of the default strategy each, while all other judges are off.  Then its twin, the same program without the
bug, has TWIN_TIMES as many runs as the hunts took, judged by the same judge alone.  The table says in how many of the
seeds the bug was found, the median of schedules (if most seeds found it), and in how many of the twin's runs the judge
had something to judge ("saw"), and in how many it found something ("alarms").

Exit code: 1 if a judge has no bug, if less than FOUND_MIN of the seeds found one, if the twin raised an alarm, or if
the judge knew nothing of more than BLIND_MAX of the twin's runs.  A table is a function of the seed and the sources.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path

from mmrace.installed import MAKERS, catalogue
from mmrace.oracles.general import GENERAL
from mmrace.runs.functions import KIND as FUNCTION
from mmrace.runs.judge import judge, judges_of
from mmrace.runs.play import play
from mmrace.runs.spec import RunResult, RunSpec, derive
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime import files
from mmrace.scenarios.maker import JUDGES
from mmrace.strategies import portfolio
from stress import planted
from stress.planted import PLANTED, Planted

SEEDS = 20
SCHEDULES = 200  # of one hunt: a bug that one schedule in ten shows is missed from one seed in a thousand million
TWIN_TIMES = 10
FOUND_MIN = 1.0  # of the seeds
BLIND_MAX = 0.1  # of the twin's runs


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one row.  `found`: schedules that each seed took, None: not found; `alarms`: commands."""

    judge: str
    bench: str
    title: str
    found: tuple[int | None, ...]
    runs: int
    saw: int
    alarms: tuple[str, ...]
    seconds: float

    @property
    def hits(self) -> int:
        """Seeds that found it."""
        return sum(took is not None for took in self.found)

    @property
    def median(self) -> float:
        """Median of schedules; infinite if most seeds found nothing."""
        return statistics.median(inf if took is None else took for took in self.found)


def bench_of(row: Planted) -> str:
    """Say where the judge of a row has its seat: that of the kernel model may be the general one."""
    return "general" if row.bug.maker == FUNCTION or JUDGES[row.judge] in GENERAL.values() else "protocol"


def missing() -> list[str]:
    """Return the judges without a row, as "NAME (BENCH)"."""
    rows = {(row.judge, bench_of(row)) for row in PLANTED}
    return [f"{entry.name} ({entry.bench})" for entry in catalogue().oracles if (entry.name, entry.bench) not in rows]


def alone(spec: RunSpec, name: str, twin: RunSpec) -> RunResult:
    """Play a run, judged by one judge only; what its strategy knows of the program is of the twin, which is correct."""
    program = MAKERS.program(spec)
    spec = replace(spec, without=tuple(sorted(judges_of(program, spec).keys() - {name})))
    with play(program, spec, strategy_for(MAKERS.program(replace(twin, strategy=spec.strategy)), spec)) as played:
        return judge(program, spec, played.record, played.seconds)


def drawn(spec: RunSpec, seed: int, turn: int) -> RunSpec:
    """Return a run with the strategy of this turn of the default."""
    return replace(spec, strategy=portfolio.member(turn), seed=seed)


def hunt(row: Planted, seed: int, schedules: int) -> int | None:
    """Hunt the bug of a row from one seed; return the schedules that it took, None if it was not found."""
    for i in range(schedules):
        result = alone(drawn(row.bug, derive(seed, i), i), row.judge, row.twin)
        if any(finding.oracle == row.judge and row.rule in ("", finding.rule) for finding in result.findings):
            return i + 1
    return None


def measure(job: tuple[int, int, int, int]) -> Measured:
    """Measure one row.  Args: job: its number, seed, seeds, schedules."""
    number, seed, seeds, schedules = job
    row, began = PLANTED[number], time.perf_counter()
    planted.register()
    found = tuple(hunt(row, derive(seed, row.judge, k), schedules) for k in range(seeds))
    runs = TWIN_TIMES * sum(schedules if took is None else took for took in found)
    saw, alarms = 0, []
    for i in range(runs):
        result = alone(drawn(row.twin, derive(seed, row.judge, "twin", i), i), row.judge, row.twin)
        saw += result.verdict != "UNKNOWN"
        if result.verdict == "FAIL":
            alarms.append(result.spec.command())
    title = row.title
    return Measured(row.judge, bench_of(row), title, found, runs, saw, tuple(alarms), time.perf_counter() - began)


# -- telling --------------------------------------------------------------------------------------------------------

HEAD = f"{'judge':17}{'of':10}{'found':>9}{'median':>8}{'twin':>8}{'saw':>8}{'alarms':>8}{'s':>6}  planted"


def line(one: Measured) -> str:
    """Return the line of the table."""
    median = "> half" if one.median == inf else f"{one.median:g}"
    found = f"{one.hits} of {len(one.found)}"
    told = f"{one.judge:17}{one.bench:10}{found:>9}{median:>8}{one.runs:>8}{one.saw:>8}{len(one.alarms):>8}"
    return f"{told}{one.seconds:>6.0f}  {one.title}"


def complaints(done: Sequence[Measured], without_bug: Sequence[str]) -> list[str]:
    """Return what is wrong with what was measured, a line each."""
    said = [f"no bug: expected a row in stress/planted.py for each judge, got none for {name}" for name in without_bug]
    for one in done:
        if one.hits < FOUND_MIN * len(one.found):
            said.append(f"missed: {one.judge} ({one.bench}) found its bug from {one.hits} of {len(one.found)} seeds")
        if one.alarms:
            said.append(f"alarm: {one.judge} ({one.bench}) found something in the correct twin: {one.alarms[0]}")
        if one.runs - one.saw > BLIND_MAX * one.runs:
            said.append(f"idle: {one.judge} ({one.bench}) knew nothing of {one.runs - one.saw} of {one.runs} twins")
    return said


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({row.judge for row in PLANTED})
    parser.add_argument("--only", action="append", choices=names, metavar="JUDGE", help="this one; may be given again")
    parser.add_argument("--schedules", type=int, default=SCHEDULES, help="at most, from each seed (%(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="hunts of each (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what all seeds follow from (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    options = parser.parse_args(arguments)
    for option in ("schedules", "seeds", "jobs"):
        if getattr(options, option) < 1:
            parser.error(f"--{option}: expected 1 or more, got {getattr(options, option)}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every row, print the table; return the exit code."""
    options = parsed(arguments)
    limits = options.seed, options.seeds, options.schedules
    jobs = [(i, *limits) for i, row in enumerate(PLANTED) if not options.only or row.judge in options.only]
    done: list[Measured] = []
    print(HEAD, flush=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for one in pool.imap(measure, jobs):
            print(line(one), flush=True)
            done.append(one)
    said = complaints(done, missing())
    print("", *said, sep="\n")
    print(
        f"{len(done)} judges alone: {sum(one.hits == len(one.found) for one in done)} found their bug from every seed"
    )
    if options.json is not None:
        files.write_whole(options.json, [json.dumps([asdict(one) for one in done], indent=1), "\n"])
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
