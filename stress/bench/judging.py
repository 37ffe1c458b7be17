"""What judging costs: of a run, by judge, and against another checkout.

    python stress/bench/judging.py [--runs N] [--against PATH] [--cast NAME]... [--json FILE]

Without --against two tables.  The first has for each cast of the kernel model milliseconds of a run: playing it, and
judging it by all judges; and what a run costs by all judges, and by all but `crash`, over one that nobody judges.  The
second has for each judge what judging by all costs over judging by all but this one, and its share of judging, over all
casts.  With --against, the worktree of another commit: for each cast that both have, what a run costs here over there,
without `crash`: playing it, judging it, judging a thousand events, and both.  The exit code is 1 if judging a run costs
more than BAR times what it does there.

Each ratio is of sums over N runs, its two sides in turn (A B B A), of each the faster one of two, by the CPU time of
the process, so that other work on the machine disturbs little.  A record is judged anew each time, as if nobody had
looked at it; garbage is collected before, not during it, as a search does it.  Not measured: the second play of a run
that failed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from mmrace.installed import MAKERS
from mmrace.oracles.general.bench import judge_all
from mmrace.runs.play import Play, play
from mmrace.runs.spec import RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.record import Record
from mmrace.scenarios import casts
from mmrace.strategies import portfolio

ROOT = Path(__file__).resolve().parents[2]
BAR = 1.3
RUNS = 16  # of each cast: the default strategy's turns
CRASH = "crash"
SERVE = "--serve"
Figures: TypeAlias = dict[str, Any]


def names() -> list[str]:
    """Return the casts: all but the recorded workload, which is a cast's actors again."""
    return [scenario.name for scenario in casts.SCENARIOS if not scenario.needs_workload]


def judging(played: Play, without: Collection[str]) -> float:
    """Return seconds of judging a run by all judges but some."""
    bench = {name: oracle for name, oracle in played.program.judges.items() if name not in without}
    record = Record.of_run(played.engine, played.record.header, played.final)
    gc.collect()
    gc.disable()
    began = time.process_time()
    judge_all(record, bench)
    seconds = time.process_time() - began
    gc.enable()
    return seconds


def in_turn(played: Play, one: Collection[str], other: Collection[str]) -> tuple[float, float]:
    """Return seconds of judging a run without some, and without others: one, other, other, one; of each the faster."""
    first, second = judging(played, one), judging(played, other)
    second = min(second, judging(played, other))
    return min(first, judging(played, one)), second


def spec_of(cast: str, number: int) -> RunSpec:
    """Return run `number` of a cast."""
    return RunSpec(cast, engine="fiber", strategy=portfolio.member(number), seed=number)


def costs(cast: str, number: int, by_judge: bool) -> Figures:
    """Play a run; return its events, and seconds of playing and judging it.

    Args: by_judge: whether also without each judge in turn; else without `crash` only.
    """
    spec = spec_of(cast, number)
    program = MAKERS.program(spec)
    strategy = strategy_for(program, spec)
    began = time.process_time()
    with play(program, spec, strategy) as played:
        playing = time.process_time() - began
        found = {"events": len(played.record.events), "playing": playing}
        gc.collect()
        gc.freeze()  # what is there is nobody's garbage: a look through it before each judging took longer than that
        try:
            if not by_judge:
                return found | {"judging": judging(played, {CRASH})}
            return found | {"without": {name: in_turn(played, (), {name}) for name in program.judges}}
        finally:
            gc.unfreeze()


# -- this checkout --------------------------------------------------------------------------------------------------


def cast_line(cast: str, runs: Sequence[Figures]) -> str:
    """Return the line of a cast in the first table."""
    n = len(runs)
    playing = sum(run["playing"] for run in runs)
    every = sum(whole for run in runs for whole, _ in run["without"].values()) / len(runs[0]["without"])
    with_crash, without_crash = (sum(run["without"][CRASH][i] for run in runs) for i in (0, 1))
    told = f"{cast:24}{sum(run['events'] for run in runs) / n:>8.0f}{1e3 * playing / n:>9.1f}{1e3 * every / n:>9.1f}"
    return f"{told}{1 + with_crash / playing:>12.2f}{1 + without_crash / playing:>15.2f}"


def judge_line(judge: str, runs: Sequence[Figures]) -> str:
    """Return the line of a judge in the second table."""
    whole, less = (sum(run["without"][judge][i] for run in runs if judge in run["without"]) for i in (0, 1))
    return f"{judge:24}{whole / less:>18.3f}{1 - less / whole:>9.1%}"


