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


def swapped(continuations: Continuations, steps: Steps, run: Prefix, pair: tuple[int, int], second: Causal) -> Prefix:
    """Return what is done up to and with the second op before the first one; nothing if that cannot be done.

    Args: pair: the steps of the two.
    """
    wanted = second.second
    for prefix in _prefixes(steps, run, *pair):
        strategy = Prefixed(prefix, Guided(()))
        with play(continuations.program, continuations.spec, Chosen(strategy), sites=True) as played:
            done = [place for _, place in places(played.record)]
        last = len(prefix) - 1
        if strategy.lost is None and len(done) > last and done[last] == (wanted.task, wanted.site, wanted.visit):
            return prefix
    return ()


def _prefixes(steps: Steps, run: Prefix, first: int, second: int) -> Iterator[Prefix]:
    clock, task = steps.order.clock, steps.order.task
    within = range(first, second)
    for held_back in (
        {step for step in within if clock[step] >> first & 1},
        {step for step in within if task[step] == task[first]},
    ):
        yield tuple(run[step] for step in range(second + 1) if step not in held_back)
