"""Counts of what a run did, from its record: migrations tried, moved, refused by reason; commits, writebacks, reclaims.

"Did the torture happen?" is answered from here.  Invariant: counts come from the record's notes only, so that they can
be had again from a saved one.
"""

from __future__ import annotations

from collections import Counter
from operator import ne

from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.scenarios.workload import order_kept


def counters(record: Record) -> dict[str, int]:
    """Return the run's counts; "ops" are events that are no notes, "switches" changes of task between them."""
    count: Counter[str] = Counter()
    begun: list[int] = []
    for step in record.steps(NOTE):
        _, _, kind, facts = record.events[step]
        if kind == "migrate-end":
            count["migrations.tried"] += 1
            rc, reason = facts[3], facts[4]
            count[f"migrations.{reason}" if rc == "0" else f"migrations.refused.{reason}"] += 1  # moved, freed
        elif kind == "commit-end":
            count["commits"] += 1
        elif kind == "writeback-end":
            count["writebacks"] += 1
        elif kind == "reclaim":
            count[f"reclaims.{facts[1]}"] += 1
        elif kind == "workload-begin":
            begun.append(facts[0])
        elif kind == "workload-recorded":
            count[f"workload.{facts[0]}.recorded"] += facts[1]
        elif kind == "workload-end":
            count[f"workload.{facts[1]}.performed"] += 1
        elif kind == "workload-pairs":
            kept, pairs = order_kept(begun, facts[0])
            count["workload.pairs"] += pairs
            count["workload.pairs_kept"] += kept
    tasks = [event[0] for event in record.events if event[1] != NOTE]
    count["ops"] = len(tasks)
    count["switches"] = sum(map(ne, tasks, tasks[1:]))
    return dict(count)
