"""Whether a run had anything to interleave: two tasks that both had something to do, in no order fixed before.

What only spawns, joins, draws or yields does nothing that another task could meet.  A program may know before a run
that nobody meets anybody, whatever a set-up under `free` does meanwhile.  Invariant: the same answer for every engine,
as a function of program and record; what locks and wakes enforce is no fixed order, since it is what is tested.
"""

from __future__ import annotations

from mmrace.runs.program import Program
from mmrace.runs.segments import Segment, Segments
from mmrace.runtime.kinds import JOIN, KIND_MASK, NOTE, OF_LIFE, SPAWN, YIELD
from mmrace.runtime.record import Record


def why_alone(program: Program, record: Record) -> str:
    """Say why nothing could be interleaved in a run, and what to try; "" if something could."""
    why = program.lonely()
    if not why:
        if exercised(record):
            return ""
        why = "no two tasks had something to do that could come in either order"
    return f"no interleaving was exercised: {why}; try: {program.company()}"


def exercised(record: Record) -> bool:
    """Say whether two tasks did something, in the explored part, that could have come in another order."""
    first, end = record.header.get("explored") or (0, len(record.events))
    segments = Segments()
    done: set[Segment] = set()
    step = -1
    for task, op, a, _ in record.events:
        if op == NOTE:
            continue
        step += 1
        kind = op & KIND_MASK
        if OF_LIFE >> kind & 1:
            segments.met(task, kind, a if kind in (SPAWN, JOIN) else None)
        elif first <= step < end and kind != YIELD:
            here = segments.now(task)
            if here not in done:
                if any(segments.free(here, other) for other in done):
                    return True
                done.add(here)
    return False
