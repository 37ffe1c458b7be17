"""Strategy `pos`: partial-order sampling.  Each pending op has a random priority; the highest is done.

Invariant: a priority is drawn anew when its op is done, and when an op that races with it is done before it; no other
is.  Redrawing only those makes the draws follow partial orders instead of interleavings: redrawing all is plain random
walk, redrawing the done op's alone favours whoever waited with a high one.

Source: Yuan, Yang, Gu, "Partial Order Aware Concurrency Sampling", CAV 2018, algorithm 2.
"""

from __future__ import annotations

from collections import defaultdict

from mmrace.runtime.kinds import KIND_MASK
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Registered, Unprofiled
from mmrace.strategies.order.pending import OF_WORDS, racing

_NONE = -1.0  # below every draw


class Pos(Drawing):
    """Priorities of the pending ops of one run."""

    __slots__ = ("_priority",)
    asked_when_alone = True
    """An op that was done while it was the only one has used up its priority too."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(draw)
        self._priority: defaultdict[Task, float] = defaultdict(lambda: _NONE)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task whose pending op has the highest priority."""
        priority = self._priority
        if len(enabled) == 1:
            priority[enabled[0]] = _NONE
            return enabled[0]
        draw = self._draw
        best = running
        highest = _NONE
        for task in enabled:
            value = priority[task]
            if value < 0.0:
                value = priority[task] = draw()
            if value > highest:
                highest = value
                best = task
        op = best.pending
        if OF_WORDS >> (op & KIND_MASK) & 1:
            for task in enabled:
                if racing(op, task.pending):
                    priority[task] = _NONE
        elif op & 1:  # here and below `racing` without a call: most ops of other tasks are on other lanes
            for task in enabled:
                if op ^ task.pending <= KIND_MASK:
                    priority[task] = _NONE
        else:
            for task in enabled:
                other = task.pending
                if other & 1 and op ^ other <= KIND_MASK:
                    priority[task] = _NONE
        priority[best] = _NONE  # a read does not race with itself
        return best


STRATEGY = Registered("pos", "partial-order sampling", lambda _: Unprofiled(Pos))
