"""Whether a run had anything to interleave: two tasks that met on an object, in no order fixed before.

What only spawns, joins, draws or yields, reads what nobody changes, or keeps to objects of its own does nothing that
another task could meet: in every order it comes out the same, and its PASS would say nothing.  A program may know
before a run that nobody meets anybody, whatever a set-up under `free` does meanwhile.  Invariant: the same answer for
every engine, as a function of program and record; what locks and wakes enforce is no fixed order, since it is what is
tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mmrace.runs.program import Program
from mmrace.runs.segments import Segment, Segments
from mmrace.runtime.kinds import JOIN, KIND_MASK, NOTE, OF_LIFE, SHIFT, SPAWN, YIELD
from mmrace.runtime.record import Record

Uses: TypeAlias = dict[Segment, int]
"""Who used something -> 1 if that may have changed it, else 0."""


def why_alone(program: Program, record: Record) -> str:
    """Say why nothing could be interleaved in a run, and what to try; "" if something could."""
    why = program.lonely()
    if not why:
        if exercised(record):
            return ""
        why = "no two tasks had something to do with one object, to change it, that could come in either order"
    return f"no interleaving was exercised: {why}; try: {program.company()}"


def exercised(record: Record) -> bool:
    """Say whether two tasks used one object in the explored part, one of them to change it, in no fixed order."""
    first, end = record.header.get("explored") or (0, len(record.events))
    segments = Segments()
    uses: dict[int, Uses] = {}  # of each lane
    known: set[tuple[int, int]] = set()  # ops of tasks that are still in the segment in which they were looked at
    step = -1
    for task, op, a, _ in record.events:
        if op == NOTE:
            continue
        step += 1
        kind = op & KIND_MASK
        if OF_LIFE >> kind & 1:
            segments.met(task, kind, a if kind in (SPAWN, JOIN) else None)
            known.clear()
        elif (task, op) not in known and first <= step < end and kind != YIELD:
            known.add((task, op))
            here, changes = segments.now(task), kind & 1
            lane = uses.setdefault(op >> SHIFT, {})
            if lane.get(here, -1) < changes:
                if _meets(here, changes, lane, segments):
                    return True
                lane[here] = changes
    return _on_one_object(record, uses, segments)


def _meets(here: Segment, changes: int, uses: Uses, segments: Segments) -> bool:
    """Say whether a use could have come before or after another, and the order may matter."""
    return any((changes or other) and segments.free(here, there) for there, other in uses.items())


def _on_one_object(record: Record, uses: Mapping[int, Uses], segments: Segments) -> bool:
    """Say whether two tasks met on an object, though on none of its lanes: on a flag and its whole word, say."""
    objects: dict[int, Uses] = {}
    for number, users in uses.items():
        there = objects.setdefault(record.first_lane(number), {})
        for here, changes in users.items():
            if _meets(here, changes, there, segments):
                return True
            there[here] = max(there.get(here, 0), changes)
    return False
