"""A campaign: many short runs, every canary first, until the time or the runs are used up.

Invariant: what is run is the business of `sequences.py` and `plan.py`, and depends on the seed alone; Ctrl-C, a full
disk and a dead worker end with everything known so far in the result.  Not here: text.  An `Observer` is told what
happens, and the caller prints the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from loguru import logger

from mmrace.runs import leftovers, stops
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore, Text, harness_finding
from mmrace.runtime.errors import EXIT_USAGE
from mmrace.search.campaign.identity import of_row, of_trial
from mmrace.search.campaign.logbook import Logbook
from mmrace.search.campaign.plan import planted, share_of, to_plant
from mmrace.search.campaign.request import Request
from mmrace.search.campaign.restoring import hit_of, restore, untold
from mmrace.search.campaign.result import CampaignResult, WorkerLife
from mmrace.search.campaign.resuming import plain
from mmrace.search.campaign.sequences import At, Row, Sequences, rows
from mmrace.search.campaign.standing import Standing, of_new
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.catalogue import Catalogue
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.pool.contract import ConvertFunction, Lost, Pool, RunFunction
from mmrace.search.pool.drive import Pace, drive
from mmrace.search.pool.losses import LossySource
from mmrace.search.pool.making import Making, PoolFactory
from mmrace.search.pool.messages import Batch, Health, Job, Outcome
from mmrace.search.pool.parent import HANG_SECONDS, ProcessPool
from mmrace.search.totals import TROUBLES_MAX, Hit, Trouble, check_folders, hit_of_lost, hits_of

CANARY_SHARE = 0.5
"""Canaries begin no batch after this part of the time; the rest is for the protocol itself."""


class Observer(Protocol):
    """Who is told what happens.  Called in the campaign's own process, between two polls."""

    def progress(self, result: CampaignResult) -> None:
        """Called some times a second."""

    def found(self, hit: Hit) -> None:
        """A new signature was found on the protocol under test."""

    def canary(self, trial: CanaryTrial) -> None:
        """A planted bug was found, or missed within its cap."""


