"""Draw the schedules of an exploration: as a source of runs, generation after generation.

Schedule i is a function of (seed, i, profile, switch points), whatever `--jobs` says; under feedback, of a corpus too.
Switch points (`promotion.py`) and corpora (`generations.py`) come from the schedules before; a generation is waited for
before the next one begins.  Invariant: a spec names what its run depends on, and so stands alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

from mmrace.runs.spec import RunResult, RunSpec, derive
from mmrace.runs.store import FindingStore
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.generations import Loop
from mmrace.search.explore.promotion import LOOK, Promotion
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.contract import Lost, Pool
from mmrace.search.pool.drive import Pace, Queue, drive
from mmrace.search.pool.losses import LossySource
from mmrace.search.pool.messages import Batch, Job, Outcome
from mmrace.search.totals import Hit, hit_of_lost
from mmrace.strategies import registry
from mmrace.strategies.feedback import NOTHING, Shown, is_feedback


class Host(Protocol):
    """The exploration, as its sampling knows it."""

    ask: Ask
    folder: Path
    result: Exploration
    store: FindingStore

    def over(self) -> bool:
        """Say whether enough was found, or the time is up."""

    def tell(self) -> None:
        """Tell the observer, some times a second."""

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count one run."""

    def hit(self, hit: Hit) -> None:
        """Count a finding."""

    def trouble(self, exit_code: int, text: str, spec: RunSpec | None = None) -> None:
        """Note that runs cannot be made."""


class Sampling:
    """The schedules of one exploration.  Args: host: takes what comes of them.  pace: of batches."""

    def __init__(self, ask: Ask, host: Host, pace: Pace | None = None) -> None:
        self.ask, self.host = ask, host
        self.promotion = Promotion(ask)
        self.pace = pace or Pace()
        self._loop: Loop | None = None  # under feedback, once it has begun

    def spec(self, index: int) -> RunSpec:
        """Return the spec of schedule `index`, once its generation has begun."""
        ask, promotion = self.ask, self.promotion
        seed = derive(ask.seed, "schedule", index)
        if promotion.is_look(index):
            return replace(ask.spec(LOOK, seed), promote="all")
        if self._loop is not None:
            return self._loop.spec(promotion.turn(index))
        return self._drawn(registry.member_by_turn(ask.strategy, promotion.turn(index)), seed)

    def _drawn(self, strategy: str, seed: int) -> RunSpec:
        """Return the spec of a schedule that is no look."""
        return replace(self.ask.spec(strategy, seed), promote=self.promotion.text)

    def draw(self, pool: Pool) -> None:
        """Have them made, until there are enough or the exploration is over."""
        ask, host, promotion = self.ask, self.host, self.promotion
        if is_feedback(ask.strategy):
            self._loop = Loop(ask.strategy, lambda text: self._drawn(text, ask.seed), host.folder)
        shown: dict[int, Shown] = {}
        start = 0
        while ask.runs is None or start < ask.runs:
            turns = self._turns()
            ends = [ask.runs, promotion.end(start), promotion.index_of(turns.stop) if turns else None]
            stop = min((end for end in ends if end is not None), default=None)
            drive(pool, Draws(self, start, stop, shown))
            if stop is None or host.over() or host.result.troubles:
                return
            if stop == promotion.end(start):
                promotion.learn(stop)
                host.result.take_promoted(promotion.fields, promotion.since)
            if self._loop is not None and turns and promotion.turn(stop) == turns.stop:
                self._loop.learn([shown.pop(turn, NOTHING) for turn in turns])
            start = stop

    def _turns(self) -> range | None:
        """Return the turns of feedback's generation; None if there is none."""
        runs = self.ask.runs
        return None if self._loop is None else self._loop.indices(None if runs is None else self.promotion.turn(runs))

    def learn(self, job: Job, run: RunResult) -> None:
        """Take from a run what it says of those to come."""
        self.host.result.looks += self.promotion.is_look(job.index)
        self.promotion.name(run.raced)


class Draws(LossySource):
    """Schedules that are drawn, as a source of runs: those from `start` on, before `stop` if that is not None.

    Args: shown: takes what each showed, by its turn.
    """

    def __init__(self, sampling: Sampling, start: int, stop: int | None, shown: dict[int, Shown]) -> None:
        super().__init__(sampling.host.result)
        self.sampling, self.host, self.shown = sampling, sampling.host, shown
        self.left = None if stop is None else stop - start
        indices = count(start) if stop is None else range(start, stop)
        self.queue = Queue(Job("main", "", index, sampling.spec(index)) for index in indices)

    def over(self) -> bool:
        """Say whether the exploration is over."""
        return self.host.over()

    def tell(self) -> None:
        """Tell its observer."""
        self.host.tell()

    def next_batch(self) -> Batch | None:
        """Return the next schedules; none after a trouble."""
        if self.host.result.troubles:
            return None
        jobs = self.queue.next(self._size())
        if self.left is not None:
            self.left -= len(jobs)
        return Batch(tuple(jobs), stop_at_failure=self.host.ask.until_found) if jobs else None

    def _size(self) -> int:
        """Return how many schedules to hand out: towards the end few, so that all workers come to it at once."""
        size = self.sampling.pace.size()
        if self.left is None:
            return size
        return max(1, min(size, self.left // (2 * max(1, self.host.ask.jobs))))

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count a schedule."""
        if outcome.result is not None:
            self.sampling.pace.took(outcome.result.seconds)
            if outcome.result.shown is not None:
                self.shown[self.sampling.promotion.turn(job.index)] = outcome.result.shown
        self.host.take(job, outcome)

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """Hand undone schedules out again, first."""
        self.queue.give_back(undone)
        if self.left is not None:
            self.left += len(undone)

    def killed(self, job: Job, lost: Lost) -> None:
        """Note the finding that this is."""
        self.host.hit(hit_of_lost(job, lost, self.host.store))

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Note it."""
        self.host.trouble(exit_code, text, spec)
