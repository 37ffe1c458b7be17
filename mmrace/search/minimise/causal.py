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
from operator import itemgetter
from typing import NamedTuple

from mmrace.runs.minimal import Causal, Flips, Op
from mmrace.runs.spec import derive
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.search.minimise.in_order import InOrder, Steps, steps_of, watch
from mmrace.search.minimise.trials import Case, Spent, Trials
from mmrace.strategies.guided import Guided, Place, places
from mmrace.strategies.order.dependence import commute

FLIPS = 20  # runs with two ops swapped: one that goes on as recorded, the others drawn
BACK_MAX = 3  # steps on a lane that are tried as the first of a pair: a lock is taken, handed over, given back


class _Pair(NamedTuple):
    """Two steps that meet on a lane."""

    first: int
    second: int
    lane: int


def orderings(trials: Trials, case: Case) -> tuple[list[Causal], bool]:
    """Return the causal orderings of a failing case, in the order of the run, and whether the budget lasted."""
    with trials.played(case, Guided(case.turns, case.values), watch=watch) as played:
        steps, record = steps_of(played), played.record
    named = [place for _, place in places(record)]
    events = [number for number, event in enumerate(record.events) if event[1] != NOTE]
    swapper = _Swapper(trials, case, steps, named)
    found: list[tuple[_Pair, Flips]] = []
    complete = True
    try:
        for second in _explored_backwards(steps):
            for chain in _meetings(steps, second):
                if not any(_follows(pair, steps, chain[0]) for pair, _ in found):
                    found += swapper.first_that_matters(chain)
    except Spent:
        complete = False
    told = [
        (pair, flips)
        for pair, flips in found
        if not any(other != pair and _follows(other, steps, pair) for other, _ in found)
    ]
    return [_causal(record, named, events, pair, flips) for pair, flips in sorted(told, key=itemgetter(0))], complete


def _explored_backwards(steps: Steps) -> range:
    first, end = steps.explored
    return range(min(end, len(steps.tasks)) - 1, first, -1)


def _meetings(steps: Steps, second: int) -> Iterator[list[_Pair]]:
    """Yield, for each lane of a step, the steps of others that it met there, the nearest first."""
    order = steps.order
    for lane, mode in dict.fromkeys(order.footprint[second]):
        if lane >= 0:
            met = [
                _Pair(step, second, lane)
                for step, mode_, task in reversed(order.lanes[lane])
                if steps.explored[0] <= step < second and task != order.task[second] and not commute(mode_, mode)
            ]
            if met:
                yield met[:BACK_MAX]


def _follows(one: _Pair, steps: Steps, other: _Pair) -> bool:
    """Say whether the second ordering holds wherever the first does, by the order in each task."""
    task = steps.order.task
    same = task[one.first] == task[other.first] and task[one.second] == task[other.second]
    return same and other.first <= one.first and one.second <= other.second


class _Swapper:
    """Does steps of a failing run in the other order.  Args: named: the place of each step."""

    def __init__(self, trials: Trials, case: Case, steps: Steps, named: list[Place]) -> None:
        self.trials, self.case, self.steps, self.named = trials, case, steps, named

    def first_that_matters(self, chain: list[_Pair]) -> list[tuple[_Pair, Flips]]:
        """Return the nearest pair of a lane whose swap makes the failure vanish, if there is one.  Raises Spent."""
        for pair in chain:
            flips = self.swap(pair)
            if flips is None:
                return []
            if not flips.fails:
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
        clock = self.steps.order.clock
        return (step for step in range(pair.first, pair.second) if clock[step] >> pair.first & 1)

    def _of_task(self, pair: _Pair) -> Iterator[int]:
        """Yield the steps between of the first one's task: the others go on without it."""
        task = self.steps.order.task
        return (step for step in range(pair.first, pair.second) if task[step] == task[pair.first])

    def _runs(self, pair: _Pair, kept_back: set[int]) -> Flips | None:
        tasks, case = self.steps.tasks, self.case
        ahead = [tasks[step] for step in range(pair.second + 1) if step not in kept_back]
        rest = [tasks[step] for step in sorted(kept_back)] + list(tasks[pair.second + 1 :])
        for number in range(FLIPS):
            self.trials.budget.take()
            seed = derive(case.seed, "swap", *self.named[pair.first], *self.named[pair.second], number)
            draw = random.Random(seed).random if number else None
            strategy = InOrder(ahead, () if number else rest, self.steps.values, draw)
            with self.trials.played(case, strategy) as played:
                done = [place for _, place in places(played.record)]
                if strategy.lost is not None or len(done) < len(ahead):
                    return None
                if done[len(ahead) - 1] != self.named[pair.second]:
                    return None
                if self.trials.judged(played):
                    return Flips(1, number + 1)
        return Flips(0, FLIPS)


def _causal(record: Record, named: list[Place], events: list[int], pair: _Pair, flips: Flips) -> Causal:
    first, second = (Op(*named[step], events[step]) for step in pair[:2])
    return Causal(first, second, record.lane_name(pair.lane), flips)