class Campaign(LossySource):
    """One campaign.

    Args: request, known: what to do with what there is.  run: makes one run (in the workers; importable by name).
    folder: where findings go.  text: makes their summaries for the eye.  convert: makes findings of free threads again
    under control.  pool: who makes the runs, if not processes of this machine; pace: of its batches.  clock: monotonic
    seconds.  ledger: where it is written down; None: nowhere.  standing: where a campaign that was interrupted stood.
    command: that began it.
    """

    def __init__(
        self,
        request: Request,
        known: Catalogue,
        run: RunFunction,
        folder: Path,
        observer: Observer,
        *,
        text: Text | None = None,
        convert: ConvertFunction | None = None,
        hang_seconds: float = HANG_SECONDS,
        pool: PoolFactory | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        ledger: Ledger | None = None,
        standing: Standing | None = None,
        command: str = "",
    ) -> None:
        self.request, self.known, self.observer, self.clock = request, known, observer, clock
        self.hang_seconds = hang_seconds
        self.store = FindingStore(folder / "findings", text)
        self.making = Making(run, self.store, folder / "canaries" if request.keep_canaries else None, convert)
        self.ledger, self.command = ledger, command
        self._stand(standing or of_new(request, ledger))
        self.pace = pace or Pace()
        self._began = 0.0
        self._stop = False
        self._there: set[str] = set()
        self._make_pool = pool
        self._pool: Pool | None = None

    def _stand(self, standing: Standing) -> None:
        """Take up where the campaign stands."""
        request, known = self.request, self.known
        self.standing = standing
        self.sequences = {("main", row.name): of_row(row) for row in rows(request, known)}
        self.main = Sequences(request, known, self._at)
        names = planted(request, known, self.standing.before)
        self.trials = {name: self._trial(name) for name in share_of(names, request.shard)}
        marks = tuple(sorted(known.expected_marks(request.scenarios)))
        left_out = tuple(name for name in to_plant(request, known) if name not in names)
        self.result = CampaignResult(request, trials=list(self.trials.values()), unplanted=left_out, marks_known=marks)
        super().__init__(self.result)
        self.log = Logbook(self.ledger, self.sequences)
        restore(self.result, self.standing, rows(request, known), self.sequences, self.store.folder)

    def _at(self, row: Row) -> At:
        return self.standing.at(self.request, self.ledger, self.sequences["main", row.name])

    def _trial(self, name: str) -> CanaryTrial:
        """Return the trial of a planted bug, as far as it is."""
        request, canary = self.request, self.known.canaries[name]
        of = self.sequences["canary", name] = of_trial(request, canary, "canary")
        twin = self.sequences["twin", name] = of_trial(request, canary, "twin")
        trial = CanaryTrial(request, canary, self.standing.first_of_trial(name, request, self.ledger, of))
        trial.restore(self.standing.trials.get(name), self.standing.of(of), self.standing.of(twin))
        return trial

    def run(self) -> CampaignResult:
        """Run to the end, or to Ctrl-C; return what came of it."""
        leftovers.put_back(self.store.folder)
        with self.pool() as pool:  # a fleet that is not there is a wrong call, and no campaign
            self._pool = pool
            self._began = self.clock() - self.standing.seconds
            self._begin()
            try:
                drive(pool, self)
            except KeyboardInterrupt as error:
                self.result.interrupted = stops.number_of(error)
            self._now()
        self._judge_threads()
        result = self.result
        self._judge_folders()
        check_folders((result.hits, result.known))
        self.log.end(result)
        logger.bind(event="end", verdict=result.verdict, runs=result.total().runs).info("campaign ends")
        return result

    def _begin(self) -> None:
        """Write down that it begins, or goes on, and take in findings that were never told."""
        request, ledger = self.request, self.ledger
        with ledger.alone() if ledger is not None else nullcontext():  # two that begin at once have turns of their own
            if not self.standing.campaign and (now := of_new(request, ledger)).first != self.standing.first:
                self._stand(now)
            standing = self.standing
            self.log.begin(standing, plain(self.result, self.known, standing), self.command)
        for hit in self.log.before(self.store.folder, standing):
            self._hit(hit)
        self._there = {path.name for path in self.store.folder.glob("*")}
        logger.bind(
            event="begin", seed=request.seed, jobs=request.jobs, resumed=standing.runs, campaign=standing.campaign
        ).info("campaign goes on after {} runs" if standing.runs else "campaign begins", standing.runs)

    def pool(self) -> AbstractContextManager[Pool]:
        """Return who makes its runs."""
        if self._make_pool is not None:
            return self._make_pool(self.making)
        return ProcessPool(self.request.jobs, self.making, hang_seconds=self.hang_seconds, clock=self.clock)

    def _now(self) -> float:
        self.result.seconds = self.clock() - self._began
        return self.result.seconds

    # -- the source of its runs -------------------------------------------------------------------------------------

    def over(self) -> bool:
        """Say whether the time is up, or the next run would go wrong as the last did."""
        seconds = self.request.seconds
        return self._stop or (seconds is not None and self._now() >= seconds)

    def tell(self) -> None:
        """Tell the observer how far it is."""
        self._now()
        self.log.tick()
        self.result.converting = self._pool.converting if self._pool is not None else 0
        self.observer.progress(self.result)

    def next_batch(self) -> Batch | None:
        """Canaries first, while their share of the time lasts, the least tried one first; then the sequences."""
        seconds = self.request.seconds
        if seconds is None or self._now() < CANARY_SHARE * seconds:
            for trial in sorted(self.trials.values(), key=lambda trial: trial.tried + trial.twin_runs):
                batch = trial.next_batch(self.pace.size("canary"))
                if batch is not None:
                    return batch
        return self.main.next_batch(self.pace)

    def worker(self, name: str, health: Health) -> None:
        """Note a worker's memory and threads."""
        self.result.workers.setdefault(name, WorkerLife()).add(self._now(), health)
        self.log.worker(name, health)

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count one outcome where it belongs."""
        result = outcome.result
        if outcome.trouble is not None:
            self.trouble(*outcome.trouble, job.spec)
        if result is None:
            if job.role != "main":
                self.trials[job.source].skip(job)
            return
        self.pace.took(result.seconds, job.source if job.role == "main" else "canary")
        hits = hits_of(job, outcome) if job.role != "canary" else []
        self.log.take(job, result, hits)
        if job.role != "main":
            trial = self.trials[job.source]
            trial.take(job, result)
            if job.role == "canary":
                if not trial.planted:
                    self._settle(trial)
                return
        self.result.count(job, result)
        for hit in hits:
            self._hit(hit)

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Note a run that could not be made; stop after a wrong call, for the next run would be as wrong."""
        if len(self.result.troubles) < TROUBLES_MAX:
            self.result.troubles.append(Trouble(exit_code, text, spec))
        logger.bind(event="trouble", exit_code=exit_code, command=spec.command()).error("{}", text)
        if exit_code == EXIT_USAGE:
            self._stop = True

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """Give undone jobs back to where they came from."""
        if not batch.jobs:
            return
        self.log.over(batch.jobs)
        first = batch.jobs[0]
        if first.role == "main":
            self.main.give_back(undone)
        else:
            self.trials[first.source].release()

    def buried(self, lost: Lost) -> None:
        """Count a worker that died or hung, and look after it no more."""
        super().buried(lost)
        self.log.gone(lost.worker)
        life = self.result.workers.get(lost.worker)
        if life is not None and not life.stray_threads:
            del self.result.workers[lost.worker]

    def killed(self, job: Job, lost: Lost) -> None:
        """Note the finding that this is."""
        hit = hit_of_lost(job, lost, self.store)
        self.log.lost(job, hit)
        self._hit(hit)

    def give_up(self, job: Job) -> None:
        """Do without a run that no worker survives."""
        super().give_up(job)
        self.log.take(job, None)
        if job.role != "main":
            self.trials[job.source].skip(job)

    # -- what is told -----------------------------------------------------------------------------------------------

    def _settle(self, trial: CanaryTrial) -> None:
        level = "WARNING" if trial.missed else "INFO"
        how = "missed" if trial.missed else f"found by {trial.canary.oracle}"
        logger.bind(event="canary", canary=trial.canary.name, runs=trial.tried).log(
            level, "canary {} {} after {} runs", trial.canary.name, how, trial.tried
        )
        self.log.trial(trial)
        self.observer.canary(trial)

    def _hit(self, hit: Hit) -> None:
        self.log.met(hit)
        if hit.known:
            self.result.known.add(hit)
        elif self.result.hits.add(hit):
            logger.bind(
                event="finding",
                signature=hit.finding.signature,
                oracle=hit.finding.oracle,
                rule=hit.finding.rule,
                command=hit.command,
                folder=hit.saved.folder,
                unsaved=hit.saved.error,
                conversion=hit.saved.conversion.how if hit.saved.conversion is not None else "",
            ).warning("finding {}: {}", hit.finding.signature, hit.finding.title)
            self.observer.found(hit)

    def _judge_folders(self) -> None:
        """A worker that was ended after it had kept a finding, and before it told, may not have it a second time."""
        if not self.result.losses:
            return
        told = {Path(hit.saved.folder).name for hits in (self.result.hits, self.result.known) for hit in hits.values()}
        for met in untold(self.store.folder, ()):
            if met.folder not in self._there | told and met.program in self.request.scenarios:
                self._hit(hit_of(met, "main", 0, self.store.folder))

    def _judge_threads(self) -> None:
        """A run that leaves a thread behind is a bug of the harness, and a finding like any other."""
        for name, life in self.result.workers.items():
            if life.stray_threads:
                spec = RunSpec(self.request.scenarios[0], seed=self.request.seed)
                title = f"worker {name} had {life.stray_threads} threads that no run owns"
                finding = harness_finding("threads left behind", title, None, threads=life.stray_threads)
                self._hit(Hit(finding, spec, "main", 0))
