"""How fast each planted bug is found under a controlled engine: schedules and seconds to find, for each strategy.

    python stress/bench/hunts.py [--seeds 20] [--seconds 10] [--cap N] [--engine fiber|gate] [--strategies TEXT]...
                                 [--canaries NAME]... [--cpu] [--json FILE] [--strict]

A hunt draws the schedules that `mmrace explore --strategy TEXT --seed K` would draw, on the program that the canary
names for it (`Canary.hunt`), judges each by all oracles, and ends at the first that the canary's own oracle and rule
catch, or at --seconds or --cap schedules: then it is censored.  Medians are over all hunts, a censored one counting as
more than any other; where the median is one of them it is shown as "> n", n the fewest schedules (seconds) of those.
What a hunt's strategy needs to know beforehand (which accesses race, the profile) is found out once and its time added
to each hunt, as each `mmrace explore` would pay it.  Everything is made in this process, on one core.

A systematic strategy walks one tree, whatever the seed: there is one hunt of it, and every run counts, those of no use
too.  The bar is the portfolio's: every canary in each of 20 seeds within 10 s; with --strict the exit code is 1 where
it is not met.  Not measured: the second run of a failure, saving it, and shrinking.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import count
from math import inf
from pathlib import Path

from mmrace.history.canaries import canaries
from mmrace.history.canary import Canary
from mmrace.installed import MAKERS
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.judge import judge
from mmrace.runs.play import play
from mmrace.runs.profile import profile_of, racing
from mmrace.runs.program import Program
from mmrace.runs.spec import RunResult, RunSpec, derive
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime import files
from mmrace.runtime.controlled import Controlled
from mmrace.search.explore.generations import Loop
from mmrace.search.explore.one import judge_visit
from mmrace.search.explore.walk import Walk
from mmrace.search.pool.cores import cores
from mmrace.strategies import portfolio, registry
from mmrace.strategies.feedback import NOTHING, Shown, collect, is_feedback

STRATEGIES = (
    "portfolio", "random", "pos", "surw", "urw", "pct", "random-delays", "feedback:base=pos",
    "preemption", "delay", "dpor",
)  # fmt: skip
BAR_SEEDS, BAR_SECONDS = 20, 10.0
COLLECT_EVERY = 64  # runs between two collections: a run's model is a knot of cycles, and a hunt may be long
BUSY = 0.5  # load average a core from which the machine is called busy

Clock = Callable[[], float]
Runs = Generator[list[Finding], None, None]
"""The findings of one run after another, to the end of the tree or for ever."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a hunt gives up.  `cap`: schedules; None: not bounded by them."""

    seconds: float
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Hunt:
    """What came of one hunt; if nothing was found it is censored at these schedules and seconds."""

    found: bool
    schedules: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Cell:
    """The hunts of one canary by one strategy."""

    canary: str
    strategy: str
    hunts: tuple[Hunt, ...]

    @property
    def found(self) -> int:
        """How many found it."""
        return sum(hunt.found for hunt in self.hunts)

    def median(self, figure: Callable[[Hunt], float]) -> tuple[float, bool]:
        """Return the median over all hunts; or the least figure of the censored ones, and True: it is more."""
        middle = statistics.median(figure(hunt) if hunt.found else inf for hunt in self.hunts)
        if middle < inf:
            return middle, False
        return min(figure(hunt) for hunt in self.hunts if not hunt.found), True


# -- the schedules of a hunt ----------------------------------------------------------------------------------------


def spec_of(canary: Canary, text: str, engine: str, seed: int) -> RunSpec:
    """Return the first run of an exploration of a canary."""
    params = tuple(sorted(canary.params_under(engine).items()))
    return RunSpec(
        canary.scenario, params, variant=canary.name, engine=engine, strategy=text, seed=seed, promote="racing"
    )


def is_systematic(text: str) -> bool:
    """Say whether a text asks for a walk of a tree.  Raises UsageError for an unknown one."""
    registry.check(text, systematic=True)
    return registry.is_systematic(text)


def runs_of(first: RunSpec) -> Runs:
    """Yield what each run of an exploration showed its judges."""
    program = MAKERS.program(first)
    if is_systematic(first.strategy):
        return _walk(program, first)
    return _generations(program, first) if is_feedback(first.strategy) else _samples(program, first)


def _samples(program: Program, first: RunSpec) -> Runs:
    for index in count():
        text, seed = registry.member_by_turn(first.strategy, index), derive(first.seed, "schedule", index)
        yield _draw(program, replace(first, strategy=text, seed=seed)).findings


def _generations(program: Program, first: RunSpec) -> Runs:
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(first.strategy, lambda text: replace(first, strategy=text), Path(folder))
        while True:
            kept: list[Shown] = []
            for index in loop.indices(None):
                result = _draw(program, loop.spec(index))
                kept.append(result.shown or NOTHING)
                yield result.findings
            loop.learn(kept)


def _draw(program: Program, spec: RunSpec) -> RunResult:
    chosen = strategy_for(program, spec)
    with play(program, spec, chosen) as played:
        result = judge(program, spec, played.record, 0.0)
        if chosen.tape is not None:
            assert isinstance(played.engine, Controlled)
            result.shown = collect(chosen.tape, played.engine, played.record)
    result.record = None
    return result


class _Every:
    """Holds every signature: no run is made again for its sites."""

    def __contains__(self, signature: object) -> bool:
        return True


