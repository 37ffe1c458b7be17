"""How a job becomes an outcome, in whatever process: make the run, keep what it found, let its record go.

Invariant: what a run raises is an outcome too (a trouble); only a signal ends who makes it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from mmrace.runs.spec import RunResult
from mmrace.runs.store import FindingStore, Saves
from mmrace.runtime.errors import EXIT_INTERNAL, MmraceError
from mmrace.search.pool.contract import ConvertFunction, Pool, RunFunction
from mmrace.search.pool.messages import Batch, Job, Outcome

TROUBLE_LINES_MAX = 40
ALONE = Batch(())
"""Of a job that is made alone."""

PoolFactory: TypeAlias = "Callable[[Making], AbstractContextManager[Pool]]"
"""Who makes the runs of a campaign or an exploration, if not processes of this machine."""
Wanted: TypeAlias = Callable[[RunResult], Mapping[str, bool]]
"""The findings of a free run to be made again under control, by signature; whether that was searched for in vain."""


class Makes(Protocol):
    """Makes an outcome of a job.  Pickles, where runs are made elsewhere."""

    def make(self, job: Job, batch: Batch = ALONE, converts: Callable[[bool], None] = lambda now: None) -> Outcome:
        """Make one run.

        Args: batch: whose job it is.  converts: is told when a failure of free threads begins to be made again under
        control, which takes seconds, and when that is over.
        """


@dataclass(slots=True)
class Made:
    """A run, whole.  `again`: by signature, the runs under control that its findings are kept as.

    `trouble`: why it could not be made, or not be made again under control.
    """

    result: RunResult | None
    again: Mapping[str, RunResult] = field(default_factory=dict)
    trouble: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Making:
    """Who makes a run, and where findings go.  Pickles.

    Args: canaries: folder for what caught a planted bug; None: that is not kept.  convert: makes failures of free
    threads again under control; None: nobody does.
    """

    run: RunFunction
    store: FindingStore
    canaries: Path | None = None
    convert: ConvertFunction | None = None

    def make(self, job: Job, batch: Batch = ALONE, converts: Callable[[bool], None] = lambda now: None) -> Outcome:
        """Make one run, and keep what it found; see `Makes`."""
        return self.keep(job, batch, self.whole(job, self.store.unrepeatable, converts))

    def whole(self, job: Job, wanted: Wanted, converts: Callable[[bool], None] = lambda now: None) -> Made:
        """Make one run, with all that is to be kept of it.

        Args: wanted: which findings of a free run are to be made again.
        """
        try:
            result = self.run(job.spec, False)
        except Exception as error:
            return Made(None, trouble=trouble(error))
        if job.role == "canary" or not result.shows:
            return Made(result)
        try:
            return Made(result, self._converted(result, wanted, converts))
        except Exception as error:  # what was found is kept all the same
            return Made(result, trouble=trouble(error))

    def keep(self, job: Job, batch: Batch, made: Made) -> Outcome:
        """Keep what a run found, and let its record go.  Of a planted bug, what it was planted for, if asked for."""
        result = made.result
        if result is None:
            return Outcome(None, trouble=made.trouble)
        saved: Saves = {}
        if result.shows and job.role != "canary":
            saved = self.store.save(result, made.again)
        elif result.shows and self.keeps_canary(batch, result):
            assert self.canaries is not None
            saved = FindingStore(self.canaries / job.source, self.store.text).save(result)
        return Outcome(replace(result, record=None), saved, made.trouble)

    def keeps_canary(self, batch: Batch, result: RunResult) -> bool:
        """Say whether a run with a planted bug is kept: if it was caught by the judge that it is meant for."""
        return self.canaries is not None and any(finding.oracle == batch.until for finding in result.findings)

    def _converted(
        self, result: RunResult, wanted: Wanted, converts: Callable[[bool], None]
    ) -> Mapping[str, RunResult]:
        """Return the runs to keep for findings of free threads of which nothing that can be repeated is kept yet.

        Where one was searched for in vain, later runs are only followed: any of them may be the first that comes again.
        """
        if self.convert is None:
            return {}
        before = wanted(result)
        failures = {finding.signature for finding in result.findings if not finding.known}
        made: dict[str, RunResult] = {}
        for vain in (False, True):
            signatures = [name for name, tried in before.items() if tried is vain and name in failures]
            if not signatures:
                continue
            converts(True)
            try:
                made |= self.convert(result, signatures, search=not vain)
            finally:
                converts(False)
        return made


def trouble(error: Exception) -> tuple[int, str]:
    """Return the exit code of a run that could not be made, and what to say.  Call it where `error` is handled."""
    if isinstance(error, MmraceError):
        return error.exit_code, str(error)
    lines = traceback.format_exc().splitlines()[-TROUBLE_LINES_MAX:]
    return EXIT_INTERNAL, "\n".join(["mmrace bug:", *lines])
