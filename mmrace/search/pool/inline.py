"""A pool of nobody else: batches are made in this process, while it is polled.

For programs that cannot travel as text, and for callers that want no processes.  A run that hangs or kills the process
takes the caller with it.
"""

from __future__ import annotations

import time
from types import TracebackType

from mmrace.runs import stops
from mmrace.search.pool.contract import Ended, Event, Reported
from mmrace.search.pool.health import health
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Job, Outcome

NAME = "here"


class InlinePool:
    """One batch at a time.  Use as a context manager, as every pool."""

    def __init__(self, making: Making) -> None:
        self.making = making
        self._batch: Batch | None = None
        self._done: list[tuple[Job, Outcome]] = []
        self._told = 0  # of those
        self._stopped = False

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._batch = None

    @property
    def places(self) -> int:
        """This process."""
        return 1

    @property
    def free(self) -> int:
        """1 if no batch is out."""
        return int(self._batch is None)

    @property
    def idle(self) -> bool:
        """Whether no batch is out."""
        return self._batch is None

    @property
    def converting(self) -> int:
        """Nobody looks while it does."""
        return 0

    def submit(self, batch: Batch) -> None:
        """Take a batch, to be made when polled."""
        assert self._batch is None, "a batch is out"
        self._batch, self._done, self._told = batch, [], 0

    def poll(self, timeout: float) -> list[Event]:
        """Make runs of the batch for about `timeout` seconds.

        A run that Ctrl-C interrupts is not made; what was made before it comes with the next call.
        """
        batch = self._batch
        if batch is None:
            return []
        until = time.monotonic() + timeout
        over = False
        while not over and len(self._done) < len(batch.jobs) and not self._stopped:
            job = batch.jobs[len(self._done)]
            try:
                outcome = self.making.make(job, batch)
            except stops.Unwanted:
                over = True
                break
            self._done.append((job, outcome))
            over = ends(batch, outcome)
            if time.monotonic() >= until:
                break
        events: list[Event] = []
        if len(self._done) > self._told:
            events.append(Reported(self._done[self._told :]))
            self._told = len(self._done)
        if over or self._stopped or self._told == len(batch.jobs):
            self._batch = None
            events.append(Ended(NAME, batch, list(batch.jobs[self._told :]), health()))
        return events

    def stop(self) -> None:
        """Make no further run."""
        self._stopped = True


def ends(batch: Batch, outcome: Outcome) -> bool:
    """Say whether an outcome ends its batch early."""
    result = outcome.result
    if result is None:
        return False
    if batch.stop_at_failure and result.verdict == "FAIL":
        return True
    return batch.until is not None and any(finding.oracle == batch.until for finding in result.findings)
