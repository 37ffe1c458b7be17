"""The contract of a pool: whoever makes runs for others, near or far.

Invariant: every job of a submitted batch comes back, as an outcome (`Reported`) or undone (`Ended`, `Lost`); what dies
costs at most the run that it was making.  Not here: what to do with either (`drive.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mmrace.runs.spec import RunResult, RunSpec
from mmrace.search.pool.messages import Batch, Health, Job, Outcome

STARTS_AGAIN_MAX = 8
"""Times that a worker which could not be started is tried again, each time after twice as long."""

RunFunction: TypeAlias = Callable[[RunSpec, bool], RunResult]
"""Makes one run; the flag asks for the record of one that passed.  It pickles, where runs are made elsewhere."""


class ConvertFunction(Protocol):
    """Makes failures of free threads again under control (`search/convert/`).  It pickles."""

    def __call__(self, free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
        """Return, for each wanted signature, a run to keep.  Args: search: not only follow."""


@dataclass(slots=True)
class Reported:
    """Outcomes of jobs, in the order of their batch."""

    outcomes: list[tuple[Job, Outcome]]


@dataclass(slots=True)
class Ended:
    """A batch is over.

    `undone`: jobs that were not reached, because of `until` or of a stop.  `health`: None of a worker that the stop met
    before it began.
    """

    worker: str
    batch: Batch
    undone: list[Job]
    health: Health | None


@dataclass(slots=True)
class Lost:
    """A worker died or hung.  `culprit` is the job it was at (None: it had not begun any); `undone` are the others.

    `in_vain`: it died before it had ended a single run of the batch.  `outside`: somebody else ended it, a person, or
    the machine for want of memory; that says nothing of the run.
    """

    worker: str
    batch: Batch
    culprit: Job | None
    undone: list[Job]
    rule: str
    how: str
    in_vain: bool
    outside: bool = False

    @property
    def told(self) -> str:
        """Say what happened, and when."""
        when = "before it began a run" if self.culprit is None else "during a run"
        return f"{self.how} {when}" + (", from outside" if self.outside else "")


Event: TypeAlias = Reported | Ended | Lost


class Pool(Protocol):
    """Makes batches of runs."""

    @property
    def places(self) -> int:
        """How many batches can be out at once; fewer while a worker cannot be started, 0 if none can."""

    @property
    def free(self) -> int:
        """How many more batches can be submitted now."""

    @property
    def converting(self) -> int:
        """How many workers make a failure of free threads again under control just now, as far as is known."""

    @property
    def idle(self) -> bool:
        """Whether no batch is out."""

    def submit(self, batch: Batch) -> None:
        """Take a batch.  Raises OSError if whoever should make it cannot be started; there is one place less then,
        for a while (`STARTS_AGAIN_MAX`).  Raises MmraceError if nobody is left who could, and a person has to see to
        that.
        """

    def poll(self, timeout: float) -> list[Event]:
        """Wait up to `timeout` seconds for news; return all there is."""

    def stop(self) -> None:
        """Let every batch end after the run in progress, and at once where none is yet."""
