"""The trial of a planted bug: it hands out batches, takes outcomes, and takes back jobs that nobody ran.

Invariant: each job is handed out again until its outcome came or it was given up; a trial's runs are judged in their
order, so "found after n runs" does not depend on the workers.
"""

from __future__ import annotations

from mmrace.runs.spec import RunResult
from mmrace.search.campaign.plan import canary_spec
from mmrace.search.campaign.request import Request
from mmrace.search.catalogue import CanaryLike
from mmrace.search.ledger.entry import Trial
from mmrace.search.ledger.sums import Sums
from mmrace.search.pool.messages import Batch, Job, Role


class CanaryTrial:
    """One planted bug: its runs until it is found or its cap is reached, then the same runs of the unmodified twin.

    Args: first: the turn of its first run.
    """

    def __init__(self, request: Request, canary: CanaryLike, first: int = 0) -> None:
        self.request, self.canary, self.first = request, canary, first
        self.cap_runs = canary.cap_under(request.engine or "free")
        self.found_after: int | None = None
        self.tried = 0
        self.twin_runs = 0
        self.twin_failed = 0
        self.others: dict[str, int] = {}
        self._busy = False

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
            Job(role, self.canary.name, turn, canary_spec(self.request, self.canary, turn, planted=planted))
            for turn in range(self.first + first, self.first + min(first + size, limit))
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

    def restore(self, told: Trial | None, planted: Sums, twin: Sums) -> None:
        """Go on where an interrupted trial stood.  Args: told: what was said of it.  planted, twin: of its runs."""
        self.twin_runs = twin.runs + twin.given_up
        self.twin_failed = twin.verdicts.get("FAIL", 0)
        self.tried = planted.runs + planted.given_up
        if told is not None and told.found_after is not None:
            self.found_after = self.tried = told.found_after

    def skip(self, job: Job) -> None:
        """Give up a job that no worker survived."""
        if job.role == "twin":
            self.twin_runs += 1
        else:
            self.tried += 1

    def release(self) -> None:
        """Note that no batch is out any more; what it left undone is handed out again."""
        self._busy = False
