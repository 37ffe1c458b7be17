"""Epochs: what of each task is over for which other task.

An epoch is what a task does from one of its releases to the next; all epochs of a run are numbered as they begin.  What
is over for a task is a set of epochs, a bit each of one whole number: that says what a vector clock does, a time by
task, and two of them are joined by one ``|`` where clocks take a loop.  Invariant: with an epoch all former ones of its
task are in a set, and all that was over for the task in it.  Not here: what releases, and who hears of it.
"""

from __future__ import annotations

from itertools import count
from typing import TypeAlias

Over: TypeAlias = int
"""A set of epochs."""


class Epochs:
    """By task: the epoch that it is in (`own`), and what is over for it (`over`, its own former ones too)."""

    __slots__ = ("fresh", "over", "own")

    def __init__(self, tasks: int) -> None:
        self.own = list(range(tasks))
        self.over: list[Over] = [0] * tasks
        self.fresh = count(tasks)

    def so_far(self, task: int) -> Over:
        """Return what is over for who knows of all that a task did so far."""
        return self.over[task] | 1 << self.own[task]

    def ends(self, task: int) -> Over:
        """Begin another epoch of a task; return what is over for who knows of the one that ends."""
        self.over[task] = over = self.over[task] | 1 << self.own[task]
        self.own[task] = next(self.fresh)
        return over
