"""Ops, events and sets of tasks in words, the same from a live record and from a file.

Invariant: objects and tasks are shown by name, never by number or address, so that two records of the same run read
alike.  `same_event` says what two of them must share to be the same.
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Event, Record


def plain(value: Any) -> Any:
    """Return an outcome with names for objects, the same from a live record and from a file."""
    named = Record.name(value)
    return list(named) if isinstance(named, tuple) else named


def same_event(event: Event, want: Event) -> bool:
    """Say whether two events are of the same task and op and have the same outcome; lanes by number."""
    return bool(event[:2] == want[:2] and plain(event[2]) == plain(want[2]) and plain(event[3]) == plain(want[3]))


def op_text(op: int, record: Record) -> str:
    """Show an op: "READ box:0.x"."""
    return f"{Kind(op & KIND_MASK).name} {record.lane_name(op >> SHIFT)}"


def event_text(event: Event, record: Record) -> str:
    """Show an event with its task and outcome."""
    name = record.task_name(event[0]) if event[0] < len(record.tasks) else f"task {event[0]}"
    outcome = ", ".join(str(plain(value)) for value in event[2:4] if value is not None)
    what = "NOTE" if event[1] == NOTE else op_text(event[1], record)
    return f"{name}: {what}" + (f" -> {outcome}" if outcome else "")


def enabled_text(mask: int, record: Record) -> str:
    """Show a set of enabled tasks."""
    known = {int(task["id"]): str(task["name"]) for task in record.tasks}
    names = [known.get(i, f"task {i}") for i in range(mask.bit_length()) if mask >> i & 1]
    return "enabled {" + ", ".join(names) + "}"
