"""Strategy `random`: at each point any enabled task, with equal chances; the baseline that others must beat.

Invariant: a function of the draws alone; where only one task is enabled it is not asked, and nothing is drawn.  Weak on
lopsided programs: a task with many ops before its race is rarely through them when the other is at its own.
"""

from __future__ import annotations

from mmrace.runtime.task import Task
from mmrace.strategies.contract import Drawing, Registered, Unprofiled


class RandomWalk(Drawing):
    """Uniform choice among the enabled tasks."""

    __slots__ = ()

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return one of `enabled`."""
        return enabled[int(self._draw() * len(enabled))]


TITLE = "random walk: any enabled task, equal chances; also the looks for racing fields in each exploration that draws"
STRATEGY = Registered("random", TITLE, lambda _: Unprofiled(RandomWalk))
