"""Where the runs of a campaign come from: the main sequence, and one trial per canary.

A source hands out batches, takes outcomes, and takes back jobs that nobody ran (a worker died, the time was up).
Invariant: each job is handed out again until its outcome came or it was given up; a trial's runs are judged in their
order, so "found after n runs" does not depend on the workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mmrace.runs.spec import RunResult
from mmrace.search.campaign.plan import canary_spec, engine_of_round, main_spec, round_length
from mmrace.search.campaign.request import Request
from mmrace.search.catalogue import CanaryLike, Catalogue
from mmrace.search.pool.messages import Batch, Job, Role


class MainSequence:
    """Runs 0, 1, 2, ... of the campaign, up to `request.runs` or until nobody asks any more."""

    def __init__(self, request: Request, known: Catalogue) -> None:
        self.request, self.known = request, known
        self.next_index = 0
        self._back: deque[Job] = deque()
        self._round = round_length(request, known)

    def next_batch(self, size: int) -> Batch | None:
        """Return up to `size` jobs of one engine, or None when there are no more."""
        if self._back:
            engine = self._back[0].spec.engine
            again: list[Job] = []
            while self._back and len(again) < size and self._back[0].spec.engine == engine:
                again.append(self._back.popleft())
            return Batch(tuple(again))
        first = self.next_index
        stop = first + size if self.request.runs is None else min(first + size, self.request.runs)
        engine_now = engine_of_round(self.request, first // self._round)
        while stop > first and engine_of_round(self.request, (stop - 1) // self._round) != engine_now:
            stop = (stop - 1) // self._round * self._round
        self.next_index = max(first, stop)
        jobs = [Job("main", "", i, main_spec(self.request, self.known, i)) for i in range(first, stop)]
        return Batch(tuple(jobs)) if jobs else None

    def peek_engine(self) -> str:
        """Return the engine of the next batch."""
        if self._back:
            return self._back[0].spec.engine
        return engine_of_round(self.request, self.next_index // self._round)

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Take back jobs that were not run; they go first next time."""
        self._back.extendleft(reversed(list(jobs)))


class CanaryTrial:
    """One planted bug: its runs until it is found or its cap is reached, then the same runs of the unmodified twin."""

    def __init__(self, request: Request, canary: CanaryLike) -> None:
        self.request, self.canary = request, canary
        self.cap_runs = canary.cap_under(request.engine or "free")
        self.found_after: int | None = None
        self.tried = 0
        self.twin_runs = 0
        self.twin_failed = 0
        self.others: dict[str, int] = {}
        self._busy = False
        self._next = 0

    @property
    def planted(self) -> bool:
        """Whether the planted bug still runs, rather than the twin."""
        return self.found_after is None and self.tried < self.cap_runs

    @property
    def concluded(self) -> bool:
        """Whether nothing is left to run."""
        return not self.planted and self.twin_runs >= self.tried

    @property
    def missed(self) -> bool:
        """Whether the cap was reached in vain."""
        return self.found_after is None and self.tried >= self.cap_runs

    def next_batch(self, size: int) -> Batch | None:
        """Return the next jobs in order, one batch at a time; None while one is out or when all is done."""
        if self._busy or self.concluded:
            return None
        planted = self.planted
        first, limit = (self.tried, self.cap_runs) if planted else (self.twin_runs, self.tried)
        role: Role = "canary" if planted else "twin"
        jobs = [
            Job(role, self.canary.name, k, canary_spec(self.request, self.canary, k, planted=planted))
            for k in range(first, min(first + size, limit))
        ]
        self._busy = True
        return Batch(tuple(jobs), until=self.canary.oracle if planted else None)

    def take(self, job: Job, result: RunResult) -> None:
        """Count one run.  Runs after the one that found the bug do not count."""
        if job.role == "twin":
            self.twin_runs += 1
            self.twin_failed += result.verdict == "FAIL"
        elif self.found_after is None:
            self.tried += 1
            if self.canary.caught_in(result.findings):
                self.found_after = self.tried
            else:
                for oracle in {finding.oracle for finding in result.findings}:
                    self.others[oracle] = self.others.get(oracle, 0) + 1

    def skip(self, job: Job) -> None:
        """Give up a job that no worker survived."""
        if job.role == "twin":
            self.twin_runs += 1
        else:
            self.tried += 1

    def release(self) -> None:
        """Note that no batch is out any more; what it left undone is handed out again."""
        self._busy = False
