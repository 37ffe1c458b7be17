"""Strategy `urw`: a random walk that weighs each task by the ops that it and its children still have to do.

Invariant: if no task blocks and every run does the ops of the profile, all interleavings are equally likely.  In other
programs the weights are a heuristic: a task that does more than its profile said goes on with weight 1.  A CHOOSE is
done at once and not counted, in `Profile.ops` neither: no other task depends on it.

Source: Zhao et al., "Selectively Uniform Concurrency Testing", ASPLOS 2025, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Profile, Profiled, Registered

_CHOOSE = int(Kind.CHOOSE)


def subtrees(own: Mapping[str, float], parents: Mapping[str, str]) -> dict[str, float]:
    """Return task -> what it and all its descendants own."""
    whole = dict.fromkeys((*own, *parents, *parents.values()), 0.0)
    for task, count in own.items():
        above: str | None = task
        while above is not None:
            whole[above] += count
            above = parents.get(above)
    return whole


class _Weights(dict[Task, float]):
    """Weights by task.  A new task's weight is taken from its parent, which stood for both."""

    __slots__ = ("_parents", "_whole")

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self._whole = subtrees(profile.ops, profile.parents)
        self._parents = profile.parents

    def __missing__(self, task: Task) -> float:
        name = task.name
        weight = max(1.0, self._whole.get(name, 1.0))
        if name in self._parents and task.parent is not None:
            self[task.parent] = max(1.0, self[task.parent] - weight)
        self[task] = weight
        return weight


class Urw(Drawing):
    """Weights of one run.

    Args: draw: the stream of the run.  profile: what a run does.
    """

    __slots__ = ("_weights",)
    asked_when_alone = True
    """An op that was done while it was the only one has to be counted too."""

    def __init__(self, draw: Draw, profile: Profile) -> None:
        super().__init__(draw)
        self._weights = _Weights(profile)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a task, drawn by weight."""
        if running.pending & KIND_MASK == _CHOOSE and running.on:
            return running
        weights = self._weights
        while True:
            met = len(weights)
            total = 0.0
            for task in enabled:
                total += weights[task]
            if len(weights) == met:
                break  # a new task takes weight from its parent, which may be in the sum already: add up again
        best = enabled[0]
        if len(enabled) > 1:
            rest = self._draw() * total
            for best in enabled:
                rest -= weights[best]
                if rest < 0.0:
                    break
        left = weights[best]
        if left > 1.0:
            weights[best] = left - 1.0
        return best


STRATEGY = Registered("urw", "uniform random walk, by what each task still has to do", lambda _: Profiled(Urw))
