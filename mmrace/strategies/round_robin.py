"""Strategy `round-robin`: fair turns of a fixed number of ops; no search at all.

Invariant: draws nothing, so that every schedule of a scenario is the same; for smoke tests and as a reference run.
"""

from __future__ import annotations

from mmrace.runtime.strategy import RoundRobin
from mmrace.strategies.contract import Draw, Profile


class RoundRobinSampler:
    """Hands out the fair strategy.

    Args: turn: ops that a task does before the next one's turn, >= 1.
    """

    profiled = False

    def __init__(self, turn: int = 1) -> None:
        self.turn = turn

    def strategy(self, draw: Draw, profile: Profile | None) -> RoundRobin:
        """Return the strategy of one run."""
        return RoundRobin(self.turn)
