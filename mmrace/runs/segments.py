"""Which parts of a run could have come in another order, as far as births and ends of tasks say.

A *segment* is what a task did between two ops of its life (spawn, begin, join, exit).  Of two segments one comes first
in every run if a chain of spawns and joins leads from it to the other; else either could.  Invariant: what locks, wakes
and values enforce is not known here, so that more may seem free than is; never less.
"""

from __future__ import annotations

from mmrace.runtime.kinds import EXIT, JOIN, SPAWN

Segment = tuple[int, int]
"""Task id, and how many of its segments came before."""


class Segments:
    """The segments of one run, told of its ops of life in their order."""

    def __init__(self) -> None:
        self._clock: dict[int, dict[int, int]] = {}  # task -> of each task, how many segments came before for sure
        self._of: dict[Segment, dict[int, int]] = {}
        self._ended: dict[int, dict[int, int]] = {}

    def now(self, task: int) -> Segment:
        """Return the segment that a task is in."""
        return task, self._clock.get(task, {}).get(task, 0)

    def met(self, task: int, kind: int, other: int | None) -> None:
        """Take in an op of life.  Args: other: whom it spawned or joined; None: all others."""
        clock = self._clock.setdefault(task, {})
        if kind == SPAWN:
            assert other is not None
            self._clock[other] = {**clock, task: clock.get(task, 0) + 1}
            self._of[other, 0] = dict(self._clock[other])
        elif kind == JOIN:
            for ended in [other] if other is not None else list(self._ended):
                for number, count in self._ended.get(ended, {}).items():
                    clock[number] = max(clock.get(number, 0), count)
        elif kind == EXIT:
            self._ended[task] = {**clock, task: clock.get(task, 0) + 1}
            return
        else:
            return
        clock[task] = clock.get(task, 0) + 1
        self._of[self.now(task)] = dict(clock)

    def free(self, one: Segment, other: Segment) -> bool:
        """Say whether either of two segments could come first."""
        return one[0] != other[0] and not self._before(one, other) and not self._before(other, one)

    def _before(self, one: Segment, other: Segment) -> bool:
        task, number = one
        return self._of.get(other, {}).get(task, 0) > number
