"""A campaign: many short runs in worker processes, every canary first, until the time or the runs are used up.

Invariant: what is run is `plan.py`'s business and depends on the seed alone; what is lost with a worker is run again
(the run that it died in, once); Ctrl-C, a full disk and a dead worker end with everything known so far in the result.
Not here: text.  An `Observer` is told what happens, and the caller prints the result.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from loguru import logger

from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore, harness_finding
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_USAGE
from mmrace.search.campaign.request import Request
from mmrace.search.campaign.result import CampaignResult, WorkerLife
from mmrace.search.campaign.sources import CanaryTrial, MainSequence
from mmrace.search.catalogue import Catalogue
from mmrace.search.pool.child import RunFunction
from mmrace.search.pool.messages import Batch, Job, Outcome
from mmrace.search.pool.parent import HANG_SECONDS, Ended, Event, Lost, Workers
from mmrace.search.totals import TROUBLES_MAX, Hit, Trouble

CANARY_SHARE = 0.5
"""Canaries begin no batch after this part of the time: what is left is for the protocol itself."""
BATCH_SECONDS = 0.25  # about how long a batch lasts: IPC is lost in it, and the end of the time is met well enough
BATCH_RUNS_MAX = 500
FIRST_BATCH_RUNS = 4  # before anything is known about the length of a run
POLL_SECONDS = 0.25
ATTEMPTS_MAX = 2  # a spec whose worker died is tried once more
STILLBORN_MAX = 3  # workers in a row that died before their first run: then it is not the runs


class Observer(Protocol):
    """Who is told what happens.  Called in the campaign's own process, between two polls."""

    def progress(self, result: CampaignResult) -> None:
        """Called some times a second."""

    def found(self, hit: Hit) -> None:
        """A new signature was found on the protocol under test."""

    def canary(self, trial: CanaryTrial) -> None:
        """A planted bug was found, or missed within its cap."""


