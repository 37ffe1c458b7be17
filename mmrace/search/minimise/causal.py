"""Causal orderings: which two ops of a failing run must not come the other way round.

For each two dependent steps of different tasks with nothing between them, the second is done first: the run follows
the record up to the first step, does what does not need it, then the second step.  From there on the rest follows as it
was, and once more as it is drawn.  Where the failure vanishes each time, the order of the two is one that it needs.
Invariant: an ordering is told only if the swap was really done, and no run with it had the finding.

Source: Zeller, "Isolating Cause-Effect Chains from Computer Programs", 2002, for schedules: Choi and Zeller,
"Isolating Failure-Inducing Thread Schedules", 2002.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from mmrace.runs.minimal import Causal, Flips, Op
from mmrace.runs.spec import derive
from mmrace.runtime.kinds import NOTE, SHIFT
from mmrace.runtime.record import Record
from mmrace.search.minimise.in_order import InOrder, Steps, steps_of, watch
from mmrace.search.minimise.trials import Case, Spent, Trials
from mmrace.strategies.guided import Guided, Place, places
from mmrace.strategies.order.partial_order import Race

FLIPS = 20  # runs with two ops swapped: one that goes on as recorded, the others drawn


def orderings(trials: Trials, case: Case) -> tuple[list[Causal], bool]:
    """Return the causal orderings of a failing case, in the order of the run, and whether the budget lasted."""
    with trials.played(case, Guided(case.turns, case.values), watch=watch) as played:
        steps, record = steps_of(played), played.record
    named = [place for _, place in places(record)]
    events = [number for number, event in enumerate(record.events) if event[1] != NOTE]
    found: list[Causal] = []
    try:
        for race in _candidates(steps):
            flips = _flipped(trials, case, steps, race, named)
            if flips is not None and not flips.fails:
                found.append(_causal(record, named, events, race, flips))
    except Spent:
        return found, False
    return found, True


def _candidates(steps: Steps) -> Iterator[Race]:
    """Yield the races of the explored part, those nearest to the failure first."""
    first, end = steps.explored
    within = [race for race in steps.races if first <= race.first and race.second < end]
    return iter(sorted(within, key=lambda race: (-race.second, -race.first)))


def _flipped(trials: Trials, case: Case, steps: Steps, race: Race, named: list[Place]) -> Flips | None:
    """Return what came of runs with two steps swapped, up to one that fails; None if they cannot be swapped."""
    order = steps.order
    between = range(race.first + 1, race.second)
    free = [step for step in between if not order.clock[step] >> race.first & 1]
    bound = [step for step in between if order.clock[step] >> race.first & 1]
    ahead = [*range(race.first), *free, race.second]
    rest = [race.first, *bound, *range(race.second + 1, len(steps.tasks))]
    names, later = ([steps.tasks[step] for step in part] for part in (ahead, rest))
    for number in range(FLIPS):
        trials.budget.take()
        seed = derive(case.seed, "flip", *named[race.first], *named[race.second], number)
        draw = random.Random(seed).random if number else None
        strategy = InOrder(names, () if number else later, steps.values, draw)
        with trials.played(case, strategy) as played:
            done = [place for _, place in places(played.record)]
            if strategy.lost is not None or len(done) < len(ahead) or done[len(ahead) - 1] != named[race.second]:
                return None
            if trials.judged(played):
                return Flips(1, number + 1)
    return Flips(0, FLIPS)


def _causal(record: Record, named: list[Place], events: list[int], race: Race, flips: Flips) -> Causal:
    first, second = (Op(*named[step], events[step]) for step in (race.first, race.second))
    return Causal(first, second, record.lane_name(record.events[second.event][1] >> SHIFT), flips)
