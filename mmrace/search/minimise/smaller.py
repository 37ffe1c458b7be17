"""Make the program of a failing run smaller: fewer actors and rounds, lower numbers, as far as it still fails.

In a smaller program the schedule often leads elsewhere, since its ops have other numbers: then schedules are drawn, and
the first one that fails is made smaller in turn.  Invariant: whatever comes back fails, and weighs no more than what
went in.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from mmrace.runs.spec import Params
from mmrace.runtime.param import Value
from mmrace.search.minimise.schedule import fewer_steps
from mmrace.search.minimise.trials import Trial, Trials

SAMPLES = 24  # schedules drawn for one smaller program; a bug that is met once in ten is missed once in twelve
STEPS_MAX = 40  # smaller programs in a row: from 160 by halves to the last one takes eight for one number


def boldly(trials: Trials, trial: Trial, samples: int = SAMPLES) -> Trial:
    """Try the boldest change first of all, for all later trials are then the shorter.  Raises Spent."""
    for complete in islice(trials.program(trial.case.params).smaller(), 1):
        params = trials.makers.of(trials.base.maker).given(trials.base.program, complete)
        found = _failing(trials, trial, params, samples)
        if found is not None and found.weight <= trial.weight:
            return found
    return trial


def smallest_program(trials: Trials, trial: Trial, samples: int = SAMPLES) -> Trial:
    """Return a failing trial of a program that no single change of `Program.smaller` makes smaller.  Raises Spent.

    A change that did not help once is later tried with the schedule at hand only.
    """
    maker, vain = trials.makers.of(trials.base.maker), set[frozenset[tuple[str, Value]]]()
    for _ in range(STEPS_MAX):
        program = trials.program(trial.case.params)
        for complete in program.smaller():
            change = frozenset(complete.items() - program.params.items())
            params = maker.given(trials.base.program, complete)
            found = _failing(trials, trial, params, 0 if change in vain else samples)
            if found is not None and found.weight <= trial.weight:
                trial = found
                break
            vain.add(change)
        else:
            break
    return trial


def _failing(trials: Trials, trial: Trial, params: Params, samples: int) -> Trial | None:
    """Return a failing trial of another program, by the same schedule or by one that is drawn."""
    same = trials.of(replace(trial.case, params=params))
    if same.fails:
        return fewer_steps(trials, same)
    drawn = trials.sampled(params, samples)
    return fewer_steps(trials, drawn) if drawn is not None and drawn.fails else None
