"""Make the schedule of a failing run smaller: fewer turning points and choices, each as early as it can be.

What is tried comes from `shrinking.py`; here stands what a turning point can be replaced by.  Invariant: whatever comes
back fails, and weighs no more than what went in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from mmrace.search.minimise import shrinking
from mmrace.search.minimise.trials import Case, Trial, Trials
from mmrace.strategies.guided import Guided, Place, Preemption, Value, places

Step: TypeAlias = Preemption | Value
PASSES_MAX = 4  # each is a list of trials that changed something before; a fifth never did
PAIRS_MAX = 12  # steps up to which all pairs are tried: 66 trials


def smallest_schedule(trials: Trials, trial: Trial) -> Trial:
    """Return a failing trial of the same program with as few steps as can be found.  Raises Spent."""
    for _ in range(PASSES_MAX):
        before = trial.case
        trial = fewer_steps(trials, trial)
        trial = _earlier(trials, trial)
        if trial.case == before:
            break
    return trial


def fewer_steps(trials: Trials, trial: Trial) -> Trial:
    """Leave out steps, lower values, merge turning points."""
    trial = _tried(trials, trial, shrinking.fewer)
    trial = _tried(trials, trial, _lower_values)
    trial = _tried(trials, trial, lambda steps, fails: shrinking.merged(steps, _merges, fails))
    if trial.case.cost <= PAIRS_MAX:
        trial = _tried(trials, trial, shrinking.without_groups)
    return trial


Shrink: TypeAlias = Callable[[tuple[Step, ...], shrinking.Fails[Step]], tuple[Step, ...]]


def _tried(trials: Trials, trial: Trial, shrink: Shrink) -> Trial:
    steps = shrink(_steps(trial.case), lambda steps: trials.fails(_with(trial.case, steps)))
    return trials.of(_with(trial.case, steps))


def _steps(case: Case) -> tuple[Step, ...]:
    return *case.turns, *case.values


def _with(case: Case, steps: tuple[Step, ...]) -> Case:
    turns = tuple(step for step in steps if isinstance(step, Preemption))
    values = tuple(step for step in steps if isinstance(step, Value))
    return replace(case, turns=turns, values=values)


def _lower_values(steps: tuple[Step, ...], fails: shrinking.Fails[Step]) -> tuple[Step, ...]:
    """Choose lower values; that none at all will do was tried."""
    return shrinking.replaced(steps, _lower, fails)


def _lower(step: Step) -> Iterator[Step]:
    if isinstance(step, Value):
        for value in range(1, step.value):
            yield replace(step, value=value)


def _merges(one: Step, other: Step) -> Iterator[Step]:
    """Yield what could stand for two turning points in a row: who goes on last, at once; or later."""
    if isinstance(one, Preemption) and isinstance(other, Preemption):
        if one.task != other.to:
            yield replace(one, to=other.to)
        if other.task != one.to:
            yield replace(other, to=one.to)


def _earlier(trials: Trials, trial: Trial) -> Trial:
    """Move each turning point to the earliest op of its task at which it still leads to the failure.

    It then stands right behind the op that had to come before.
    """
    for number in range(len(trial.case.turns)):
        if number >= len(trial.case.turns):
            break
        trial = _moved(trials, trial, number)
    return trial


def _moved(trials: Trials, trial: Trial, number: int) -> Trial:
    turn = trial.case.turns[number]
    ops = _ops_of(trials, trial.case, turn.task)
    try:
        now = ops.index((turn.task, turn.site, turn.visit))
    except ValueError:
        return trial

    def at(place: int) -> Case:
        task, site, visit = ops[place]
        turns = list(trial.case.turns)
        turns[number] = Preemption(task, site, visit, turn.to)
        return replace(trial.case, turns=tuple(turns))

    def fails(place: int) -> bool:
        tried = trials.of(at(place))
        return tried.fails and tried.weight[:3] <= trial.weight[:3]  # an earlier place may cost events

    return trials.of(at(shrinking.lower(now, 0, fails)))


def _ops_of(trials: Trials, case: Case, name: str) -> list[Place]:
    """Return what a task does in the explored part of a case's run, in order."""
    with trials.played(case, Guided(case.turns, case.values)) as played:
        first, end = played.record.header["explored"]
        ops = islice(places(played.record), first, end)
        return [place for _, place in ops if place[0] == name]
