"""Random priorities of tasks, drawn when they are first asked for, and which task has the highest.

Invariant: one number is drawn for each task that has none, in the order in which tasks are met.  Not here: when a
priority is used up, or falls; that is what strategies differ in.
"""

from __future__ import annotations

from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw


class Priorities(dict[Task, float]):
    """Priorities by task; a new task gets a uniformly random one of [0, 1).  Args: draw: the stream of the run."""

    __slots__ = ("_draw",)

    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self._draw = draw

    def __missing__(self, task: Task) -> float:
        value = self[task] = self._draw()
        return value

    def best(self, tasks: list[Task]) -> Task:
        """Return the one of these tasks that has the highest priority."""
        best = tasks[0]
        highest = self[best]
        for task in tasks:
            value = self[task]
            if value > highest:
                highest = value
                best = task
        return best

    def done(self, task: Task) -> None:
        """Use up a task's priority."""
        self.pop(task, None)
