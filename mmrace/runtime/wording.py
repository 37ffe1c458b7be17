"""Ops, events and sets of tasks in words, the same from a live record and from a file.

Invariant: objects and tasks are shown by name, never by number or address, so that two records of the same run read
alike; both fields of an outcome are shown; a text stays on one line, whatever a name has in it.
`same_event` says what two events must share to be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Event, Record
from mmrace.runtime.visible import one_line

ARROW = "➜"
_LOOKS = (Kind.READ, Kind.TEST, Kind.COUNT, Kind.LOAD)
_ON_A_LANE = ("hand-over", "rename", "retire")
"""Notes of the runtime whose first fact is a lane."""
_BITS = (Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR)


def plain(value: Any) -> Any:
    """Return an outcome with names for objects, the same from a live record and from a file."""
    named = Record.name(value)
    return list(named) if isinstance(named, tuple) else named


def same_event(event: Event, want: Event) -> bool:
    """Say whether two events are of the same task and op and have the same outcome; lanes by number."""
    return bool(event[:2] == want[:2] and plain(event[2]) == plain(want[2]) and plain(event[3]) == plain(want[3]))


def op_text(op: int, record: Record) -> str:
    """Show an op: "read page:0.mapping"."""
    return one_line(f"{Kind(op & KIND_MASK).name.lower()} {record.lane_name(op >> SHIFT)}")


def outcome_text(kind: Kind, a: object, b: object) -> str:
    """Show what an op did: looks as `➜ value`, writes as `= new (was old)`, tries by their success."""
    if kind in _LOOKS:
        return f"{ARROW} {a}"
    if kind in (Kind.WRITE, Kind.STORE):
        return f"= {b} (was {a})"
    if kind in _BITS:
        return ("was set" if a else "was clear") + (f" ({b})" if b is not None else "")
    if kind in (Kind.GET, Kind.PUT):
        return f"{a} {ARROW} {b}"
    if kind == Kind.ADD:
        return f"{a:+d} {ARROW} {b}"
    if kind == Kind.GET_UNLESS_ZERO:
        return f"{a} {ARROW} {b}" if b else f"{a}: refused, count is 0"
    if kind == Kind.FREEZE:
        return f"{a} {ARROW} 0" if b else f"refused, count is not {a}"
    if kind == Kind.UNFREEZE:
        return f"= {a}" + (f", {b} dropped" if b else "")
    if kind == Kind.TRY:
        return "taken" if a else "busy"
    if kind == Kind.EXIT:
        return f"holds {', '.join(map(str, a))}" if a and isinstance(a, list | tuple) else ""
    if kind == Kind.CHOOSE:
        return f"{b} out of {a}"
    return " ".join(str(part) for part in (a, b) if part is not None)


def deed_text(event: Event, record: Record) -> str:
    """Show what an event says of its task: "read page:0.mapping ➜ inode:1", or "-- round writer 3" for a note."""
    _, op, a, b = event
    if op == NOTE:
        facts = [record.lane_name(b[0]), *b[1:]] if a in _ON_A_LANE and b and isinstance(b[0], int) else b
        return one_line(" ".join(["--", str(a), *(_fact(plain(fact)) for fact in facts)]))
    kind = Kind(op & KIND_MASK)
    outcome = _others(kind, a, b, record) or outcome_text(kind, plain(a), plain(b))
    return one_line(f"{op_text(op, record)} {outcome}".rstrip())


def _fact(fact: object) -> str:
    """Write a fact of a note; of a violation those by name: "(task migrator, object bh:1)"."""
    if not isinstance(fact, Mapping):
        return str(fact)
    return f"({', '.join(f'{key} {value}' for key, value in fact.items())})" if fact else ""


def _others(kind: Kind, a: Any, b: Any, record: Record) -> str:
    """Name the tasks that an op tells of by their ids; "" for an op that does not."""
    if kind == Kind.WAKE:
        return f"{ARROW} {', '.join(_task(number, record) for number in b or ()) or 'nobody'}"
    if kind in (Kind.SPAWN, Kind.JOIN) and isinstance(a, int):
        return f"{ARROW} {_task(a, record)}"
    return ""


def _task(number: int, record: Record) -> str:
    return record.task_name(number) if 0 <= number < len(record.tasks) else f"task {number}"


def event_text(event: Event, record: Record) -> str:
    """Show an event with its task: "migrator: read page:0.mapping ➜ inode:1"."""
    return f"{one_line(_task(event[0], record))}: {deed_text(event, record)}"


def enabled_text(mask: int, record: Record) -> str:
    """Show a set of enabled tasks."""
    known = {int(task["id"]): str(task["name"]) for task in record.tasks}
    names = [known.get(i, f"task {i}") for i in range(mask.bit_length()) if mask >> i & 1]
    return one_line("enabled {" + ", ".join(names) + "}")
