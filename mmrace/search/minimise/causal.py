"""Causal orderings: which two ops of a failing run must not come the other way round.

For two steps of different tasks that meet on a lane with nothing between them there, the second is done first: the run
follows the record up to the first step, does what does not need it, then the second step.  From there on the rest
follows as it was, and again and again as it is drawn.  Where the failure vanishes each time, the two must come as they
did; where it does not, the step before the first one is tried in its place, since what a task did there may
be in several steps.  Invariant: an ordering is told only if the swap was really done, and no run with it had the
finding.  What follows from another ordering by the order of each task's own steps is not told.

Source: Zeller, "Isolating Cause-Effect Chains from Computer Programs", 2002, for schedules: Choi and Zeller,
"Isolating Failure-Inducing Thread Schedules", 2002.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from mmrace.runs.minimal import Causal, Flips, Op
from mmrace.runs.spec import derive
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.search.minimise.in_order import InOrder, Steps, steps_of, watch
from mmrace.search.minimise.trials import Case, Spent, Trials, ends_in_failure
from mmrace.strategies.guided import Guided, Place, places
from mmrace.strategies.order.dependence import commute

FLIPS = 20  # runs with two ops swapped: one that goes on as recorded, the others drawn
BACK_MAX = 3  # steps on a lane that are tried as the first of a pair: a lock is taken, handed over, given back


class _Pair(NamedTuple):
    """Two steps that meet on a lane."""

    first: int
    second: int
    lane: int


@dataclass(frozen=True)
class _Run:
    """A failing run as its steps; behind those that were done, the ops that tasks still wait to do, one each.

    Attributes: steps, record: of the run.  task: of each step, its id.  named: its place.  event: of each step that was
    done, its event; of one that was not, the last event of its task.
    """

    steps: Steps
    record: Record
    task: list[int]
    named: list[Place]
    event: list[int]

    @classmethod
    def of(cls, steps: Steps, record: Record) -> _Run:
        """Number the steps of a run."""
        task, named = list(steps.order.task), [place for _, place in places(record)]
        event = [number for number, event in enumerate(record.events) if event[1] != NOTE]
        last = dict(zip(task, event, strict=True))
        for waiting in steps.waiting:
            name = record.task_name(waiting.task)
            visit = 1 + sum(place[:2] == (name, waiting.site) for place in named)
            task.append(waiting.task)
            named.append((name, waiting.site, visit))
            event.append(last.get(waiting.task, 0))
        return cls(steps, record, task, named, event)

    @property
    def done(self) -> int:
        """How many steps were done."""
        return len(self.steps.tasks)

    def seconds(self) -> Iterator[int]:
        """Yield the steps that may be the second of a pair, from the end on."""
        first, end = self.steps.explored
        yield from range(self.done, len(self.task))
        yield from range(min(end, self.done) - 1, first, -1)

    def meetings(self, second: int) -> Iterator[list[_Pair]]:
        """Yield, for each lane of a step, the steps of others that it meets there, the nearest first."""
        order = self.steps.order
        behind = second - self.done
        for lane, mode in dict.fromkeys(
            self.steps.waiting[behind].footprint if behind >= 0 else order.footprint[second]
        ):
            if lane >= 0:
                met = [
                    _Pair(step, second, lane)
                    for step, mode_, task in reversed(order.lanes.get(lane, ()))
                    if self.steps.explored[0] <= step < second
                    and task != self.task[second]
                    and not commute(mode_, mode)
                ]
                if met:
                    yield met[:BACK_MAX]

    def follows(self, one: _Pair, other: _Pair) -> bool:
        """Say whether the second ordering holds wherever the first does, by the order in each task."""
        task = self.task
        same = task[one.first] == task[other.first] and task[one.second] == task[other.second]
        return same and other.first <= one.first and one.second <= other.second

    def causal(self, pair: _Pair, flips: Flips) -> Causal:
        """Write an ordering down."""
        first, second = (Op(*self.named[step], self.event[step]) for step in pair[:2])
        return Causal(first, second, self.record.lane_name(pair.lane), flips)


def orderings(trials: Trials, case: Case) -> tuple[list[Causal], bool]:
    """Return the causal orderings of a failing case, in the order of the run, and whether the budget lasted."""
    with trials.played(case, Guided(case.turns, case.values), watch=watch) as played:
        run = _Run.of(steps_of(played), played.record)
    swapper = _Swapper(trials, case, run)
    found: list[tuple[_Pair, Flips]] = []
    complete = True
    try:
        for second in run.seconds():
            for chain in run.meetings(second):
                if not any(run.follows(pair, chain[0]) for pair, _ in found):
                    found += swapper.first_that_matters(chain)
    except Spent:
        complete = False
    told = [
        (pair, flips)
        for pair, flips in found
        if not any(other != pair and run.follows(other, pair) for other, _ in found)
    ]
    return [run.causal(pair, flips) for pair, flips in sorted(told, key=itemgetter(0))], complete


class _Swapper:
    """Does steps of a failing run in the other order."""

    def __init__(self, trials: Trials, case: Case, run: _Run) -> None:
        self.trials, self.case, self.run = trials, case, run

    def first_that_matters(self, chain: list[_Pair]) -> list[tuple[_Pair, Flips]]:
        """Return the nearest pair of a lane whose swap makes the failure vanish, if there is one.  Raises Spent."""
        for pair in chain:
            flips = self.swap(pair)
            if flips is not None and not flips.fails:
                return [(pair, flips)]
        return []

    def swap(self, pair: _Pair) -> Flips | None:
        """Return what came of runs with two steps swapped, up to one that fails; None if they cannot be swapped."""
        for kept_back in (self._after, self._of_task):
            flips = self._runs(pair, set(kept_back(pair)))
            if flips is not None:
                return flips
        return None

    def _after(self, pair: _Pair) -> Iterator[int]:
        """Yield the steps between that follow from the first one: the least that has to wait for the second."""
        clock = self.run.steps.order.clock
        return (step for step in range(pair.first, min(pair.second, self.run.done)) if clock[step] >> pair.first & 1)

    def _of_task(self, pair: _Pair) -> Iterator[int]:
        """Yield the steps between of the first one's task: the others go on without it."""
        task = self.run.task
        return (step for step in range(pair.first, min(pair.second, self.run.done)) if task[step] == task[pair.first])

    def _runs(self, pair: _Pair, kept_back: set[int]) -> Flips | None:
        run, tasks = self.run, self.run.steps.tasks
        before = range(min(pair.second, run.done))
        ahead = [*(tasks[step] for step in before if step not in kept_back), run.named[pair.second][0]]
        rest = [*(tasks[step] for step in sorted(kept_back)), *tasks[pair.second + 1 :]]
        others = 0
        for number in range(FLIPS):
            self.trials.budget.take()
            seed = derive(self.case.seed, "swap", *run.named[pair.first], *run.named[pair.second], number)
            draw = random.Random(seed).random if number else None
            strategy = InOrder(ahead, () if number else rest, run.steps.values, draw)
            with self.trials.played(self.case, strategy) as played:
                done = [place for _, place in places(played.record)]
                if strategy.lost is not None or len(done) < len(ahead):
                    return None
                if done[len(ahead) - 1] != run.named[pair.second]:
                    return None
                if self.trials.judged(played):
                    return Flips(1, number + 1, others=others)
                others += ends_in_failure(played.record)
        return Flips(0, FLIPS, others=others)
