"""What one task changed by its own ops, over a stretch of a record: per lane, taken together.

Others may change the same objects meanwhile, so that the state before and the state after say nothing of one task; what
its own ops come to does.  Invariant: a lane on which its ops undo each other is not mentioned.  Not here: whether a
change is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.claims.judges.ops import Op
from mmrace.runtime.kinds import CLEARS, FREEZE, GET, GET_UNLESS_ZERO, PUT, SETS, STORE, UNFREEZE, WRITE
from mmrace.runtime.record import Record


def own_effects(ops: Iterable[Op], lanes: Iterable[int]) -> dict[int, str]:
    """Return what ops of one task came to, by lane: "+1" of a count, "set", "cleared", "page:0 -> page:1"."""
    wanted = frozenset(lanes)
    sums: dict[int, int] = {}
    bits: dict[int, int] = {}
    values: dict[int, tuple[object, object]] = {}
    for op in ops:
        if op.lane not in wanted:
            continue
        if op.kind in SETS or op.kind in CLEARS:
            bits[op.lane] = bits.get(op.lane, 0) + _turned(op)
        elif op.kind in (WRITE, STORE):
            values[op.lane] = (values.get(op.lane, (op.old,))[0], op.new)
        else:
            sums[op.lane] = sums.get(op.lane, 0) + _counted(op)
    found = {lane: f"{n:+d}" for lane, n in sums.items() if n}
    found |= {lane: "set" if n > 0 else "cleared" for lane, n in bits.items() if n}
    for lane, (old, new) in values.items():
        if Record.name(old) != Record.name(new):
            found[lane] = f"{Record.name(old)} -> {Record.name(new)}"
    return found


def _turned(op: Op) -> int:
    """Return 1 for a bit that was set, -1 for one that was cleared, 0 if it was so before."""
    if op.kind in SETS:
        return 0 if op.was_set else 1
    return -1 if op.was_set else 0


def _counted(op: Op) -> int:
    """Return by how much an op changed a count."""
    if op.kind in (GET, GET_UNLESS_ZERO):
        return int(op.gets)
    if op.kind == PUT:
        return -1
    if op.kind == FREEZE:
        return -int(op.a) if op.frozen else 0
    return op.stored if op.kind == UNFREEZE else 0
