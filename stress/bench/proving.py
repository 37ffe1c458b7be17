"""Of how many planted bugs the point of no return is proved, and what that takes.

    python -m stress.bench.proving [--only NAME]... [--seconds 30] [--runs N] [--minimise 20] [--samples 100] [--seed 1]
                                   [--folder DIR] [--json FILE] [--strict]

Each canary and each other bug of `stress/planted.py` is hunted by the portfolio under `fiber`, its record is made
smaller within --minimise seconds, and the minimal file is proved within --seconds, or within --runs, which gives the
same table on every machine.  With --folder the minimal files are kept there, and those that are there already are not
made again.

A row has: the ops of the run; how many of them the point of no return comes after; how many classes are left there,
and whether that all fail is proved ("late": only from some later op on); orderings whose swap was proved to pass, of
all; how many of the continuations drawn from the beginning fail; runs and seconds.  The bar: proved for at least half
of the canaries and of all rows; with --strict the exit code is 1 where it is not met.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmrace.history.canaries import canaries
from mmrace.installed import MAKERS, run_one
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.minimal import Minimal
from mmrace.runs.spec import RunSpec, derive
from mmrace.runtime import files
from mmrace.runtime.record import Record
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget
from mmrace.search.prove.prove import prove
from mmrace.strategies import portfolio
from stress import planted
from stress.planted import PLANTED

SCHEDULES_MAX = 20_000  # of a hunt: the rarest is met in one of some hundred
BAR = 0.5  # of the rows, and of the canaries


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug.  `rule`: "": any of the judge's."""

    name: str
    judge: str
    rule: str
    spec: RunSpec
    is_canary: bool

    def met_in(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings that are of this bug's judge and rule."""
        return [one for one in findings if one.oracle == self.judge and self.rule in ("", one.rule)]


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one."""

    name: str
    is_canary: bool
    steps: int
    no_return: int | None
    classes: int | None
    proved: bool
    since: int | None
    swaps: int
    swaps_proved: int
    share: float | None
    runs: int
    seconds: float


def bugs() -> Iterator[Bug]:
    """Yield every bug: the canaries as they are hunted, then what else is planted."""
    for name, canary in canaries().items():
        params = tuple(sorted(canary.params_under("fiber").items()))
        yield Bug(name, canary.oracle, canary.rule, RunSpec(canary.scenario, params, name, "fiber"), True)
    for row in PLANTED:
        if row.bug.variant not in canaries():
            name = row.bug.variant or f"program-{row.judge}"
            yield Bug(name, row.judge, row.rule, row.bug, False)


def hunted(bug: Bug, seed: int) -> tuple[Record, str]:
    """Return a record that has a bug, and the signature of its finding."""
    for index in range(SCHEDULES_MAX):
        drawn = replace(bug.spec, strategy=portfolio.member(index), seed=derive(seed, bug.name, index))
        result = run_one(drawn)
        met = bug.met_in(result.findings)
        if met and result.record is not None:
            return result.record, met[0].signature
    raise SystemExit(f"{bug.name} was not met in {SCHEDULES_MAX} schedules")


def minimal_of(bug: Bug, options: argparse.Namespace, folder: Path) -> Minimal:
    """Return the minimal file of a bug, from the folder or made now."""
    path = folder / f"{bug.name}.json"
    if not path.exists():
        record, signature = hunted(bug, options.seed)
        minimise(record, MAKERS, signature, Budget(seconds=options.minimise)).write(path)
    return Minimal.read(path)


def measure(bug: Bug, options: argparse.Namespace, folder: Path) -> Row:
    """Make a bug's proof."""
    minimal = minimal_of(bug, options, folder)
    seconds = options.seconds if options.runs is None else None
    began = time.perf_counter()
    proved = prove(minimal, MAKERS, Budget(options.runs, seconds), options.samples)
    lasted = time.perf_counter() - began
    proved.write(folder / f"{bug.name}.proved.json")
    proof = proved.proof
    assert proof is not None
    told, first = proof.no_return, next(iter(proof.points), None)
    return Row(
        bug.name,
        bug.is_canary,
        proof.steps,
        None if told is None else told.step,
        None if told is None else told.classes,
        told is not None and told.proved,
        None if told is None else told.proved_from,
        len(minimal.causal),
        sum(swap.proved for swap in proof.swaps),
        first.fails / first.of if first is not None and first.of else None,
        proof.budget.runs,
        lasted,
    )


HEAD = f"{'bug':26}{'ops':>6}{'no return':>11}{'classes':>9}{'proved':>8}{'swaps':>9}{'share':>8}{'runs':>7}{'s':>7}"


def line(row: Row) -> str:
    """Write a row."""
    late = row.since is not None and row.since <= row.steps
    proved = "yes" if row.proved else f"{row.since}" if late else "no"
    step = "-" if row.no_return is None else str(row.no_return) if row.no_return <= row.steps else "failure"
    share = "-" if row.share is None else f"{row.share:.0%}"
    told = f"{row.name:26}{row.steps:>6}{step:>11}{row.classes if row.classes is not None else '-':>9}{proved:>8}"
    return f"{told}{f'{row.swaps_proved} of {row.swaps}':>9}{share:>8}{row.runs:>7}{row.seconds:>7.1f}"


def complaint(rows: Sequence[Row]) -> str:
    """Say how many are proved, and whether that is enough."""
    parts = []
    for what, some in (("canaries", [row for row in rows if row.is_canary]), ("all", rows)):
        count = sum(row.proved for row in some)
        parts.append(f"{count} of {len(some)} {what}" + ("" if count >= BAR * len(some) else " (TOO FEW)"))
    return f"point of no return proved: {', '.join(parts)}; median {statistics.median(r.seconds for r in rows):.1f} s"


def main() -> int:
    """Measure, print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="this one; may be given again")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a proof (%(default)s)")
    parser.add_argument("--runs", type=int, help="of a proof, however long they take")
    parser.add_argument("--minimise", type=float, default=20.0, help="seconds to make a schedule smaller (%(default)s)")
    parser.add_argument("--samples", type=int, default=100, help="drawn at a point (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the hunts (%(default)s)")
    parser.add_argument("--folder", type=Path, help="keep minimal files here")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    parser.add_argument("--strict", action="store_true", help="exit code 1 below the bar")
    options = parser.parse_args()
    planted.register()
    rows: list[Row] = []
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for bug in bugs():
            if not options.only or bug.name in options.only:
                rows.append(measure(bug, options, folder))
                print(line(rows[-1]), flush=True)
    said = complaint(rows)
    print(said)
    if options.json is not None:
        files.write_whole(options.json, [json.dumps([asdict(row) for row in rows], indent=1), "\n"])
    return 1 if options.strict and "TOO FEW" in said else 0


if __name__ == "__main__":
    sys.exit(main())
