"""Strategy `enumerate`: every interleaving and every value, each exactly once, without any reduction.

The yardstick of searches that reduce.  Nothing costs anything, so that bound 0 of the walk (`bounded.py`) is all.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmrace.runtime.task import Task
from mmrace.strategies.bounded import Choice, Walk
from mmrace.strategies.contract import Registered


class Enumerate(Walk):
    """The walk through the whole tree."""

    asked_of_life = True

    def __init__(self) -> None:
        super().__init__(0)

    def order(self, enabled: list[Task], running: Task) -> Sequence[Choice]:
        """Return every position, at no cost."""
        return self.values(len(enabled))

    def values(self, n: int) -> Sequence[Choice]:
        """Return every value, at no cost."""
        return [(value, 0) for value in range(n)]


STRATEGY = Registered("enumerate", "every interleaving, without any reduction", lambda _: Enumerate(), kind="walk")
