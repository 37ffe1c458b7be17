"""What a second process brings to an exploration, as a share of what it brings to bare Python on this machine.

    python stress/bench/scaling.py [--rounds N] [--seconds S] [--json FILE]

Each round measures, one after the other: a bare Python loop in one process, then in two at once; an exploration of
`async-vs-commit` with one worker process, then with two.  A speed-up is the rate of two over the rate of one; printed
is the exploration's speed-up over the bare one's, median over the rounds.  The bar is 0.95.  Two cores that share a
cache, or a machine with other work, give bare Python less than 2 as well: that is why it stands beside.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

from mmrace.installed import MAKERS
from mmrace.runtime import files
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.cores import cores
from mmrace.search.totals import Hit

BAR = 0.95
PARAMS = (("idle", 0), ("migrations", 1), ("rounds", 1))
SLICE = 20_000  # turns of the bare loop between two looks at the clock


class Silent:
    """Shows nothing; notes when the first and the last outcome came, so that starting processes does not count."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.last: tuple[float, int] = (0.0, 0)

    def progress(self, result: Exploration) -> None:
        """Note how far it is."""
        if result.tally.runs:
            self.last = (time.monotonic(), result.tally.runs)
            self.first = self.first or self.last

    def found(self, hit: Hit) -> None:
        """A finding here would be a surprise; the verdict is not this benchmark's."""


def _loop(seconds: float, core: int, results: multiprocessing.Queue[float]) -> None:
    import os  # noqa: PLC0415

    os.sched_setaffinity(0, {core})
    turns = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        value = {}
        for i in range(SLICE):
            value[i & 255] = (i, turns)
        turns += SLICE
    results.put(turns / (time.perf_counter() - began))


def bare(processes: int, seconds: float) -> float:
    """Return turns per second of a bare loop, all processes together."""
    results: multiprocessing.Queue[float] = multiprocessing.Queue()
    own = cores()
    started = [
        multiprocessing.Process(target=_loop, args=(seconds, own[i % len(own)], results)) for i in range(processes)
    ]
    for process in started:
        process.start()
    total = sum(results.get() for _ in started)
    for process in started:
        process.join()
    return total


def explored(jobs: int, seconds: float) -> float:
    """Return schedules per second with so many worker processes, once all have begun."""
    observer = Silent()
    with tempfile.TemporaryDirectory() as folder:
        ask = Ask("async-vs-commit", strategy="random", params=PARAMS, seconds=seconds + 2.0, jobs=jobs, promote="all")
        Explorer(ask, MAKERS, Path(folder), observer).run()
    assert observer.first is not None
    (began, runs), (ended, all_runs) = observer.first, observer.last
    return (all_runs - runs) / (ended - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for _ in range(options.rounds):
        one, two = bare(1, options.seconds), bare(2, options.seconds)
        single, double = explored(1, options.seconds), explored(2, options.seconds)
        rows.append(
            {
                "bare": two / one,
                "explore": double / single,
                "share": (double / single) / (two / one),
                "schedules_s": double,
            }
        )
        print("  ".join(f"{key} {value:.2f}" for key, value in rows[-1].items()), flush=True)
    share = statistics.median(row["share"] for row in rows)
    print(f"share of what two bare processes reach: {share:.2f}, bar {BAR}: {'met' if share >= BAR else 'NOT met'}")
    if options.json:
        files.write_whole(options.json, [json.dumps(rows, indent=1), "\n"])


if __name__ == "__main__":
    main()
