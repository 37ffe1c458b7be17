"""Strategy `near`: schedules around a saved one: some of its turning points moved or left out, some switches added.

A bug that was mended in one place only, by a lock that is taken too late, say, is seldom met by the very schedule that
met it before, and often by one beside it.  So a kept schedule is tried with its neighbours.  Each neighbour leaves out
about one turning point, moves a quarter of the others by an op or two of the same site, and adds switches: `CLOSE` each
at the `WINDOW` points after an op that was a turning point, `FAR` elsewhere.

Invariant: a function of the draws and of the schedule alone; where the program fixes the order, nothing is added.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Options, Registered, Unprofiled
from mmrace.strategies.guided import Guided, Preemption, Value, by_named, steps_named

MOVED = 1 / 4  # of the turning points that stay
STEPS_MAX = 2  # visits of its site by which a turning point moves: a lock and its unlock are seldom farther apart
WINDOW = 8  # points after a turning point: a critical section or two
CLOSE, FAR = 1 / 8, 1 / 64  # chances of a switch at a point: about one in a window, and some in a run of hundreds


class Near(Guided):
    """One neighbour.  Args: draw: decides which."""

    def __init__(
        self, draw: Draw, turns: Sequence[Preemption], values: Sequence[Value] = (), *, by: str = "site"
    ) -> None:
        self._draw = draw
        left_out = 1 / (len(turns) + len(values) + 1)
        self._window = 0
        super().__init__(
            [self._moved(turn) for turn in turns if draw() >= left_out],
            [value for value in values if draw() >= left_out],
            by=by,
        )
        self._places = {(turn.task, self._named(turn.site), turn.visit) for turn in turns}

    def _moved(self, turn: Preemption) -> Preemption:
        """Return a turning point, or one at another visit of its site."""
        if self._draw() >= MOVED:
            return turn
        steps = 1 + int(self._draw() * STEPS_MAX)
        return replace(turn, visit=max(1, turn.visit + (steps if self._draw() < 1 / 2 else -steps)))

    def otherwise(self, enabled: list[Task], running: Task) -> Task:
        """Return the default task, or now and then another one."""
        if self._run.order_fixed:
            return super().otherwise(enabled, running)
        self._window = WINDOW if self._after in self._places else max(0, self._window - 1)
        if len(enabled) > 1 and self._draw() < (CLOSE if self._window else FAR):
            return enabled[int(self._draw() * len(enabled))]
        return super().otherwise(enabled, running)

    def followed(self) -> None:
        """Count nothing: a neighbour is not meant to follow."""
        return None


def sampler(options: Options) -> Unprofiled:
    """Make the sampler of neighbours.

    Options: record, by: as `guided` has them.  index: of the neighbour, where a seed has several: what the program
    draws is the seed's alone.  Raises UsageError.
    """
    steps, index, by = steps_named(options, "near"), options["index"], by_named(options)

    def neighbour(draw: Draw) -> Near:
        return Near(random.Random(f"{draw()}/{index}").random, steps["turns"], steps["choices"], by=by)

    return Unprofiled(neighbour)


STRATEGY = Registered(
    "near",
    "schedules around a saved one: turning points moved or left out, switches added",
    sampler,
    {"record": "", "index": 0, "by": "site"},
)