class Campaign:
    """One campaign.

    Args: request, known: what to do with what there is.  run: makes one run (in the workers; importable by name).
    folder: where findings go.  clock: monotonic seconds.
    """

    def __init__(
        self,
        request: Request,
        known: Catalogue,
        run: RunFunction,
        folder: Path,
        observer: Observer,
        *,
        hang_seconds: float = HANG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request, self.known, self.run_function, self.folder = request, known, run, folder
        self.observer, self.hang_seconds, self.clock = observer, hang_seconds, clock
        self.main = MainSequence(request, known)
        trials = [CanaryTrial(request, known.canaries[name]) for name in sorted(known.canaries)]
        self.trials = {trial.canary.name: trial for trial in trials} if request.canaries else {}
        marks = tuple(sorted(known.expected_marks(request.scenarios)))
        self.result = CampaignResult(request, trials=list(self.trials.values()), marks_known=marks)
        self._deaths: Counter[tuple[str, str, int]] = Counter()
        self._stillborn = 0
        self._pace: dict[str, float] = {}
        self._began = 0.0
        self._stop = False

    def run(self) -> CampaignResult:
        """Run to the end, or to Ctrl-C; return what came of it."""
        self._began = self.clock()
        logger.bind(event="begin", seed=self.request.seed, jobs=self.request.jobs).info("campaign begins")
        workers = Workers(
            self.request.jobs,
            self.run_function,
            self.folder,
            keep_canaries=self.request.keep_canaries,
            hang_seconds=self.hang_seconds,
        )
        with workers:
            try:
                self._loop(workers)
            except KeyboardInterrupt:
                self.result.interrupted = True
                logger.bind(event="interrupted").warning("interrupted: waiting for the runs in progress")
                self._finish(workers)
            self._now()
        self._judge_threads()
        result = self.result
        logger.bind(event="end", verdict=result.verdict, runs=result.total().runs).info("campaign ends")
        return result

    def _finish(self, workers: Workers) -> None:
        """Take what still comes; a second Ctrl-C ends even that."""
        try:
            for event in workers.drain():
                self._handle(event)
        except KeyboardInterrupt:
            logger.warning("interrupted again: runs in progress are dropped")

    def _loop(self, workers: Workers) -> None:
        while True:
            if self._over():
                workers.ask_to_stop()
            else:
                for slot in workers.free_slots():
                    batch = None if self._stop else self._next_batch()
                    if batch is None:
                        break
                    self._submit(workers, slot, batch)
            if len(workers.free_slots()) == workers.jobs:
                return
            for event in workers.poll(POLL_SECONDS):
                self._handle(event)
            self._now()
            self.observer.progress(self.result)

    def _submit(self, workers: Workers, slot: int, batch: Batch) -> None:
        try:
            workers.submit(slot, batch)
        except OSError as error:  # no more processes, memory, or room for what they share: the rest still counts
            self._return(batch, list(batch.jobs))
            self._trouble(batch.jobs[0].spec, EXIT_INTERNAL, f"a worker could not be started: {error}")
            self._stop = True

    def _now(self) -> float:
        self.result.seconds = self.clock() - self._began
        return self.result.seconds

    def _over(self) -> bool:
        seconds = self.request.seconds
        return self._stop or (seconds is not None and self._now() >= seconds)

    def _next_batch(self) -> Batch | None:
        """Canaries first, while their share of the time lasts, the least tried one first; then the main sequence."""
        seconds = self.request.seconds
        if seconds is None or self._now() < CANARY_SHARE * seconds:
            for trial in sorted(self.trials.values(), key=lambda trial: trial.tried + trial.twin_runs):
                batch = trial.next_batch(self._size("canary"))
                if batch is not None:
                    return batch
        return self.main.next_batch(self._size(self.main.peek_engine()))

    def _size(self, pace: str) -> int:
        each = self._pace.get(pace)
        if each is None:
            return FIRST_BATCH_RUNS
        return max(1, min(BATCH_RUNS_MAX, int(BATCH_SECONDS / max(each, 1e-6))))

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ended):
            life = self.result.workers.setdefault(event.worker, WorkerLife())
            life.add(self._now(), event.health)
            self._return(event.batch, event.undone)
        elif isinstance(event, Lost):
            self._bury(event)
        else:
            for job, outcome in event.outcomes:
                self._stillborn = 0
                self._take(job, outcome)

    def _take(self, job: Job, outcome: Outcome) -> None:
        """Count one outcome where it belongs."""
        pace = job.spec.engine if job.role == "main" else "canary"
        old = self._pace.get(pace, outcome.seconds)
        self._pace[pace] = 0.9 * old + 0.1 * outcome.seconds
        if outcome.trouble is not None:
            self._trouble(job.spec, *outcome.trouble)
        if job.role != "main":
            trial = self.trials[job.source]
            trial.take(job, outcome)
            if job.role == "canary":
                if not trial.planted:
                    self._settled(trial)
                return
        self.result.count(job, outcome)
        if outcome.verdict == "FAIL":
            findings = outcome.findings or [harness_finding("crash", "a run failed without a finding", job.spec)]
            for finding in findings:
                self._hit(Hit(finding, job.spec, job.role, job.index, 1, outcome.saved, outcome.known, outcome.unsaved))

    def _settled(self, trial: CanaryTrial) -> None:
        level = "WARNING" if trial.missed else "INFO"
        how = "missed" if trial.missed else f"found by {trial.canary.oracle}"
        logger.bind(event="canary", canary=trial.canary.name, runs=trial.tried).log(
            level, "canary {} {} after {} runs", trial.canary.name, how, trial.tried
        )
        self.observer.canary(trial)

    def _hit(self, hit: Hit) -> None:
        new = self.result.hit(hit)
        if new is not None:
            logger.bind(
                event="finding",
                signature=hit.finding.signature,
                oracle=hit.finding.oracle,
                rule=hit.finding.rule,
                command=hit.spec.command(),
                folder=hit.folder,
                unsaved=hit.unsaved,
            ).warning("finding {}: {}", hit.finding.signature, hit.finding.title)
            self.observer.found(new)

    def _trouble(self, spec: RunSpec, exit_code: int, text: str) -> None:
        if len(self.result.troubles) < TROUBLES_MAX:
            self.result.troubles.append(Trouble(exit_code, text, spec))
        logger.bind(event="trouble", exit_code=exit_code, command=spec.command()).error("{}", text)
        if exit_code == EXIT_USAGE:
            self._stop = True  # the next run would say the same

    def _return(self, batch: Batch, undone: list[Job]) -> None:
        """Give undone jobs back to where they came from."""
        if not batch.jobs:
            return
        first = batch.jobs[0]
        if first.role == "main":
            self.main.give_back(undone)
        else:
            self.trials[first.source].release()

    def _bury(self, event: Lost) -> None:
        """Report a worker that died or hung, and hand its work out again; the run it was at, once."""
        self.result.deaths += 1
        culprit, undone = event.culprit, event.undone
        logger.bind(event="worker-lost", worker=event.worker).error("worker {} {}", event.worker, event.how)
        if culprit is None:
            self._stillborn += 1
            if self._stillborn >= STILLBORN_MAX:
                spec = event.batch.jobs[0].spec
                text = f"mmrace bug: {self._stillborn} workers died before their first run; the last one {event.how}"
                self._trouble(spec, EXIT_INTERNAL, text)
                self._stop = True
        else:
            self._accuse(event, culprit)
            key = (culprit.role, culprit.source, culprit.index)
            self._deaths[key] += 1
            if self._deaths[key] < ATTEMPTS_MAX:
                undone = [culprit, *undone]
            else:
                self.result.given_up.append(culprit.spec)
                if culprit.role != "main":
                    self.trials[culprit.source].skip(culprit)
        self._return(event.batch, undone)

    def _accuse(self, event: Lost, culprit: Job) -> None:
        title = f"{event.rule}: the process {event.how} during a run of {culprit.spec.scenario}"
        finding = harness_finding(event.rule, title, culprit.spec, worker=event.worker, how=event.how)
        saved = FindingStore(self.folder / "findings").save_finding(culprit.spec, finding)
        self._hit(Hit(finding, culprit.spec, culprit.role, culprit.index, 1, saved.folder, saved.known, saved.error))

    def _judge_threads(self) -> None:
        """A run that leaves a thread behind is a bug of the harness, and a finding like any other."""
        for name, life in self.result.workers.items():
            if life.stray_threads:
                spec = RunSpec(self.request.scenarios[0], seed=self.request.seed)
                title = f"worker {name} had {life.stray_threads} threads that no run owns"
                finding = harness_finding("threads left behind", title, None, threads=life.stray_threads)
                self._hit(Hit(finding, spec, "main", 0))
