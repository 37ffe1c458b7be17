"""Sampling: the schedules of all programs that are too large to be walked, as a source of the one loop.

Schedule i of each program comes before schedule i + 1 of any.  Invariant: what is counted depends on the options alone,
not on the number of processes, unless the time is up first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from mmrace.claims.one import ask_one
from mmrace.claims.programs import Setting, parts_for, spec_of
from mmrace.claims.result import ClaimsResult, Failure, PartCounts
from mmrace.runs.store import FindingStore
from mmrace.search.options import Options
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.cores import cores
from mmrace.search.pool.drive import drive
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from mmrace.search.pool.queued import QueuedSource

BATCH_RUNS = 8  # a third of a second: the answer to Ctrl-C and to the end of the time


class Sampling(QueuedSource):
    """The sampling of one call of the command.

    Args: result: where all goes.  settings: programs that are sampled.  late: says whether the time is up.
    """

    def __init__(
        self, result: ClaimsResult, settings: Sequence[Setting], options: Options, late: Callable[[], bool]
    ) -> None:
        super().__init__(result, self._jobs(), BATCH_RUNS)
        self.result, self.settings, self.options, self.late = result, settings, options, late

    def run(self, store: FindingStore) -> None:
        """Have the schedules made in worker processes."""
        if not self.settings:
            return
        making = Making(partial(ask_one, names=tuple(claim.name for claim in self.result.claims)), store)
        with ProcessPool(self.options.jobs or len(cores()), making) as pool:
            drive(pool, self)

    def _jobs(self) -> Iterator[Job]:
        """Yield the schedules of all programs, in turn."""
        index, options, settings = 0, self.options, list(self.settings)
        while settings:
            for setting in settings:
                yield Job("main", setting.name, index, spec_of(setting, options.seed, index, self.result.era))
            index += 1
            if options.seconds is None or options.runs is not None:
                settings = [setting for setting in settings if index < (options.runs or setting.schedules)]

    def over(self) -> bool:
        """Say whether sampling has had its share of the time, or went wrong."""
        return bool(self.result.troubles) or self.late()

    def killed(self, job: Job, lost: Lost) -> None:
        """Note that this run failed."""
        self.result.failures.append(Failure(job.spec, f"{lost.rule}: the process {lost.how}"))

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count what a schedule says of each part."""
        result, run = self.result, outcome.result
        result.runs += 1
        if run is None:
            assert outcome.trouble is not None
            self.trouble(*outcome.trouble, job.spec)
        elif run.verdict != "PASS":
            result.add_unfinished(job.spec, run.unknown["claims"])
        else:
            for part in parts_for(result.claims, job.source):
                counts = result.evidence.setdefault(part.name, {}).setdefault(job.source, PartCounts())
                counts.add(job.index, run.counters[f"{part.name}.tested"], run.counters[f"{part.name}.times"])
