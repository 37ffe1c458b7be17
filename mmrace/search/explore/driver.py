"""Explore one program: draw schedules in worker processes, or walk its tree here; count classes, keep findings.

Schedule i of a sampling strategy is a function of (seed, i, profile), whatever `--jobs` says; under feedback, of (seed,
i, corpus), and a generation waits for the one before.  A systematic search depends on its own last run and is made in
this process.  At the end each finding's record is replayed strictly, and for each predicted deadlock a search tries to
make it happen (`replays.py`).  Invariant: Ctrl-C, a dead worker and a run that breaks mmrace end with everything known
so far in the result.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from loguru import logger

from mmrace.runs import loading
from mmrace.runs.profile import NO_FIELD, promoted_fields
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec, derive
from mmrace.runs.store import FindingStore, Saved, harness_finding
from mmrace.runtime.errors import EXIT_INTERNAL, UsageError
from mmrace.search.explore import replays
from mmrace.search.explore.generations import Loop
from mmrace.search.explore.one import explored, walked
from mmrace.search.explore.result import Ask, Covered, Exploration, checked
from mmrace.search.pool.child import outcome_of, trouble
from mmrace.search.pool.messages import Batch, Job, Outcome
from mmrace.search.pool.parent import Ended, Event, Lost, Workers
from mmrace.search.totals import TROUBLES_MAX, Hit, Trouble
from mmrace.strategies import registry
from mmrace.strategies.contract import Systematic
from mmrace.strategies.feedback import NOTHING, Shown, is_feedback
from mmrace.strategies.order.classes import Classes
from mmrace.strategies.text import StrategyText

BATCH_SECONDS = 0.25  # as long as a worker may keep its results to itself, and the end of a search waits for it
BATCH_RUNS_MAX = 2000
FIRST_BATCH_RUNS = 8  # before anybody knows how long a run takes
POLL_SECONDS = 0.25
TELL_SECONDS = 0.25
DEATHS_MAX = 4  # workers that die: a program that kills its process again and again is not explored to the end


class Observer(Protocol):
    """Who is told what happens."""

    def progress(self, result: Exploration) -> None:
        """Called some times a second."""

    def found(self, hit: Hit) -> None:
        """A new signature was found."""


class Explorer:
    """One exploration.

    Args: folder: where findings go.  until_found: stop at the first.  clock: monotonic seconds.  Raises UsageError.
    """

    def __init__(
        self,
        ask: Ask,
        folder: Path,
        observer: Observer,
        *,
        until_found: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        loading.load(ask.load)
        self.ask, self.folder, self.observer, self.clock = checked(ask), folder, observer, clock
        self.until_found = until_found
        self.result = Exploration(ask)
        self.program = Program.of(ask.spec(ask.strategy, ask.seed))
        self.store = FindingStore(folder / "findings")
        self._began = self._told = clock()
        self._back: deque[Job] = deque()
        self._next = 0
        self._each = 0.0  # seconds a run, smoothed

    def run(self) -> Exploration:
        """Explore to the end, or to Ctrl-C; return what came of it.  Raises UsageError for a wrong call."""
        ask, result = self.ask, self.result
        logger.bind(event="begin", seed=ask.seed).info("exploration of {} begins", ask.scenario)
        try:
            if ask.systematic:
                self._walk()
            else:
                self._sample()
            self._now()
            self._prove()
        except KeyboardInterrupt:
            result.interrupted = True
            self._now()
        except UsageError as error:
            if not result.tally.runs:
                raise
            result.troubles.append(Trouble(error.exit_code, str(error), ask.spec(ask.strategy, ask.seed)))
        logger.bind(event="end", verdict=result.verdict, runs=result.tally.runs).info("exploration ends")
        return result

    def _prove(self) -> None:
        """Prove what was found; what breaks in that is a trouble, and costs nothing that is known."""
        result = self.result
        try:
            replays.prove(result, self.store, self._hit)
        except UsageError:
            raise
        except Exception as error:
            result.troubles.append(Trouble(*trouble(error), self.ask.spec(self.ask.strategy, self.ask.seed)))

    # -- time -------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        self.result.seconds = self.clock() - self._began
        return self.result.seconds

    def _over(self) -> bool:
        if self.until_found and self.result.hits:
            return True
        return self.ask.seconds is not None and self._now() >= self.ask.seconds

    def _tell(self) -> None:
        if self.clock() - self._told >= TELL_SECONDS:
            self._told = self.clock()
            self._now()
            self.observer.progress(self.result)

    # -- sampling ---------------------------------------------------------------------------------------------------

    def _spec(self, index: int) -> RunSpec:
        ask = self.ask
        return ask.spec(registry.member_by_turn(ask.strategy, index), derive(ask.seed, "schedule", index))

    def workers(self) -> Workers:
        """Return the processes that draw schedules."""
        return Workers(self.ask.jobs, partial(explored, without=self.ask.without), self.folder)

    def _sample(self) -> None:
        ask = self.ask
        fields = promoted_fields(self.program, ask.promote)
        if fields is not None:  # named from here on, so that no worker has to find them again
            self.result.promoted = tuple(sorted(fields))
            self.ask = ask = replace(ask, promote=",".join(self.result.promoted) or NO_FIELD)
        with self.workers() as workers:
            try:
                if is_feedback(ask.strategy):
                    self._generations(workers)
                else:
                    self._draw(workers, None if ask.schedules is None else range(ask.schedules), self._spec, self._take)
            except KeyboardInterrupt:
                for event in workers.drain():
                    self._handle(event, self._take)
                raise

    def _generations(self, workers: Workers) -> None:
        """Sample generation after generation, each from what the one before showed."""
        ask = self.ask
        loop = Loop(ask.strategy, lambda text: ask.spec(text, ask.seed), self.folder)
        while indices := loop.indices(ask.schedules):
            shown = dict.fromkeys(indices, NOTHING)

            def take(job: Job, outcome: Outcome, shown: dict[int, Shown] = shown) -> None:
                shown[job.index] = outcome.shown or NOTHING
                self._take(job, outcome)

            self._draw(workers, indices, loop.spec, take)
            if self._over() or self.result.troubles:
                return
            loop.learn([shown[index] for index in indices])

    def _draw(
        self,
        workers: Workers,
        indices: range | None,
        spec: Callable[[int], RunSpec],
        take: Callable[[Job, Outcome], None],
    ) -> None:
        """Have these schedules made (None: until the time is up)."""
        self._next = indices.start if indices is not None else 0
        stop = indices.stop if indices is not None else None
        while True:
            if self._over():
                workers.ask_to_stop()
            else:
                for slot in workers.free_slots():
                    jobs = self._jobs(spec, stop) if not self.result.troubles else []
                    if not jobs:
                        break
                    workers.submit(slot, Batch(tuple(jobs), stop_at_failure=self.until_found))
            if len(workers.free_slots()) == workers.jobs:
                return
            for event in workers.poll(POLL_SECONDS):
                self._handle(event, take)
            self._tell()

    def _jobs(self, spec: Callable[[int], RunSpec], stop: int | None) -> list[Job]:
        size = FIRST_BATCH_RUNS if not self._each else max(1, min(BATCH_RUNS_MAX, int(BATCH_SECONDS / self._each)))
        jobs = [self._back.popleft() for _ in range(min(size, len(self._back)))]
        first = self._next
        self._next = first + size - len(jobs) if stop is None else min(stop, first + size - len(jobs))
        return jobs + [Job("main", "", i, spec(i)) for i in range(first, self._next)]

    def _handle(self, event: Event, take: Callable[[Job, Outcome], None]) -> None:
        if isinstance(event, Ended):
            self._back.extendleft(reversed(event.undone))
        elif isinstance(event, Lost):
            self._bury(event)
        else:
            for job, outcome in event.outcomes:
                take(job, outcome)

    def _bury(self, event: Lost) -> None:
        result = self.result
        result.deaths += 1
        self._back.extendleft(reversed(event.undone))
        if event.culprit is not None:
            spec = event.culprit.spec
            finding = harness_finding(event.rule, f"{event.rule}: the process {event.how}", spec, how=event.how)
            saved = self.store.save_finding(spec, finding)
            self._hit(Hit(finding, spec, "main", event.culprit.index, 1, saved.folder, saved.known, saved.error))
        if result.deaths >= DEATHS_MAX:
            text = f"mmrace bug: {result.deaths} workers died; the last one {event.how}"
            result.troubles.append(Trouble(EXIT_INTERNAL, text, event.batch.jobs[0].spec))

    def _take(self, job: Job, outcome: Outcome) -> None:
        result = self.result
        if outcome.trouble is not None:
            if len(result.troubles) < TROUBLES_MAX:
                result.troubles.append(Trouble(*outcome.trouble, job.spec))
            return
        self._each = outcome.seconds if not self._each else 0.9 * self._each + 0.1 * outcome.seconds
        result.tally.add(outcome)
        result.exercised |= outcome.exercised
        result.profile = result.profile or outcome.profile
        if outcome.digest is not None:
            new = outcome.digest not in result.classes.seen
            result.classes.add(outcome.digest)
            name = StrategyText.of(job.spec.strategy).name
            counts = result.by_strategy.setdefault(name, [0, 0])
            counts[0] += 1
            counts[1] += new
        findings = outcome.findings
        if outcome.verdict == "FAIL" and not findings:
            findings = [harness_finding("crash", "a run failed without a finding: the model crashed", job.spec)]
        for finding in findings:
            self._hit(Hit(finding, job.spec, "main", job.index, 1, outcome.saved, outcome.known, outcome.unsaved))

    def _hit(self, hit: Hit) -> None:
        if self.result.hit(hit) is not None:
            logger.bind(event="finding", signature=hit.finding.signature, folder=hit.folder).warning(
                "finding {}: {}", hit.finding.signature, hit.finding.title
            )
            self.observer.found(hit)

    # -- walking ----------------------------------------------------------------------------------------------------

    def _walk(self) -> None:
        """Walk a tree of schedules in this process."""
        search = registry.walk(self.ask.strategy)
        result = self.result
        covered = result.covered = Covered()
        spec = self.ask.spec(self.ask.strategy, self.ask.seed)
        while not self._over() and (self.ask.schedules is None or result.tally.runs < self.ask.schedules):
            try:
                if not self._step(search, spec, covered):
                    return
            except UsageError:
                raise
            except Exception as error:
                result.troubles.append(Trouble(*trouble(error), spec))
                return
            self._tell()

    def _step(self, search: Systematic, spec: RunSpec, covered: Covered) -> bool:
        """Make the next run of a walk; return False if there is none."""
        before = search.standing()
        chosen = search.next()
        now = search.standing()
        if chosen is None:
            covered.exhausted, covered.bound = now.exhausted, now.bound
            return False
        covered.bound = now.bound - 1 if now.bound else None
        run = walked(self.program, spec, chosen, search, self.ask.without, self.result.hits)
        if run is None:
            covered.blocked += 1
            return True
        again = search.standing().restarts != before.restarts
        if again:  # the classes so far were told apart by too little; this run comes again too
            self.result.classes = Classes()
        elif now.reduced:
            run.digest = self.result.classes.runs
        saved = self.store.save(run) if run.record is not None and run.verdict == "FAIL" else Saved()
        self._take(Job("main", "", self.result.tally.runs, spec), outcome_of(run, saved))
        return True
