"""Try a schedule on a program: does it still have the finding?

A `Case` is a program's parameters and a schedule in names (`strategies/guided.py`).  A trial runs it under `fiber` and
asks the judge of the finding only: runs are what minimising costs.  Invariant: a case is run once; `best` is the
smallest case that failed, whatever stops the search; with a budget of runs alone, the same record gives the same
trials.  A case that cannot be run, such as one with parameters that make no sense together, does not fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mmrace.oracles.general.bench import judge_all
from mmrace.oracles.general.judgement import Finding, Oracle
from mmrace.runs import stops
from mmrace.runs.chosen import Chosen
from mmrace.runs.follow import follow
from mmrace.runs.judge import judge, judges_of
from mmrace.runs.play import Play, Watch, play
from mmrace.runs.program import Makers, Program
from mmrace.runs.spec import Params, RunResult, RunSpec, derive
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.errors import MmraceError
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import Strategy
from mmrace.strategies.guided import Guided, Preemption, Value, choices_of, preemptions_of

SAMPLER = "portfolio"
"""Who looks for the finding where the schedule does not lead to it any more."""

UNRUNNABLE = (MmraceError, AssertionError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What a program raises that makes no sense with its parameters: wrong calls, and errors of Python in its own code."""

FAILING_ENDS = ("violation", "crash", "deadlock")
"""How a run ends (`runtime/ending.py`) that failed by that alone; beside them, one at its bound may be a livelock."""

Weight: TypeAlias = tuple[int, int, int, int]
"""What is to be small: turning points and choices, then the values chosen, then tasks, then events."""


class Spent(Exception):
    """The budget is used up."""


@dataclass(slots=True)
class Budget:
    """How long to search.  Args: runs, seconds: at most; None: no bound.  clock: monotonic seconds."""

    runs: int | None = None
    seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    used: int = 0
    share: float = 1.0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def lasted(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self.began

    @property
    def spent(self) -> float:
        """The share of the whole that was used."""
        runs = self.used / self.runs if self.runs else 0.0
        return max(runs, self.lasted / self.seconds if self.seconds else 0.0)

    def take(self) -> None:
        """Count one run.  Raises Spent if there is none left, or somebody asked to stop (`runs/stops.py`)."""
        if stops.asked():
            raise Spent
        over = self.runs is not None and self.used >= self.share * self.runs
        if over or (self.seconds is not None and self.lasted >= self.share * self.seconds):
            raise Spent
        self.used += 1

    @contextmanager
    def up_to(self, share: float) -> Iterator[None]:
        """Let what is done here use no more than this share of the whole, used before or now."""
        before, self.share = self.share, share
        try:
            yield
        finally:
            self.share = before


@dataclass(frozen=True, slots=True)
class Case:
    """One schedule of one program.  Args: params: as in a spec.  seed: of the tasks' own streams."""

    params: Params
    seed: int
    turns: tuple[Preemption, ...] = ()
    values: tuple[Value, ...] = ()

    @property
    def cost(self) -> int:
        """Turning points and choices."""
        return len(self.turns) + len(self.values)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a case.  Attributes: case: without what did not come up in it.  fails: it has the finding."""

    case: Case
    fails: bool
    events: int = 0
    tasks: int = 0

    @property
    def weight(self) -> Weight:
        """What is to be small."""
        return self.case.cost, sum(value.value for value in self.case.values), self.tasks, self.events


class Trials:
    """Runs of one program, all for the sake of one finding.

    Args: spec: of the run that was found.  oracle: the judge that found it.
    """

    def __init__(self, spec: RunSpec, makers: Makers, signature: str, oracle: str, budget: Budget) -> None:
        self.base = replace(spec, engine="fiber", strategy="guided", noise="off", promote="all")
        self.makers, self.signature, self.oracle, self.budget = makers, signature, oracle, budget
        self.best: Trial | None = None
        self._tried: dict[Case, Trial] = {}

    def spec(self, case: Case) -> RunSpec:
        """Return the spec of a case's run."""
        return replace(self.base, params=case.params, seed=case.seed)

    def program(self, params: Params) -> Program:
        """Return the program with these parameters.  Raises UsageError if they make no sense."""
        return self.makers.program(replace(self.base, params=params))

    def fails(self, case: Case) -> bool:
        """Say whether a case has the finding.  Raises Spent."""
        return self.of(case).fails

    def of(self, case: Case) -> Trial:
        """Return what comes of a case.  Raises Spent."""
        known = self._tried.get(case)
        if known is None:
            known = self._tried[case] = self._try(case)
            self._tried.setdefault(known.case, known)
            self.keep(known)
        return known

    def keep(self, trial: Trial) -> None:
        """Remember a trial that failed, if nothing smaller did."""
        if trial.fails and (self.best is None or trial.weight <= self.best.weight):
            self.best = trial

    def _try(self, case: Case) -> Trial:
        self.budget.take()
        guided = Guided(case.turns, case.values)
        try:
            with self.played(case, guided) as played:
                done = replace(case, turns=tuple(guided.turned), values=tuple(guided.given))
                record = played.record
                return Trial(done, self.judged(played), len(record.events), len(record.tasks))
        except UNRUNNABLE:
            return Trial(case, fails=False)

    @contextmanager
    def played(
        self, case: Case, strategy: Strategy, *, sites: bool = True, watch: Watch | None = None
    ) -> Iterator[Play]:
        """Play a case's program under some strategy; see `runs.play.play`."""
        with play(self.program(case.params), self.spec(case), Chosen(strategy), sites=sites, watch=watch) as played:
            yield played

    def judged(self, played: Play) -> bool:
        """Say whether the judge of the finding finds it in a run."""
        return self.found(played, played.record) is not None

    def found(self, played: Play, record: Record) -> Finding | None:
        """Return the finding as its judge sees it in the record of a run, or in a part of it; None if it does not."""
        judges = judges_of(played.program, played.spec)
        bench: dict[str, Oracle] = {name: judge for name, judge in judges.items() if name == self.oracle}
        for judgement in judge_all(record, bench or judges):
            for finding in judgement.findings:
                if finding.signature == self.signature:
                    return finding
        return None

    def sampled(self, params: Params, count: int) -> Trial | None:
        """Look for the finding among so many drawn schedules of the program with these parameters.  Raises Spent."""
        try:
            program = self.program(params)
            for index in range(count):
                self.budget.take()
                seed = derive(self.base.seed, "minimise", *params, index)
                spec = replace(self.base, params=params, seed=seed, strategy=SAMPLER)
                with play(program, spec, strategy_for(program, spec), sites=True) as played:
                    if self.judged(played):
                        return self.of(case_of(follow(program, spec, played.record), params, seed))
        except UNRUNNABLE:
            pass
        return None

    def whole(self, case: Case) -> RunResult:
        """Run a case once more, and have all judges judge it."""
        with self.played(case, Guided(case.turns, case.values)) as played:
            return judge(played.program, played.spec, played.record, played.seconds)


def ends_in_failure(record: Record) -> bool:
    """Say whether a run failed by how it ended, whatever judges would say of the rest of it."""
    end = record.end
    how, kind = end.get("how"), end.get("detail", {}).get("kind")
    return how in FAILING_ENDS or (how == "bound" and kind not in (None, "cut"))


def case_of(record: Record, params: Params, seed: int) -> Case:
    """Return the case that a record with sites is a run of."""
    return Case(params, seed, tuple(preemptions_of(record)), tuple(choices_of(record)))
