"""What Dask costs: runs of two far workers as a share of those of two processes, and memory over very many batches.

    python stress/bench/fleet.py [--pairs N] [--seconds S] [--batches N]

Part one makes runs of a scenario for some seconds, in turn near (two processes), far (`local:2`), far, near; a share is
of the two in a pair, so that what else the machine does hits both.  Counted is from the time on when each worker has
made runs.  Beside runs a second stands the CPU time that a run took, of all processes together, which says the same on
a machine that others use too, and how much of that went to those who make no runs: client, scheduler, workers.  Part
two sends batches of one run each, of a program of ten ops, to a scheduler in a process of its own, and prints the
resident memory of client, scheduler and workers as it goes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psutil
from loguru import logger

from mmrace.examples import lost_update
from mmrace.installed import MAKERS
from mmrace.runs.functions import KIND, FunctionMaker
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore
from mmrace.search.pool.contract import Pool
from mmrace.search.pool.drive import Pace, Source, drive
from mmrace.search.pool.far import FarPool
from mmrace.search.pool.fleet import BATCH_SECONDS, Fleet
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Health, Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from stress.fleet_machines import Machines

WORKERS = 2
SCENARIO = RunSpec("async-vs-commit", engine="fiber", strategy="random")
TEN_OPS = RunSpec(f"{lost_update.__file__}:mended", (("tasks", 1),), engine="fiber", strategy="random", maker=KIND)
SHARE_MIN = 0.9
SAMPLES = 20  # of memory
GROWTH_MAX = {"client": 1.1, "scheduler": 1.25}  # from the first quarter on; Dask fills logs of its past for an hour


class Endless(Source):
    """Runs of one spec, batch after batch, until the time is up or there were enough.

    Args: seconds: from when each worker has made a run.  size: of a batch; None: as the pace says.
    """

    def __init__(self, spec: RunSpec, pace: Pace, seconds: float = 0.0, size: int | None = None, runs: int = 0) -> None:
        self.jobs = (Job("main", "", i, replace(spec, seed=i)) for i in count())
        self.pace, self.seconds, self.size, self.runs = pace, seconds, size, runs
        self.given = self.taken = self.counted = 0
        self.workers: set[str] = set()
        self.began: float | None = None
        self.cpu = Used(0.0, 0.0)
        self.lasted, self.used = 0.0, Used(0.0, 0.0)
        self.measured = 0

    def next_batch(self) -> Batch | None:
        """Return the next runs."""
        if self.runs and self.given >= self.runs:
            return None
        size = self.size or self.pace.size()
        self.given += size
        return Batch(tuple(next(self.jobs) for _ in range(size)))

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count a run."""
        assert outcome.result is not None, outcome.trouble
        self.taken += 1
        self.counted += self.began is not None
        self.pace.took(outcome.result.seconds)

    def worker(self, name: str, health: Health) -> None:
        """Begin to count when all are there."""
        self.workers.add(name)
        if self.began is None and len(self.workers) >= WORKERS:
            self.began, self.cpu = time.monotonic(), cpu_seconds()

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """Let them be."""
        self.given -= len(undone)

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Say so."""
        raise SystemExit(text)

    def over(self) -> bool:
        """Say whether the time is up."""
        over = bool(self.seconds) and self.began is not None and time.monotonic() - self.began >= self.seconds
        if over and not self.runs:
            self.runs = self.taken
            all_, beside = cpu_seconds()
            self.used = Used(all_ - self.cpu.all, beside - self.cpu.beside)
            self.lasted = time.monotonic() - (self.began or 0.0)
            self.measured = self.counted
        return over


class Used(NamedTuple):
    """CPU seconds of this process and of all that it started.  `beside`: of those with children, who make no runs."""

    all: float
    beside: float


def cpu_seconds() -> Used:
    """Return what was used up to now."""
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    parents = {process.ppid() for process in processes[1:]}
    used = {process.pid: sum(process.cpu_times()[:2]) for process in processes}
    return Used(sum(used.values()), sum(seconds for pid, seconds in used.items() if pid in parents))


def near(making: Making) -> AbstractContextManager[Pool]:
    """Return two processes."""
    return ProcessPool(WORKERS, making)


def far(making: Making) -> AbstractContextManager[Pool]:
    """Return two far workers."""
    return FarPool(Fleet(local=WORKERS), making)


class Came(NamedTuple):
    """Runs a second, and CPU seconds a run."""

    rate: float
    cost: float
    beside: float

    def __str__(self) -> str:
        return f"{self.rate:7.1f} runs/s {self.cost * 1e3:6.2f} CPU ms ({self.beside * 1e3:.2f} beside)"


def measured(which: str, seconds: float) -> Came:
    """Measure one way."""
    with tempfile.TemporaryDirectory() as folder:
        making = Making(partial(run_one, makers=MAKERS), FindingStore(Path(folder)))
        source = Endless(SCENARIO, Pace(BATCH_SECONDS) if which == "far" else Pace(), seconds)
        with (far if which == "far" else near)(making) as pool:
            drive(pool, source)
    runs, used = source.measured, source.used
    return Came(runs / source.lasted, used.all / runs, used.beside / runs)


def shares(pairs: int, seconds: float) -> bool:
    """Compare; return whether it is as it should be."""
    rates, costs, beside = [], [], []
    for pair in range(pairs):
        order = ("near", "far") if pair % 2 == 0 else ("far", "near")
        came = {which: measured(which, seconds) for which in order}
        near_, far_ = came["near"], came["far"]
        rates.append(far_.rate / near_.rate)
        costs.append(near_.cost / far_.cost)
        beside.append((far_.beside - near_.beside) / near_.cost)
        print(f"pair {pair}: near {near_}, far {far_}; share {rates[-1]:.3f}, by CPU {costs[-1]:.3f}", flush=True)
    share, cost, more = map(statistics.median, (rates, costs, beside))
    print(
        f"share: median {share:.3f} of {pairs} pairs (at least {SHARE_MIN}); by CPU {cost:.3f}; beside runs {more:+.1%}"
    )
    return share >= SHARE_MIN


class Sampled(Endless):
    """Prints memory as it goes.  Args: pids: whose, by name."""

    def __init__(self, spec: RunSpec, batches: int, pids: dict[str, int]) -> None:
        super().__init__(spec, Pace(), size=1, runs=batches)
        self.processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.every = max(1, batches // SAMPLES)
        self.samples: list[dict[str, float]] = []
        self.since = time.monotonic()

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count a run; now and then, look."""
        super().take(job, outcome)
        if self.taken % self.every == 0:
            rss = {name: process.memory_info().rss / 2**20 for name, process in self.processes.items()}
            self.samples.append(rss)
            text = "  ".join(f"{name} {mib:.1f}" for name, mib in rss.items())
            print(f"{self.taken:8} batches  {time.monotonic() - self.since:7.1f} s  MiB: {text}", flush=True)

    def growth(self) -> dict[str, float]:
        """Return by how much each has grown from the first quarter on."""
        first, last = self.samples[len(self.samples) // 4], self.samples[-1]
        return {name: last[name] / first[name] for name in last}


def memory(batches: int) -> bool:
    """Send very many batches; return whether memory is flat."""
    spec = replace(TEN_OPS, digest=FunctionMaker().program(TEN_OPS).digest)
    with tempfile.TemporaryDirectory() as folder, Machines(WORKERS) as machines:
        making = Making(partial(run_one, makers=MAKERS), FindingStore(Path(folder)))
        time.sleep(3.0)  # for the scheduler to listen
        with FarPool(Fleet(machines.address), making) as pool:
            pids = {"client": psutil.Process().pid, "scheduler": machines.pids("scheduler")[0]}
            pids |= {f"worker {i}": pid for i, pid in enumerate(machines.pids("worker"))}
            source = Sampled(spec, batches, pids)
            drive(pool, source)
            print(f"largest reply: {pool.size.largest} bytes")
    growth = source.growth()
    print("growth from the first quarter on: " + "  ".join(f"{name} {grown:.3f}" for name, grown in growth.items()))
    return all(growth[name] <= most for name, most in GROWTH_MAX.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=6, help="of measurements; 0: none")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    parser.add_argument("--batches", type=int, default=100_000, help="of one run each; 0: none")
    options = parser.parse_args(arguments)
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    fine = not options.pairs or shares(options.pairs, options.seconds)
    return int(not (fine and (not options.batches or memory(options.batches))))


if __name__ == "__main__":
    sys.exit(main())
