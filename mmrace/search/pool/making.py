"""How a job becomes an outcome, in whatever process: make the run, keep what it found, let its record go.

Invariant: what a run raises is an outcome too (a trouble); only a signal ends who makes it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.runs.spec import RunResult
from mmrace.runs.store import FindingStore, Saves
from mmrace.runtime.errors import EXIT_INTERNAL, MmraceError
from mmrace.search.pool.contract import ConvertFunction, RunFunction
from mmrace.search.pool.messages import Job, Outcome

TROUBLE_LINES_MAX = 40


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

    def make(self, job: Job, until: str | None = None, converts: Callable[[bool], None] = lambda now: None) -> Outcome:
        """Make one run.

        Args: until: the oracle that a planted bug is meant for.  converts: is told when a failure of free threads
        begins to be made again under control, which takes seconds, and when that is over.
        """
        try:
            result = self.run(job.spec, False)
        except Exception as error:
            return Outcome(None, trouble=trouble(error))
        if not result.shows:
            return Outcome(replace(result, record=None))
        made: Mapping[str, RunResult] = {}
        broke: tuple[int, str] | None = None
        if job.role != "canary":
            try:
                made = self._converted(result, converts)
            except Exception as error:  # what was found is kept all the same
                broke = trouble(error)
        return Outcome(replace(result, record=None), self._keep(job, until, result, made), broke)

    def _keep(self, job: Job, until: str | None, result: RunResult, made: Mapping[str, RunResult]) -> Saves:
        """Save a finding; of a planted bug the one it was planted for, if that was asked for."""
        if job.role != "canary":
            return self.store.save(result, made)
        if self.canaries is not None and any(finding.oracle == until for finding in result.findings):
            return FindingStore(self.canaries / job.source, self.store.text).save(result)
        return {}

    def _converted(self, result: RunResult, converts: Callable[[bool], None]) -> Mapping[str, RunResult]:
        """Return the runs to keep for findings of free threads of which nothing that can be repeated is kept yet.

        Where one was searched for in vain, later runs are only followed: any of them may be the first that comes again.
        """
        if self.convert is None:
            return {}
        wanted = self.store.unrepeatable(result)
        failures = {finding.signature for finding in result.findings if not finding.known}
        made: dict[str, RunResult] = {}
        for vain in (False, True):
            signatures = [name for name, before in wanted.items() if before is vain and name in failures]
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
