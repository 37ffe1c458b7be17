"""Kill workers of an exploration at many moments: it must come to what it comes to undisturbed.

    python stress/killing.py [--moments N] [--schedules N] [--jobs N] [--seed N] [STRATEGY...]

For each strategy a planted bug is explored twice: undisturbed, and with a worker killed (SIGKILL) at each of `moments`
moments: the first ones before anything came back; the others when a drawn number of schedules did, and a drawn number
of looks after a worker has a run in progress, so that a kill falls into any part of a run, of a batch, of a generation.
Compared are all schedules (class and verdict of each), the classes, the findings with how often each was seen, and the
switch points.  Exit code 0 if all are equal, else 1.  A worker that is killed when its last batch has come back is not
missed, and so not told.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loguru import logger

from mmrace.installed import MAKERS
from mmrace.runs.spec import Params
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.one import explore_one
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.child import NO_POSITION
from mmrace.search.pool.contract import Event, Reported
from mmrace.search.pool.heart import POSITION
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from mmrace.search.totals import Hit

STRATEGIES = ("portfolio", "feedback:generation=32")
MOMENTS, SCHEDULES, JOBS = 20, 300, 2
PROGRAM, VARIANT = "async-vs-commit", "double-put"
PARAMS: Params = (("buffers", 1), ("idle", 0), ("migrations", 1), ("rounds", 1), ("words", 1))
LOOK_SECONDS = 0.004  # between two looks at the workers: a part of a run
LOOKS_MAX = 12  # of them between a schedule's coming back and a kill: a batch or so


@dataclass(frozen=True, slots=True)
class Moment:
    """When a worker is killed: so many schedules have come back, and so many looks saw one at work since."""

    reported: int
    looks: int


def drawn(count: int, schedules: int, seed: int) -> list[Moment]:
    """Draw moments, in order; two of them, or one of two, before anything has come back."""
    draw = random.Random(seed)
    early = [0] * min(2, count - 1)
    reported = sorted([*early, *draw.sample(range(1, schedules), count - len(early))])
    return [Moment(number, draw.randrange(LOOKS_MAX)) for number in reported]


class KillingPool(ProcessPool):
    """Kills one of its busy workers at each moment.  `killed`: how many it did."""

    def __init__(self, jobs: int, making: Making, moments: Sequence[Moment], seed: int) -> None:
        super().__init__(jobs, making)
        self.killed = 0
        self._moments = list(moments)
        self._draw = random.Random(seed)
        self._reported = self._looks = 0

    def __enter__(self) -> KillingPool:
        return self

    def poll(self, timeout: float) -> list[Event]:
        """Look shortly; perhaps kill."""
        events = super().poll(LOOK_SECONDS if self._moments else timeout)
        self._reported += sum(len(event.outcomes) for event in events if isinstance(event, Reported))
        if self._moments and self._reported >= self._moments[0].reported:
            self._look(self._moments[0])
        return events

    def _look(self, moment: Moment) -> None:
        """Kill a worker, if the moment has come."""
        alive = [process for process in self._busy() if process.process.is_alive()]
        if moment.reported:
            alive = [process for process in alive if process.pulse[POSITION] != NO_POSITION]
        if not alive:
            return
        self._looks += 1
        if self._looks <= moment.looks:
            return
        pid = self._draw.choice(alive).process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.killed += 1
        self._looks = 0
        del self._moments[0]


class Nobody:
    """An observer that tells nobody."""

    def progress(self, result: Exploration) -> None:
        """Do nothing."""

    def found(self, hit: Hit) -> None:
        """Do nothing."""


class Disturbed(Explorer):
    """An exploration whose workers are killed.  `seen`: schedule -> its class and verdict.  `killed`: workers."""

    def __init__(self, ask: Ask, folder: Path, moments: Sequence[Moment]) -> None:
        super().__init__(ask, MAKERS, folder, Nobody())
        self.seen: dict[int, tuple[int | None, str]] = {}
        run = partial(explore_one, makers=MAKERS, naming=self.sampling.promotion.learning)
        self.workers = KillingPool(ask.jobs, Making(run, self.store), moments, ask.seed)

    def pool(self) -> KillingPool:
        """Return the workers."""
        return self.workers

    def take(self, job: Job, outcome: Outcome) -> None:
        """Note what a schedule came to, once."""
        assert job.index not in self.seen, f"schedule {job.index} came back twice"
        if outcome.result is not None:
            self.seen[job.index] = outcome.result.digest, outcome.result.verdict
        super().take(job, outcome)


@dataclass(frozen=True, slots=True)
class Came:
    """What an exploration came to, as far as it may not depend on its workers."""

    seen: dict[int, tuple[int | None, str]]
    classes: Counter[int]
    findings: dict[str, int]
    since: dict[int, tuple[str, ...]]
    verdict: str


def explored(
    strategy: str, schedules: int, jobs: int, seed: int, moments: Sequence[Moment]
) -> tuple[Came, Exploration]:
    """Explore, and kill a worker at each of these moments."""
    ask = Ask(PROGRAM, params=PARAMS, strategy=strategy, variant=VARIANT, runs=schedules, jobs=jobs, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        made = Disturbed(ask, Path(folder), moments)
        result = made.run()
    findings = {signature: hit.times for signature, hit in sorted(result.hits.items())}
    assert made.workers.killed == len(moments), "the exploration was over before every moment had come"
    return Came(made.seen, result.classes.seen, findings, result.since, result.verdict), result


def differences(one: Came, other: Came) -> list[str]:
    """Name what differs."""
    names = ("seen", "classes", "findings", "since", "verdict")
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore, kill and compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", default=list(STRATEGIES))
    parser.add_argument("--moments", type=int, default=MOMENTS)
    parser.add_argument("--schedules", type=int, default=SCHEDULES)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    logger.remove()
    code = 0
    for strategy in options.strategies:
        moments = drawn(options.moments, options.schedules, options.seed)
        calm, _ = explored(strategy, options.schedules, options.jobs, options.seed, [])
        wild, result = explored(strategy, options.schedules, options.jobs, options.seed, moments)
        wrong = differences(calm, wild)
        lost = "; ".join(f"{how} ({times})" for how, times in result.losses.items())
        print(f"{strategy}: {len(wild.seen)} schedules, {len(wild.classes)} classes, {len(wild.findings)} findings")
        print(f"    {len(moments)} workers killed: {lost}")
        print(f"    {'DIFFERS from undisturbed in ' + ', '.join(wrong) if wrong else 'the same as undisturbed'}")
        code = code or int(bool(wrong))
    return code


if __name__ == "__main__":
    sys.exit(main())
