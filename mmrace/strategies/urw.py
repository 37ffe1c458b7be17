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


class Weights(dict[Task, float]):
    """Weights by task.  A new task's weight is taken from its parent, which stood for both.

    Args: draw: the stream of the run.  profile: what a run does.
    """

    __slots__ = ("_draw", "_parents", "_whole")

    def __init__(self, draw: Draw, profile: Profile) -> None:
        super().__init__()
        self._draw = draw
        self._whole = subtrees(profile.ops, profile.parents)
        self._parents = profile.parents

    def __missing__(self, task: Task) -> float:
        name = task.name
        weight = max(1.0, self._whole.get(name, 1.0))
        if name in self._parents and task.parent is not None:
            self[task.parent] = max(1.0, self[task.parent] - weight)
        self[task] = weight
        return weight

    def best(self, tasks: list[Task]) -> Task:
        """Return one of these tasks, drawn by weight."""
        while True:
            met = len(self)
            total = 0.0
            for task in tasks:
                total += self[task]
            if len(self) == met:
                break  # a new task takes weight from its parent, which may be in the sum already: add up again
        best = tasks[0]
        if len(tasks) > 1:
            rest = self._draw() * total
            for best in tasks:
                rest -= self[best]
                if rest < 0.0:
                    break
        return best

    def done(self, task: Task) -> None:
        """Count an op of a task."""
        left = self[task]
        if left > 1.0:
            self[task] = left - 1.0


class Urw(Drawing):
    """Weights of one run.

    Args: draw: the stream of the run.  profile: what a run does.
    """

    __slots__ = ("_weights",)
    asked_when_alone = True
    """An op that was done while it was the only one has to be counted too."""

    def __init__(self, draw: Draw, profile: Profile) -> None:
        super().__init__(draw)
        self._weights = Weights(draw, profile)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a task, drawn by weight."""
        if running.pending & KIND_MASK == _CHOOSE and running.on:
            return running
        best = self._weights.best(enabled)
        self._weights.done(best)
        return best


STRATEGY = Registered("urw", "uniform random walk, by what each task still has to do", lambda _: Profiled(Urw))
