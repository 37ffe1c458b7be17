"""Make a table: every row in every era, over a number of seeds, by worker processes.

Run i of each cell comes before run i + 1 of any, so that a table that was cut by Ctrl-C has as many runs in each cell.
Invariant: what is counted depends on rows, eras and seed alone, not on the number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmrace.measure.load import Row
from mmrace.measure.one import count_one, spec_of
from mmrace.measure.result import TableResult
from mmrace.runs import stops
from mmrace.runs.store import FindingStore
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.cores import cores
from mmrace.search.pool.drive import drive
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from mmrace.search.pool.queued import QueuedSource

BATCH_RUNS = 1  # some seconds each: the answer to Ctrl-C


class TableRun(QueuedSource):
    """One call.  Args: seconds: after which no further run begins.  tell: called some times a second."""

    def __init__(
        self,
        rows: Sequence[Row],
        eras: Sequence[str],
        *,
        seeds: int,
        seed: int,
        folder: Path,
        jobs: int = 0,
        seconds: float | None = None,
        tell: Callable[[TableResult], None] = lambda result: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.result = TableResult(tuple(row.name for row in rows), tuple(eras), seeds, seed)
        super().__init__(self.result, self._jobs_to_make(), BATCH_RUNS)
        self.rows, self.folder, self.jobs, self._tell, self._clock = rows, folder, jobs, tell, clock
        self.seconds, self._began = seconds, clock()
        self._cells: dict[str, tuple[str, str]] = {
            f"{row.name} / {era}": (row.name, era) for row in rows for era in eras
        }

    def run(self) -> TableResult:
        """Have the runs made; Ctrl-C ends that, and goes on with what is known by then."""
        making = Making(count_one, FindingStore(self.folder / "findings"))
        try:
            with ProcessPool(self.jobs or len(cores()), making) as pool:
                drive(pool, self)
        except KeyboardInterrupt as error:
            self.result.interrupted = stops.number_of(error)
        self.result.seconds = self._clock() - self._began
        return self.result

    def _jobs_to_make(self) -> Iterator[Job]:
        for index in range(self.result.seeds):
            for row in self.rows:
                for era in self.result.eras:
                    yield Job("main", f"{row.name} / {era}", index, spec_of(row, era, self.result.seed, index))

    def over(self) -> bool:
        """Say whether runs cannot be made, or the time is up."""
        late = self.seconds is not None and self._clock() - self._began >= self.seconds
        return bool(self.result.troubles) or late

    def tell(self) -> None:
        """Show progress."""
        self.result.seconds = self._clock() - self._began
        self._tell(self.result)

    def killed(self, job: Job, lost: Lost) -> None:
        """Note that this run did not finish."""
        self.result.cell(*self._cells[job.source]).unfinished[f"the process {lost.how}"] += 1

    def take(self, job: Job, outcome: Outcome) -> None:
        """Put a run's counts into its cell."""
        self.result.runs += 1
        run = outcome.result
        if run is None:
            assert outcome.trouble is not None
            self.trouble(*outcome.trouble, job.spec)
            return
        cell = self.result.cell(*self._cells[job.source])
        if run.verdict == "PASS":
            cell.add(job.index, run.counters)
        else:
            cell.unfinished[run.unknown["table"]] += 1
