"""How a job becomes an outcome, in whatever process: make the run, keep what it found, let its record go.

Invariant: what a run raises is an outcome too (a trouble); only a signal ends who makes it.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from mmrace.runs.spec import RunResult
from mmrace.runs.store import FindingStore, Saves
from mmrace.runtime.errors import EXIT_INTERNAL, MmraceError
from mmrace.search.pool.contract import RunFunction
from mmrace.search.pool.messages import Job, Outcome

TROUBLE_LINES_MAX = 40


@dataclass(frozen=True, slots=True)
class Making:
    """Who makes a run, and where findings go.  Pickles.

    Args: canaries: folder for what caught a planted bug; None: that is not kept.
    """

    run: RunFunction
    store: FindingStore
    canaries: Path | None = None

    def make(self, job: Job, until: str | None = None) -> Outcome:
        """Make one run.  Args: until: the oracle that a planted bug is meant for."""
        try:
            result = self.run(job.spec, False)
        except Exception as error:
            return Outcome(None, trouble=trouble(error))
        saved = self._keep(job, until, result) if result.shows else {}
        return Outcome(replace(result, record=None), saved)

    def _keep(self, job: Job, until: str | None, result: RunResult) -> Saves:
        """Save a finding; of a planted bug the one it was planted for, if that was asked for."""
        if job.role != "canary":
            return self.store.save(result)
        if self.canaries is not None and any(finding.oracle == until for finding in result.findings):
            return FindingStore(self.canaries / job.source, self.store.text).save(result)
        return {}


def trouble(error: Exception) -> tuple[int, str]:
    """Return the exit code of a run that could not be made, and what to say.  Call it where `error` is handled."""
    if isinstance(error, MmraceError):
        return error.exit_code, str(error)
    lines = traceback.format_exc().splitlines()[-TROUBLE_LINES_MAX:]
    return EXIT_INTERNAL, "\n".join(["mmrace bug:", *lines])
