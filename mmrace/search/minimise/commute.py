"""Lower the switches of a failing schedule without searching: do independent steps in another order.

Of all orders of the run's class one is made that stays with each task as long as what is left allows it.  One run then
shows that it fails as before.  Invariant: dependent steps keep their order.

Source: the simplification of dejafu's `Test/DejaFu/SCT/Internal.hs` (pull back, push forward), in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.search.minimise.in_order import InOrder, Steps, steps_of, watch
from mmrace.search.minimise.trials import Trial, Trials, case_of
from mmrace.strategies.guided import Guided


def commuted(trials: Trials, trial: Trial) -> Trial:
    """Return the trial in an order with fewer turning points, or as it is.  Raises Spent."""
    case = trial.case
    with trials.played(case, Guided(case.turns, case.values), watch=watch) as played:
        steps = steps_of(played)
    strategy = InOrder([steps.tasks[step] for step in in_few_turns(steps)], (), steps.values)
    trials.budget.take()
    with trials.played(case, strategy) as played:
        if strategy.lost is not None:
            return trial
        record = played.record
    found = trials.of(case_of(record, case.params, case.seed))
    return found if found.fails and found.weight < trial.weight else trial


def in_few_turns(steps: Steps) -> Iterator[int]:
    """Yield the steps in an order of the same class that stays with each task as long as it can."""
    first, end = steps.explored
    end = min(end, len(steps.tasks))
    yield from range(first)
    yield from _reordered(steps, first, end)
    yield from range(end, len(steps.tasks))


def _reordered(steps: Steps, first: int, end: int) -> Iterator[int]:
    clock, done = steps.order.clock, (1 << first) - 1
    left = {task: [step for step in its if first <= step < end][::-1] for task, its in steps.order.of_task.items()}
    running = steps.order.task[first - 1] if first else 0

    def waits_for(task: int) -> int:
        """Return the steps that must come before a task's next one, as bits."""
        step = left[task][-1]
        return clock[step] & ~done & ~(1 << step)

    while any(left.values()):
        if not left.get(running) or waits_for(running):
            ready = [task for task in sorted(left) if left[task] and not waits_for(task)]
            wanted = waits_for(running) if left.get(running) else 0
            running = next((task for task in ready if wanted >> left[task][-1] & 1), ready[0])
        step = left[running].pop()
        done |= 1 << step
        yield step
