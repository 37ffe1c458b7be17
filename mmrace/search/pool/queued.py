"""A source whose jobs are all known from the begin: they are handed out in their order, in batches of one size.

Invariant: a job is handed out again, before others, until its outcome came or it was given up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mmrace.runs.spec import RunSpec
from mmrace.search.pool.drive import Queue
from mmrace.search.pool.losses import Losses, LossySource
from mmrace.search.pool.messages import Batch, Job


class Troubled(Losses, Protocol):
    """A result, as far as that goes.  `troubles`: why runs cannot be made; `trouble_codes`: with which exit codes."""

    troubles: list[str]
    trouble_codes: set[int]


class QueuedSource(LossySource):
    """Subclass it and state what differs.  Args: result: where all goes.  jobs: in their order.  size: of a batch."""

    def __init__(self, result: Troubled, jobs: Iterator[Job], size: int) -> None:
        super().__init__(result)
        self._troubled, self.queue, self._size = result, Queue(jobs), size

    def next_batch(self) -> Batch | None:
        """Return the next runs."""
        jobs = self.queue.next(self._size)
        return Batch(tuple(jobs)) if jobs else None

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """Hand undone runs out again, first."""
        self.queue.give_back(undone)

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Note that runs cannot be made."""
        self._troubled.troubles.append(text)
        self._troubled.trouble_codes.add(exit_code)
