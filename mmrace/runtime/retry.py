"""The retry construct: a loop that repeats because nothing changed.

``for _ in until_changed():`` runs its first turn at once; a further turn is disabled until an object that the last
turn read was written by another task since (under `free` it spins with a pause).  So a lookup against a frozen count
costs one turn per change instead of one per instruction, and a retry that nobody can end is a deadlock, not a livelock.
Invariant: the loop body leaves by return or break; it holds no lock at the end of a turn.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.runtime import live
from mmrace.runtime.kinds import RETRY


def until_changed() -> Iterator[int]:
    """Yield the number of the turn, 0, 1, ...  Point: always, before every turn but the first."""
    engine = live.engine
    task = engine.current()
    assert task.exit_gate is not None
    code = task.exit_gate.code + RETRY
    turn = 0
    while True:
        since = engine.position(task)
        yield turn
        turn += 1
        task = engine.retry_point(task, since, code)
        task.log((task.id, code, turn, None))
