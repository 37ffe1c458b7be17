"""Counts of a run that every program has: ops, and switches between tasks."""

from __future__ import annotations

from operator import ne

from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record


def ops_and_switches(record: Record) -> tuple[int, int]:
    """Return how many events are ops, and how often the task changed from one to the next."""
    tasks = [event[0] for event in record.events if event[1] != NOTE]
    return len(tasks), sum(map(ne, tasks, tasks[1:]))
