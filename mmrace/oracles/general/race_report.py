"""The finding of a data race: both sides, each with its task, op, site, values and the locks that it held.

Invariant: the points of a finding are the field and the two code points, so that one bug is one signature whatever the
schedule.  Not here: which accesses race (`data_race.py`).
"""

from __future__ import annotations

from mmrace.oracles.general import lock_order
from mmrace.oracles.general.judgement import Evidence, Fact, kind_of, signature
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.record import Record


def add(record: Record, evidence: Evidence, rule: str, first: int, second: int) -> None:
    """Add the race of the accesses at two steps; of each pair of code points only the first is told."""
    name = record.lane_name(record.events[first][1] >> SHIFT)
    points = [name, _point(record, first), _point(record, second)]
    if signature(evidence.oracle, rule, points) in evidence.findings:
        evidence.add(rule, "", points)
        return
    sides = [_side(record, first), _side(record, second)]
    said = " and ".join(f"{side['task']} {_DEEDS[str(side['op'])]}{_at(side['site'])}" for side in sides)
    evidence.add(
        rule,
        f"{name}: {said}, in no order",
        points,
        object=name,
        sides=sides,
        step=second,
    )


_DEEDS = {
    "READ": "reads it",
    "WRITE": "writes it",
    "STORE": "stores it whole",
    "SET": "sets a bit",
    "CLEAR": "clears a bit",
    "TEST_AND_SET": "sets a bit",
    "TEST_AND_CLEAR": "clears a bit",
}


def _at(site: Fact) -> str:
    return f" at {site}" if site else ""


def _point(record: Record, step: int) -> str:
    task, op, _, _ = record.events[step]
    site = record.sites[step] if record.sites else None
    return f"{kind_of(record.task_name(task))} {Kind(op & KIND_MASK).name} {site or ''}"


def _side(record: Record, step: int) -> dict[str, Fact]:
    """Tell one access.  `old` and `new` are the word before and after; of a read only `new`, of a bit only `old`."""
    task, op, a, b = record.events[step]
    kind = Kind(op & KIND_MASK)
    old, new = (None, a) if kind is Kind.READ else (a, b)
    return {
        "task": record.task_name(task),
        "op": kind.name,
        "object": record.lane_name(op >> SHIFT),
        "step": step,
        "site": record.sites[step] if record.sites else None,
        "old": _fact(record.name(old)),
        "new": _fact(record.name(new)),
        "locks": list(lock_order.held_at(record, step)),
    }


def _fact(value: object) -> Fact:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
