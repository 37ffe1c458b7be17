"""Strategy `random`: at each point any enabled task, with equal chances; the baseline that others must beat.

Invariant: a function of the seed alone; where only one task is enabled nothing is drawn.
"""

from __future__ import annotations

import random

from mmrace.runtime.task import Task


class RandomWalk:
    """Uniform choice among the enabled tasks.

    Args: seed: any value with a stable `str`.
    """

    every_step = False

    def __init__(self, seed: object) -> None:
        self._draw = random.Random(f"{seed}/random-walk").random

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return one of `enabled`."""
        return enabled[int(self._draw() * len(enabled))]

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return a value in range(n)."""
        return int(self._draw() * n)
