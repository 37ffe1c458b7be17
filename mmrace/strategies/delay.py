"""Strategy `delay`: every schedule with few delays against turns without preemption, those with fewest first.

Each enabled task that is passed over costs 1; see `bounded.py` for the walk, `random_delays.py` for its sampled form.

Source: Emmi, Qadeer, Rakamaric, "Delay-bounded scheduling", POPL 2011.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmrace.runtime.task import Task
from mmrace.strategies.bounded import Choice, Walk, in_turn
from mmrace.strategies.contract import Registered

BOUND = 3  # one more than of preemptions: a delay leaves no choice of who comes next, so a bound has fewer schedules


class DelayBounded(Walk):
    """Bounds how many enabled tasks are passed over."""

    def order(self, enabled: list[Task], running: Task) -> Sequence[Choice]:
        """Return every position; it costs the number of those before it in turn."""
        return [(position, cost) for cost, position in enumerate(in_turn(enabled, running))]


STRATEGY = Registered(
    "delay",
    "every schedule with up to `bound` delays against turns without preemption, fewest first",
    lambda options: DelayBounded(int(options["bound"])),
    {"bound": BOUND},
    kind="walk",
)
