"""What travels between a campaign and its workers: jobs one way, outcomes the other.

Invariant: everything here pickles, and is small: a record never travels, it is written where it was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunSpec
from mmrace.strategies.feedback import Shown

Role: TypeAlias = Literal["main", "canary", "twin"]


@dataclass(frozen=True, slots=True)
class Job:
    """One run to make.  `index` counts within its source; `source` is "" or the name of the canary on trial."""

    role: Role
    source: str
    index: int
    spec: RunSpec


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs for one worker, in order.

    `until`: stop after the first run in which this oracle found something.  `stop_at_failure`: in which any did.
    """

    jobs: tuple[Job, ...]
    until: str | None = None
    stop_at_failure: bool = False

    @property
    def engine(self) -> str:
        """The engine of all its runs."""
        return self.jobs[0].spec.engine


@dataclass(slots=True)
class Outcome:
    """What is left of a run when its record has been let go.

    `unknown`: oracle -> why it could not say.  `saved`: folder of its finding, if one was written or known.
    `known`: the signature had a folder before.
    `digest` to `shown`: of an exploration (`spec.RunResult`).
    `unsaved`: why nothing could be written.  `trouble`: the run itself went wrong (exit code, text).
    """

    verdict: str
    findings: list[Finding] = field(default_factory=list)
    ops: int = 0
    switches: int = 0
    seconds: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    saved: str = ""
    known: bool = False
    unsaved: str = ""
    trouble: tuple[int, str] | None = None
    digest: int | None = None
    exercised: bool = False
    profile: str | None = None
    shown: Shown | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a worker feels after a batch: resident memory, and threads beyond the ones it keeps on purpose."""

    rss_bytes: int
    stray_threads: int
