"""What travels between whoever asks for runs and whoever makes them: jobs one way, outcomes the other.

Invariant: everything here pickles, and is small: a record is written where it was made.  How one travels from another
machine is the far pool's matter (`far_parcel.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import Saves

Role: TypeAlias = Literal["main", "canary", "twin"]


@dataclass(frozen=True, slots=True)
class Job:
    """One run to make.  `index` counts within its source: what is on trial, a sequence of runs, or ""."""

    role: Role
    source: str
    index: int
    spec: RunSpec


@dataclass(frozen=True, slots=True)
class Has:
    """What who asks for runs has already, each as `name_of` has it.

    `whole`: findings of which nothing better can be kept.  `free`: of which runs of free threads only are kept, and
    were searched for under control in vain.
    """

    whole: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()


NOTHING_YET = Has()


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs for one worker, in order, all of one engine.

    `until`: stop after the first run in which this oracle found something.  `stop_at_failure`: in which any did.
    `has`: for a worker that does not see the store.
    """

    jobs: tuple[Job, ...]
    until: str | None = None
    stop_at_failure: bool = False
    has: Has = NOTHING_YET

    @property
    def engine(self) -> str:
        """The engine of all its runs."""
        return self.jobs[0].spec.engine


@dataclass(slots=True)
class Outcome:
    """What is left of a run when its record has been let go.

    Attributes: result: without record; None if the run could not be made.  saved: what became of its findings.
    trouble: why it could not be made, or not be made again under control (exit code, text).
    """

    result: RunResult | None
    saved: Saves = field(default_factory=dict)
    trouble: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a worker feels after a batch: resident memory, threads beyond the ones it keeps on purpose, open files.

    `open_files`: 0 where nobody can tell.  `live_blocks`: what objects occupy, in blocks of a hundred bytes or so:
    unlike resident memory, nothing of it is what an allocator keeps of the largest run so far.  A large object is one
    block at most.
    """

    rss_bytes: int
    stray_threads: int
    open_files: int = 0
    live_blocks: int = 0
