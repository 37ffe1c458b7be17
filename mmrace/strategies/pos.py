"""Strategy `pos`: partial-order sampling.  Each pending op has a random priority; the highest is done.

Invariant: a priority is drawn anew when its op is done, and when an op that races with it is done before it; no
other is.  Redrawing only those makes the draws follow partial orders instead of interleavings: redrawing all is plain
random walk, redrawing the done op's alone favours whoever waited with a high one.

Which ops race: the engine's relation `dependent` (same lane, not both reads).  LOAD and STORE of a flag word have the
word's own lane but concern all its bits, whose lanes follow it; the engine does not say how many there are, so they
race with every bit op on the next `WORD_BITS` lanes.  That takes in bits of a neighbouring word: a needless redraw,
never a missed one.

Source: Yuan, Yang, Gu, "Partial Order Aware Concurrency Sampling", CAV 2018, algorithm 2.
"""

from __future__ import annotations

from collections import defaultdict

from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind, dependent
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Profile

WORD_BITS = 64  # lanes; no flag word of the model is longer
WHOLE = frozenset((int(Kind.LOAD), int(Kind.STORE)))
BITS = frozenset(map(int, (Kind.TEST, Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR)))
_OF_WORDS = sum(1 << kind for kind in WHOLE | BITS)  # a mask: a test of it costs half of a look-up in a set
_NONE = -1.0  # below every draw


def racing(a: int, b: int) -> bool:
    """Say whether two pending ops of different tasks race; see the module docstring."""
    if b >> SHIFT < a >> SHIFT:
        a, b = b, a
    if a & KIND_MASK in WHOLE and b & KIND_MASK in BITS:
        return bool((a | b) & 1) and (b >> SHIFT) - (a >> SHIFT) <= WORD_BITS
    return dependent(a, b)


class Pos(Drawing):
    """Priorities of the pending ops of one run.

    Args: draw: the stream of the run.
    """

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
        if _OF_WORDS >> (op & KIND_MASK) & 1:
            for task in enabled:
                if racing(op, task.pending):
                    priority[task] = _NONE
        elif op & 1:
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


class PosSampler:
    """Draws POS schedules."""

    profiled = False

    def strategy(self, draw: Draw, profile: Profile | None) -> Pos:
        """Return the strategy of one run."""
        return Pos(draw)
