"""Explore one program: draw schedules in a pool, or walk its tree here; count classes, keep findings.

Here: what all explorations do, and the walk of a systematic search, which depends on its own last run and is made in
this process; schedules are drawn by `sampling.py`.  At the end each finding's record is replayed strictly, and for each
predicted deadlock a search tries to make it happen (`replays.py`).  Invariant: Ctrl-C, a dead worker and a run that
breaks mmrace end with everything known so far in the result.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from loguru import logger

from mmrace.runs import leftovers, stops
from mmrace.runs.declared_fields import check_promoted
from mmrace.runs.judge import judges_of
from mmrace.runs.profile import promoted_fields
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore, Text
from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.search.explore import replays
from mmrace.search.explore.ask import Ask, check, check_judges
from mmrace.search.explore.one import explore_one, judge_visit
from mmrace.search.explore.result import Covered, Exploration
from mmrace.search.explore.sampling import Sampling
from mmrace.search.explore.walk import Walk
from mmrace.search.pool.contract import Pool
from mmrace.search.pool.drive import Pace
from mmrace.search.pool.inline import InlinePool
from mmrace.search.pool.making import Making, PoolFactory, trouble
from mmrace.search.pool.messages import Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from mmrace.search.totals import TROUBLES_MAX, Hit, Trouble, hits_of
from mmrace.strategies import registry
from mmrace.strategies.order.classes import Classes
from mmrace.strategies.text import StrategyText

TELL_SECONDS = 0.25


class Observer(Protocol):
    """Who is told what happens."""

    def progress(self, result: Exploration) -> None:
        """Called some times a second."""

    def found(self, hit: Hit) -> None:
        """A new signature was found."""


class Explorer:
    """One exploration.

    Args: makers: of programs.  folder: where findings go.  text: makes their summaries for the eye.  pool: who draws
    schedules, if not processes of this machine; pace: of its batches.  clock: monotonic seconds.  Raises UsageError.
    """

    def __init__(
        self,
        ask: Ask,
        makers: Makers,
        folder: Path,
        observer: Observer,
        *,
        text: Text | None = None,
        pool: PoolFactory | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        makers.load(ask.load)
        self.makers, self.folder, self.observer, self.clock = makers, folder, observer, clock
        self.ask = check(ask)
        spec = ask.spec(ask.strategy, ask.seed)
        self.program = makers.program(spec)
        check_judges(ask.without, judges_of(self.program, spec))
        self.result = Exploration(ask)
        self.sampling = Sampling(ask, self, pace)
        self._make_pool = pool
        if not ask.systematic:
            check_promoted(self.program, ask.promote)
        promotion = self.sampling.promotion
        self.result.take_promoted(() if promotion.learning else promoted_fields(self.program, promotion.text))
        self.store = FindingStore(folder / "findings", text)
        self._began = self._told = clock()

    def run(self) -> Exploration:
        """Explore to the end, or to Ctrl-C; return what came of it.  Raises UsageError for a wrong call."""
        ask, result = self.ask, self.result
        leftovers.put_back(self.store.folder)
        logger.bind(event="begin", seed=ask.seed).info("exploration of {} begins", ask.program)
        try:
            if ask.systematic:
                self._walk()
            else:
                self._sample()
            self.now()
            self._prove()
        except KeyboardInterrupt as error:
            result.interrupted = stops.number_of(error)
            self.now()
        except UsageError as error:
            if not result.tally.runs:
                raise
            self.trouble(error.exit_code, str(error))
        except MmraceError as error:  # of a run that was made to see what the program does
            self.trouble(error.exit_code, str(error))
        logger.bind(event="end", verdict=result.verdict, runs=result.tally.runs).info("exploration ends")
        return result

    def _prove(self) -> None:
        """Prove what was found; a proof that breaks is a trouble, and what is known stays."""
        try:
            with stops.interruptible():
                replays.prove(self.result, self.store, self.makers, self.hit)
        except UsageError:
            raise
        except Exception as error:
            self.trouble(*trouble(error))

    # -- what the runs give ------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return how long it has lasted."""
        self.result.seconds = self.clock() - self._began
        return self.result.seconds

    def over(self) -> bool:
        """Say whether enough was found, or the time is up."""
        hits, known = self.result.hits, self.result.known
        if (hits and self.ask.until_found) or self.ask.until in hits or self.ask.until in known:
            return True
        return self.ask.seconds is not None and self.now() >= self.ask.seconds

    def tell(self) -> None:
        """Tell the observer, some times a second."""
        if self.clock() - self._told >= TELL_SECONDS:
            self._told = self.clock()
            self.now()
            self.observer.progress(self.result)

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count one run."""
        result, run = self.result, outcome.result
        if run is None:
            assert outcome.trouble is not None
            self.trouble(*outcome.trouble, job.spec)
            return
        result.tally.add(run)
        self.sampling.learn(job, run)
        result.profile = result.profile or run.profile
        result.followed = run.followed or result.followed
        if run.digest is not None:
            new = run.digest not in result.classes.seen
            result.classes.add(run.digest)
            name = StrategyText.of(job.spec.strategy).name
            counts = result.by_strategy.setdefault(name, [0, 0])
            counts[0] += 1
            counts[1] += new
        for hit in hits_of(job, outcome):
            result.met.setdefault(hit.finding.signature, Counter())[StrategyText.of(job.spec.strategy).name] += 1
            self.hit(hit)

    def hit(self, hit: Hit) -> None:
        """Count a finding, and tell if it is new."""
        if hit.known:
            self.result.known.add(hit)
        elif self.result.hits.add(hit):
            logger.bind(event="finding", signature=hit.finding.signature, folder=hit.saved.folder).warning(
                "finding {}: {}", hit.finding.signature, hit.finding.title
            )
            self.observer.found(hit)

    def trouble(self, exit_code: int, text: str, spec: RunSpec | None = None) -> None:
        """Note that runs cannot be made."""
        if len(self.result.troubles) < TROUBLES_MAX:
            spec = spec or self.ask.spec(self.ask.strategy, self.ask.seed)
            self.result.troubles.append(Trouble(exit_code, text, spec))

    # -- sampling ---------------------------------------------------------------------------------------------------

    def spec(self, index: int) -> RunSpec:
        """Return the spec of schedule `index`, as long as that depends on no corpus."""
        return self.sampling.spec(index)

    def pool(self) -> AbstractContextManager[Pool]:
        """Return who draws schedules: processes, or for 0 jobs this process."""
        learning = self.sampling.promotion.learning
        run = partial(explore_one, makers=self.makers, naming=learning)
        making = Making(run, self.store)
        if self._make_pool is not None:
            return self._make_pool(making)
        return ProcessPool(self.ask.jobs, making) if self.ask.jobs else InlinePool(making)

    def _sample(self) -> None:
        with self.pool() as pool, stops.while_wanted(lambda: not self.over()):
            self.sampling.draw(pool)

    # -- walking ----------------------------------------------------------------------------------------------------

    def _walk(self) -> None:
        """Walk a tree of schedules in this process."""
        search = registry.walk(self.ask.strategy)
        result = self.result
        covered = result.covered = Covered()
        spec = self.ask.spec(self.ask.strategy, self.ask.seed)
        walk = Walk(self.program, spec, search)
        visits = iter(walk)
        while not self.over() and (self.ask.runs is None or result.tally.runs < self.ask.runs):
            try:
                with stops.interruptible():
                    visit = next(visits, None)
                if visit is None:
                    covered.exhausted, covered.bound = walk.standing.exhausted, walk.standing.bound
                    return
                covered.bound = walk.standing.bound - 1 if walk.standing.bound else None
                if not visit.counts:
                    covered.blocked += 1
                    self.tell()
                    continue
                kept = {*result.hits, *result.known}
                run = judge_visit(visit, kept)
            except UsageError:
                raise
            except Exception as error:
                self.trouble(*trouble(error), spec)
                return
            if visit.restarted:  # the classes so far were walked with too few dependences, and come again
                result.classes = Classes()
            elif walk.standing.reduced:
                run.digest = result.classes.runs
            new = run.shows and any(finding.signature not in kept for finding in run.findings)
            saved = self.store.save(run) if new else {}  # with its record, unless the run goes otherwise each time
            self.take(Job("main", "", result.tally.runs, spec), Outcome(run, saved))
            self.tell()
