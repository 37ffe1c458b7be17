"""A source that keeps in its result what became of its workers.

Invariant: every worker that was lost or could not be started is counted, with how; every run that none survived is
kept; a run that took its worker with it is told to whoever decides what that means (`killed`).
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from mmrace.runs.spec import RunSpec
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.drive import Source
from mmrace.search.pool.messages import Job


class Losses(Protocol):
    """A result, as far as workers go.  `losses`: how they were lost -> how many.  `given_up`: runs none survived."""

    losses: Counter[str]
    given_up: list[RunSpec]


class LossySource(Source):
    """Subclass it and state what differs.  Args: losses: the result."""

    def __init__(self, losses: Losses) -> None:
        self._lost = losses

    def killed(self, job: Job, lost: Lost) -> None:
        """A worker died or hung during this run, and nobody ended it from outside."""
        raise NotImplementedError

    def buried(self, lost: Lost) -> None:
        """Count a worker that died or hung."""
        self._lost.losses[lost.told] += 1
        if lost.culprit is not None and not lost.outside:
            self.killed(lost.culprit, lost)

    def unstarted(self, why: str) -> None:
        """Count a worker that could not be started."""
        self._lost.losses[why] += 1

    def give_up(self, job: Job) -> None:
        """Do without a run that no worker survives."""
        self._lost.given_up.append(job.spec)
