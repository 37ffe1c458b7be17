"""Coverage is not throughput: distinct classes of interleavings per N schedules, strategy by strategy.

    python stress/bench/classes.py [--schedules N] [--seconds S] [--json FILE] [STRATEGY...]

One program (`PARAMS`), every strategy from seed 1 on, engine fiber, oracles off; beside them DPOR's total, if its walk
ends within the time given, else what it reached.  Printed per strategy: classes, classes per 1,000 schedules in the
last quarter (when that is near nothing, change the strategy or stop), the estimated total, seconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from pathlib import Path

from mmrace.installed import MAKERS
from mmrace.runs.chosen import Chosen
from mmrace.runs.play import Play, play
from mmrace.runs.spec import RunSpec, derive
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime import files
from mmrace.runtime.controlled import Controlled
from mmrace.search.explore.walk import Walk
from mmrace.search.pool.cores import cores
from mmrace.strategies import registry
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.feedback import Corpus, Shown, collect, grow, stream
from mmrace.strategies.order.classes import ClassDigest, Classes
from mmrace.strategies.pos import Pos

SCENARIO = "async-vs-commit"  # the program that `exhaustive.py` calls async-1
PARAMS: tuple[tuple[str, int | str], ...] = (
    ("buffers", 1), ("dirtied", 1), ("idle", 0), ("irq", "idle"), ("migrations", 1), ("pagevec", 14), ("passes", 1),
    ("rounds", 1), ("warm", 4), ("without", "reader,writer"),
)  # fmt: skip
STRATEGIES = ("random", "pos", "surw", "urw", "pct", "random-delays", "portfolio", "feedback")
GENERATION = 64
SEED = 1


def _digest(played: Play) -> int:
    assert isinstance(played.watched, ClassDigest)
    return played.watched.value()


def sample(strategy: str, schedules: int) -> tuple[Classes, float]:
    """Draw schedules; return the classes met, and the seconds it took."""
    classes = Classes()
    began = time.perf_counter()
    for i in range(schedules):
        text = registry.member_by_turn(strategy, i)
        spec = RunSpec(SCENARIO, PARAMS, engine="fiber", strategy=text, seed=derive(SEED, "schedule", i))
        program = MAKERS.program(spec)
        with play(program, spec, strategy_for(program, spec), watch=ClassDigest) as played:
            classes.add(_digest(played))
    return classes, time.perf_counter() - began


def feed(schedules: int) -> tuple[Classes, float]:
    """As `sample`, under feedback over POS."""
    classes = Classes()
    began = time.perf_counter()
    spec = RunSpec(SCENARIO, PARAMS, engine="fiber", seed=SEED)
    program = MAKERS.program(spec)
    corpus = Corpus()
    while classes.runs < schedules:
        results: list[Shown] = []
        for index in range(corpus.start, corpus.start + GENERATION):
            tape = stream(SEED, index, corpus)
            with play(program, spec, Chosen(Pos(tape)), watch=ClassDigest) as played:
                classes.add(_digest(played))
                assert isinstance(played.engine, Controlled)
                results.append(collect(tape, played.engine, played.record))
        corpus = grow(corpus, results)
    return classes, time.perf_counter() - began


def walk(seconds: float) -> tuple[int, bool, float]:
    """Walk the tree; return the classes, whether it was walked to its end, the seconds."""
    spec = RunSpec(SCENARIO, PARAMS, engine="fiber", strategy="dpor", seed=SEED)
    program = MAKERS.program(spec)
    search = Dpor()
    began = time.perf_counter()
    for _ in Walk(program, spec, search):
        if time.perf_counter() - began >= seconds:
            break
    return search.counts.classes, search.exhausted, time.perf_counter() - began


def late_rate(classes: Classes) -> float:
    """Return new classes per 1,000 schedules since the last power of two."""
    runs, distinct = classes.growth[-1]
    return 1000 * (classes.distinct - distinct) / max(1, classes.runs - runs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", default=list(STRATEGIES))
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=600.0, help="at most, for DPOR's walk; 0: none")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, cores()[:1])
    gc.freeze()
    print(f"{SCENARIO}: {' '.join(f'{key}={value}' for key, value in PARAMS)}")
    rows: list[dict[str, object]] = []
    if options.seconds:
        total, whole, seconds = walk(options.seconds)
        rows.append({"strategy": "dpor", "classes": total, "whole": whole, "seconds": seconds})
        print(f"dpor           {total:>8,} classes, {'all there are' if whole else 'cut'}, {seconds:.0f} s", flush=True)
    for name in options.strategies:
        classes, seconds = feed(options.schedules) if name == "feedback" else sample(name, options.schedules)
        rows.append(
            {
                "strategy": name,
                "schedules": classes.runs,
                "classes": classes.distinct,
                "late": late_rate(classes),
                "estimate": classes.total_estimate(),
                "seconds": seconds,
            }
        )
        print(
            f"{name:<14} {classes.distinct:>8,} classes in {classes.runs:,}; "
            f"lately {late_rate(classes):.0f} per 1,000; "
            f"at least some {classes.total_estimate():,.0f} in all; {seconds:.0f} s",
            flush=True,
        )
        if options.json:
            files.write_whole(options.json, [json.dumps(rows, indent=1), "\n"])


if __name__ == "__main__":
    main()
