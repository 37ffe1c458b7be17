"""A causal ordering the other way round: the failing run up to there, the two ops swapped, and all that can follow.

Held back is as little as there can be: what follows from the first op, or if the second one then has to wait, all that
its task did.  Invariant: `swapped` was seen to do the second op before the first one.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.runs.chosen import Chosen
from mmrace.runs.minimal import Causal
from mmrace.runs.play import play
from mmrace.search.minimise.in_order import Steps
from mmrace.search.prove.continuations import Continuations
from mmrace.search.prove.prefix import Prefix, Prefixed
from mmrace.strategies.guided import Guided, places


def swapped(continuations: Continuations, steps: Steps, run: Prefix, pair: tuple[int, int], causal: Causal) -> Prefix:
    """Return what is done up to and with the second op before the first one; nothing if that cannot be done.

    Args: pair: the steps of the two; that of an op that its task waited to do is behind the last one.
    """
    wanted = causal.second
    for prefix in _prefixes(steps, run, pair, wanted.task):
        strategy = Prefixed(prefix, Guided(()))
        with play(continuations.program, continuations.spec, Chosen(strategy), sites=True) as played:
            done = [place for _, place in places(played.record)]
        last = len(prefix) - 1
        if strategy.lost is None and len(done) > last and done[last] == (wanted.task, wanted.site, wanted.visit):
            return prefix
    return ()


def _prefixes(steps: Steps, run: Prefix, pair: tuple[int, int], task_of_second: str) -> Iterator[Prefix]:
    first, second = pair
    clock, task = steps.order.clock, steps.order.task
    within = range(first, min(second, len(run)))
    for held_back in (
        {step for step in within if clock[step] >> first & 1},
        {step for step in within if task[step] == task[first]},
    ):
        ahead = tuple(run[step] for step in range(min(second, len(run))) if step not in held_back)
        yield (*ahead, run[second] if second < len(run) else (task_of_second, 0))
