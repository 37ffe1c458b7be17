"""Strategy `round-robin`: fair turns of a fixed number of ops; no search at all.

Invariant: draws nothing, so that every schedule of a program is the same; for smoke tests and as a reference run.
"""

from __future__ import annotations

from mmrace.runtime.errors import UsageError
from mmrace.runtime.strategy import RoundRobin
from mmrace.strategies.contract import Options, Registered, Unprofiled


def sampler(options: Options) -> Unprofiled:
    """Make the sampler.  Option: turn: ops that a task does before the next one's turn.  Raises UsageError."""
    turn = int(options["turn"])
    if turn < 1:
        raise UsageError(expected="a turn >= 1", got=turn, where="round-robin:turn")
    return Unprofiled(lambda _: RoundRobin(turn))


STRATEGY = Registered("round-robin", "fair turns of `turn` ops; one schedule only", sampler, {"turn": 1})