def _walk(program: Program, first: RunSpec) -> Runs:
    for visit in Walk(program, first, registry.walk(first.strategy)):
        yield judge_visit(visit, _Every()).findings if visit.counts else []


# -- hunting --------------------------------------------------------------------------------------------------------


def prepare(spec: RunSpec, clock: Clock) -> float:
    """Find out what samplers need to know of the program, so that it is known; return the seconds it took."""
    began = clock()
    program = MAKERS.program(spec)
    profile_of(program, racing(program))
    return clock() - began


def hunt(canary: Canary, first: RunSpec, limits: Limits, spent: float, clock: Clock) -> Hunt:
    """Hunt once.  Args: spent: seconds that count as gone already."""
    began, schedules = clock() - spent, 0
    with closing(runs_of(first)) as runs:
        for findings in runs:
            schedules += 1
            seconds = clock() - began
            if canary.caught_in(findings):
                return Hunt(seconds <= limits.seconds, schedules, seconds)  # too late is not found
            if seconds >= limits.seconds or schedules == limits.cap:
                break
            if schedules % COLLECT_EVERY == 0:
                gc.collect()
    return Hunt(False, schedules, clock() - began)


def hunts(canary: Canary, text: str, engine: str, seeds: int, limits: Limits, spent: float, clock: Clock) -> Cell:
    """Hunt from each seed, or once through the tree."""
    once = is_systematic(text)
    done = []
    for seed in range(1, 2 if once else seeds + 1):
        gc.collect()
        done.append(hunt(canary, spec_of(canary, text, engine, seed), limits, 0.0 if once else spent, clock))
    return Cell(canary.name, text, tuple(done))


# -- showing --------------------------------------------------------------------------------------------------------


def line(cell: Cell) -> str:
    """Return the line of the table."""
    schedules, seconds = cell.median(lambda hunt: hunt.schedules), cell.median(lambda hunt: hunt.seconds)
    slowest = max(hunt.seconds for hunt in cell.hunts)
    censored = len(cell.hunts) - cell.found
    return (
        f"{cell.canary:24}{cell.strategy:19}{cell.found:>4} of {len(cell.hunts):<3}{censored:>9}"
        f"{_figure(*schedules, 0):>11}{_figure(*seconds, 2):>9}{slowest:>9.2f}"
    )


HEAD = f"{'canary':24}{'strategy':19}{'found':>10}{'censored':>9}{'schedules':>11}{'seconds':>9}{'slowest':>9}"


def _figure(value: float, more: bool, digits: int) -> str:
    return f"{'> ' if more else ''}{value:,.{digits}f}"


def meets_bar(cell: Cell) -> bool:
    """Say whether the portfolio's bar is met, as far as it was measured."""
    return cell.found == len(cell.hunts) and max(hunt.seconds for hunt in cell.hunts) <= BAR_SECONDS


def bar(cell: Cell) -> str:
    """Return the line that says whether the portfolio's bar is met."""
    slowest = max(hunt.seconds for hunt in cell.hunts)
    word = "met" if meets_bar(cell) else "NOT met"
    if len(cell.hunts) < BAR_SEEDS:
        word = "not measured"
    return f"{cell.canary:24}{word}: {cell.found} of {len(cell.hunts)}, slowest {slowest:.2f} s"


def table(names: list[str], texts: list[str], engine: str, seeds: int, limits: Limits, clock: Clock) -> list[Cell]:
    """Hunt all of these; print each line when it is known."""
    print(HEAD, flush=True)
    cells = []
    for name in names:
        canary = canaries()[name]
        spent = prepare(spec_of(canary, portfolio.NAME, engine, 1), clock)
        for text in texts:
            cells.append(hunts(canary, text, engine, seeds, limits, spent, clock))
            print(line(cells[-1]), flush=True)
    return cells


def main() -> int:
    """Print the table and the bar, with --json keep the figures too; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=BAR_SEEDS)
    parser.add_argument("--seconds", type=float, default=BAR_SECONDS, help="at most, for each hunt")
    parser.add_argument("--cap", type=int, help="schedules at most, for each hunt")
    parser.add_argument("--engine", choices=("fiber", "gate"), default="fiber")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), metavar="TEXT")
    parser.add_argument("--canaries", nargs="+", default=list(canaries()), choices=list(canaries()), metavar="NAME")
    parser.add_argument("--cpu", action="store_true", help="seconds of this process's CPU time, not of the clock")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--strict", action="store_true", help="exit with 1 if the bar is not met")
    options = parser.parse_args()
    load, allowed = os.getloadavg()[0], cores()
    os.sched_setaffinity(0, allowed[:1])
    print(f"load {load:.1f} on {len(allowed)} cores; {'CPU seconds' if options.cpu else 'seconds'}, one core")
    if load > BUSY * len(allowed) and not options.cpu:
        print("busy machine: seconds of the clock mean little; try --cpu")
    clock = time.process_time if options.cpu else time.perf_counter
    limits = Limits(options.seconds, options.cap)
    gc.disable()
    cells = table(options.canaries, options.strategies, options.engine, options.seeds, limits, clock)
    print(f"\nportfolio: each of {BAR_SEEDS} seeds within {BAR_SECONDS:g} s")
    barred = [cell for cell in cells if cell.strategy == portfolio.NAME]
    for cell in barred:
        print(bar(cell))
    if options.json is not None:
        files.write_whole(options.json, [json.dumps([asdict(cell) for cell in cells], indent=1), "\n"])
    return 1 if options.strict and not all(map(meets_bar, barred)) else 0


if __name__ == "__main__":
    sys.exit(main())