def show_here(asked: Sequence[str], runs: int) -> Figures:
    """Measure and print both tables; return the figures."""
    figures: Figures = {}
    print(f"{'cast':24}{'events':>8}{'play ms':>9}{'judge ms':>9}{'all : none':>12}{'no crash : none':>15}", flush=True)
    for cast in asked:
        figures[cast] = [costs(cast, number, by_judge=True) for number in range(runs)]
        print(cast_line(cast, figures[cast]), flush=True)
    every = [run for found in figures.values() for run in found]
    print(f"\n{'judge':24}{'all : all but it':>18}{'share':>9}")
    for judge in dict.fromkeys(name for run in every for name in run["without"]):
        print(judge_line(judge, every))
    return figures


# -- against another ------------------------------------------------------------------------------------------------


class Checkout:
    """A process that measures what a checkout has, one run when asked."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, SERVE],
            env={**os.environ, "PYTHONPATH": str(root)},
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.root = root
        self.casts: list[str] = self._answer()

    def costs(self, cast: str, number: int) -> Figures:
        """Have one run measured."""
        assert self.process.stdin is not None
        print(cast, number, file=self.process.stdin, flush=True)
        found: Figures = self._answer()
        return found

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            print(f"--against: expected figures of {self.root}, got none: is it a checkout of mmrace?", file=sys.stderr)
            raise SystemExit(2)
        return json.loads(line)

    def __enter__(self) -> Checkout:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def serve() -> None:
    """Answer whoever asks on the other end of the pipes: first the casts, then a run a line."""
    print(json.dumps(names()), flush=True)
    for line in sys.stdin:
        cast, number = line.split()
        print(json.dumps(costs(cast, int(number), by_judge=False)), flush=True)


def ratios(here: Sequence[Figures], there: Sequence[Figures]) -> Figures:
    """Return what a run costs here over there."""

    def over(*keys: str) -> float:
        one, other = (sum(run[key] for run in runs for key in keys) for runs in (here, there))
        return float(one / other)

    found = {"events": over("events"), "playing": over("playing"), "judging": over("judging")}
    return found | {"event": found["judging"] / found["events"], "run": over("playing", "judging")}


def show_against(asked: Sequence[str], runs: int, path: Path) -> tuple[Figures, float]:
    """Measure and print the casts that both have; return the figures, and what judging a run costs over there."""
    figures: Figures = {}
    columns = ("events", "playing", "judging", "event", "run")
    with ExitStack() as stack:
        here, there = (stack.enter_context(Checkout(root)) for root in (ROOT, path.resolve()))
        print(f"a run here over one of {path}, without {CRASH}; event: judging of one event\n", flush=True)
        print(f"{'cast':24}" + "".join(f"{column:>9}" for column in columns), flush=True)
        found: dict[Checkout, list[Figures]] = {here: [], there: []}
        for cast in (cast for cast in asked if cast in there.casts):
            mine: dict[Checkout, list[Figures]] = {here: [], there: []}
            for number in range(runs):
                first = {side: side.costs(cast, number) for side in (here, there)}
                for side in (there, here):
                    again = side.costs(cast, number)
                    mine[side].append({key: min(value, again[key]) for key, value in first[side].items()})
            figures[cast] = ratios(mine[here], mine[there])
            print(f"{cast:24}" + "".join(f"{figures[cast][column]:>9.2f}" for column in columns), flush=True)
            for side, its in mine.items():
                found[side] += its
    whole = ratios(found[here], found[there])
    print(f"{'all':24}" + "".join(f"{whole[column]:>9.2f}" for column in columns))
    return figures, whole["judging"]


def main() -> int:
    """Measure what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="of each cast (%(default)s)")
    parser.add_argument("--against", type=Path, metavar="PATH", help="worktree of the commit to compare with")
    parser.add_argument("--cast", action="append", choices=names(), metavar="NAME", help="this one; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in this file")
    parser.add_argument(SERVE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    asked, code = options.cast or names(), 0
    if options.against is None:
        figures = show_here(asked, options.runs)
    else:
        figures, ratio = show_against(asked, options.runs, options.against)
        code = int(ratio > BAR)
        print(f"judging a run costs {ratio:.2f} times what it does there; the bar is {BAR}")
    if options.json is not None:
        from mmrace.runtime import files  # noqa: PLC0415 (of this checkout)

        files.write_whole(options.json, [json.dumps(figures, indent=1), "\n"])
    return code


if __name__ == "__main__":
    sys.exit(main())
