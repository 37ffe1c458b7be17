"""Explore one program: draw schedules in a pool, or walk its tree here; count classes, keep findings.

Schedule i of a sampling strategy is a function of (seed, i, profile, switch points), whatever `--jobs` says; under
feedback, of a corpus too.  Switch points (`promotion.py`) and corpora (`generations.py`) come from the generation of
schedules before, which is waited for.  A systematic search depends on its own last run and is made in this process.
At the end each finding's record is replayed strictly, and for each predicted deadlock a search tries to make it happen
(`replays.py`).  Invariant: Ctrl-C, a dead worker and a run that breaks mmrace end with everything known so far in the
result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol

from loguru import logger

from mmrace.runs import loading
from mmrace.runs.profile import promoted_fields
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunSpec, derive
from mmrace.runs.store import FindingStore, Saved, Text
from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.search.explore import replays
from mmrace.search.explore.ask import Ask, check, check_judges
from mmrace.search.explore.generations import Loop
from mmrace.search.explore.one import explore_one, judge_visit
from mmrace.search.explore.promotion import LOOK, Promotion
from mmrace.search.explore.result import Covered, Exploration
from mmrace.search.explore.walk import Walk
from mmrace.search.pool.contract import Lost, Pool
from mmrace.search.pool.drive import Pace, Queue, Source, drive
from mmrace.search.pool.inline import InlinePool
from mmrace.search.pool.making import Making, trouble
from mmrace.search.pool.messages import Batch, Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from mmrace.search.totals import TROUBLES_MAX, Hit, Trouble, hit_of_lost, hits_of
from mmrace.strategies import registry
from mmrace.strategies.feedback import NOTHING, Shown, is_feedback
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

    Args: makers: of programs.  folder: where findings go.  text: makes their summaries for the eye.  clock: monotonic
    seconds.  Raises UsageError.
    """

    def __init__(
        self,
        ask: Ask,
        makers: Makers,
        folder: Path,
        observer: Observer,
        *,
        text: Text | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        loading.load(ask.load)
        self.makers, self.folder, self.observer, self.clock = makers, folder, observer, clock
        self.ask = check(ask)
        self.program = makers.program(ask.spec(ask.strategy, ask.seed))
        check_judges(ask.without, self.program.judges)
        self.result = Exploration(ask)
        self.promotion = Promotion(ask)
        if not ask.systematic:
            learning = self.promotion.learning
            self.result.take_promoted(() if learning else promoted_fields(self.program, ask.promote))
        self.pace = Pace()
        self.store = FindingStore(folder / "findings", text)
        self._began = self._told = clock()

    def run(self) -> Exploration:
        """Explore to the end, or to Ctrl-C; return what came of it.  Raises UsageError for a wrong call."""
        ask, result = self.ask, self.result
        logger.bind(event="begin", seed=ask.seed).info("exploration of {} begins", ask.program)
        try:
            if ask.systematic:
                self._walk()
            else:
                self._sample()
            self.now()
            self._prove()
        except KeyboardInterrupt:
            result.interrupted = True
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
        if self.ask.until_found and self.result.hits:
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
        result.looks += self.promotion.is_look(job.index)
        self.promotion.name(run.raced)
        result.exercised |= run.exercised
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
            self.hit(hit)

    def hit(self, hit: Hit) -> None:
        """Count a finding, and tell if it is new."""
        if self.result.hits.add(hit):
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
        """Return the spec of schedule `index`, whose generation has begun; under feedback, of its look only."""
        ask, promotion = self.ask, self.promotion
        seed = derive(ask.seed, "schedule", index)
        if promotion.is_look(index):
            return replace(ask.spec(LOOK, seed), promote="all")
        return self._drawn(registry.member_by_turn(ask.strategy, promotion.turn(index)), seed)

    def _drawn(self, strategy: str, seed: int) -> RunSpec:
        """Return the spec of a schedule that is no look."""
        spec = self.ask.spec(strategy, seed)
        return replace(spec, promote=self.promotion.text) if self.promotion.learning else spec

    def pool(self) -> AbstractContextManager[Pool]:
        """Return who draws schedules: processes, or for 0 jobs this process."""
        run = partial(explore_one, makers=self.makers, without=self.ask.without, naming=self.promotion.learning)
        making = Making(run, self.store)
        return ProcessPool(self.ask.jobs, making) if self.ask.jobs else InlinePool(making)

    def _sample(self) -> None:
        """Draw schedules, generation after generation, each from what the ones before showed."""
        runs, promotion = self.ask.runs, self.promotion
        loop = Loop(self.ask.strategy, self._of_loop, self.folder) if is_feedback(self.ask.strategy) else None
        shown: dict[int, Shown] = {}
        start = 0
        with self.pool() as pool:
            while runs is None or start < runs:
                turns = None if loop is None else loop.indices(None if runs is None else promotion.turn(runs))
                ends = [runs, promotion.end(start), None if turns is None else promotion.index_of(turns.stop)]
                stop = min((end for end in ends if end is not None), default=None)
                drive(pool, Draws(self, start, stop, loop, shown))
                if stop is None or self.over() or self.result.troubles:
                    return
                if stop == promotion.end(start):
                    self._promote(stop)
                if loop is not None and turns and promotion.turn(stop) == turns.stop:
                    loop.learn([shown.pop(turn, NOTHING) for turn in turns])
                start = stop

    def _of_loop(self, strategy: str) -> RunSpec:
        """Return the spec of a schedule whose seed is in its strategy's text."""
        return self._drawn(strategy, self.ask.seed)

    def _promote(self, index: int) -> None:
        """Go on with the switch points that the schedules before `index` showed."""
        self.promotion.learn(index)
        self.result.take_promoted(self.promotion.fields, self.promotion.since)

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
                visit = next(visits, None)
                if visit is None:
                    covered.exhausted, covered.bound = walk.standing.exhausted, walk.standing.bound
                    return
                covered.bound = walk.standing.bound - 1 if walk.standing.bound else None
                if not visit.counts:
                    covered.blocked += 1
                    self.tell()
                    continue
                run = judge_visit(visit, self.ask.without, result.hits)
            except UsageError:
                raise
            except Exception as error:
                self.trouble(*trouble(error), spec)
                return
            if visit.restarted:  # the classes so far were walked with too few dependences, and come again
                result.classes = Classes()
            elif walk.standing.reduced:
                run.digest = result.classes.runs
            saved = self.store.save(run) if run.record is not None and run.verdict == "FAIL" else Saved()
            self.take(Job("main", "", result.tally.runs, spec), Outcome(run, saved))
            self.tell()


class Draws(Source):
    """Schedules that are drawn, as a source of runs: those from `start` on, before `stop` if that is not None.

    Args: loop: of feedback, which makes their specs; None: the exploration does.  shown: takes what each showed, by its
    turn.
    """

    def __init__(
        self, explorer: Explorer, start: int, stop: int | None, loop: Loop | None, shown: dict[int, Shown]
    ) -> None:
        self.explorer, self.loop, self.shown = explorer, loop, shown
        self.left = None if stop is None else stop - start
        indices = count(start) if stop is None else range(start, stop)
        self.queue = Queue(Job("main", "", index, self._spec(index)) for index in indices)

    def _spec(self, index: int) -> RunSpec:
        promotion = self.explorer.promotion
        if self.loop is None or promotion.is_look(index):
            return self.explorer.spec(index)
        return self.loop.spec(promotion.turn(index))

    def over(self) -> bool:
        """Say whether the exploration is over."""
        return self.explorer.over()

    def tell(self) -> None:
        """Tell its observer."""
        self.explorer.tell()

    def next_batch(self) -> Batch | None:
        """Return the next schedules; none after a trouble."""
        if self.explorer.result.troubles:
            return None
        jobs = self.queue.next(self._size())
        if self.left is not None:
            self.left -= len(jobs)
        return Batch(tuple(jobs), stop_at_failure=self.explorer.ask.until_found) if jobs else None

    def _size(self) -> int:
        """Return how many schedules to hand out: towards the end few, so that all workers come to it at once."""
        size = self.explorer.pace.size()
        if self.left is None:
            return size
        return max(1, min(size, self.left // (2 * max(1, self.explorer.ask.jobs))))

    def take(self, job: Job, outcome: Outcome) -> None:
        """Count a schedule."""
        if outcome.result is not None:
            self.explorer.pace.took(outcome.result.seconds)
            if outcome.result.shown is not None:
                self.shown[self.explorer.promotion.turn(job.index)] = outcome.result.shown
        self.explorer.take(job, outcome)

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """Hand undone schedules out again, first."""
        self.queue.give_back(undone)
        if self.left is not None:
            self.left += len(undone)

    def buried(self, lost: Lost) -> None:
        """A worker died or hung: if that was during a run, and not from outside, it is a finding."""
        self.explorer.result.losses[lost.told] += 1
        if lost.culprit is not None and not lost.outside:
            self.explorer.hit(hit_of_lost(lost.culprit, lost, self.explorer.store))

    def unstarted(self, why: str) -> None:
        """Note that a worker could not be started."""
        self.explorer.result.losses[why] += 1

    def give_up(self, job: Job) -> None:
        """Do without a schedule that no worker survives."""
        self.explorer.result.given_up.append(job.spec)

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Note it."""
        self.explorer.trouble(exit_code, text, spec)
