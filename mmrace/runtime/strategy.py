"""How an engine asks who goes next, and the fair answer that needs no search.

Strategies live in `strategies/`, one file each; the contract is here because engines call it.  Invariant: a strategy
sees pending ops and task ids, never the model, and answers with one of those it was offered.
"""

from __future__ import annotations

from typing import Protocol

from mmrace.runtime.task import Task

FAIR_SHARE = 4  # after the bound, a run goes on round-robin for bound / FAIR_SHARE more ops


class Strategy(Protocol):
    """Chooses the next task at a point, and values at `choose`.  Sees pending ops, never the model."""

    every_step: bool
    """True: wants to be asked even where only one task is enabled."""
    fixed_too: bool
    """True: wants to be asked even where the program asked for fixed order (a strict replay must see every step)."""

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return one of `enabled` (never empty); `step` counts ops from 0."""

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return a value in range(n)."""


class RoundRobin:
    """The fair fallback after a bound, and a strategy of its own: each enabled task in turn, `turn` ops each."""

    every_step = False
    fixed_too = False

    def __init__(self, turn: int = 1) -> None:
        self.turn = turn
        self.left = turn

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the running task for `turn` ops, then the next by id, cyclically."""
        if running.on and self.left > 1:
            self.left -= 1
            return running
        self.left = self.turn
        later = [task for task in enabled if task.id > running.id]
        return min(later or enabled, key=lambda task: task.id)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the ordinary value."""
        return 0
