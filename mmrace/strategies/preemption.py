"""Strategy `preemption`: every schedule with few preemptions, those with fewest first.

To take the floor from a task that could have gone on costs 1; see `bounded.py` for the walk.

Source: Musuvathi, Qadeer et al., "Finding and Reproducing Heisenbugs in Concurrent Programs", OSDI 2008 (CHESS).
"""

from __future__ import annotations

from collections.abc import Sequence

from mmrace.runtime.kinds import KIND_MASK
from mmrace.runtime.task import Task
from mmrace.strategies.bounded import YIELD, Choice, Walk, in_turn
from mmrace.strategies.contract import Registered

BOUND = 2  # most bugs that are known need no more; each further one multiplies the schedules


class PreemptionBounded(Walk):
    """Bounds how often a task is taken off that could have gone on."""

    def order(self, enabled: list[Task], running: Task) -> Sequence[Choice]:
        """Return every position; whoever takes the floor from a task that can go on costs 1."""
        if not running.on:
            return [(position, 0) for position in in_turn(enabled, running)]
        stays = running.pending & KIND_MASK != YIELD
        return [(position, int((enabled[position] is running) != stays)) for position in in_turn(enabled, running)]


STRATEGY = Registered(
    "preemption",
    "every schedule with up to `bound` preemptions, fewest first",
    lambda options: PreemptionBounded(int(options["bound"])),
    {"bound": BOUND},
    kind="walk",
)
