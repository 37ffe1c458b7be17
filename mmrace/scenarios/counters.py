"""Counts of what the actors did, from a run's record: migrations tried, moved, refused by reason; commits, reclaims.

"Did the torture happen?" is answered from here.  Invariant: counts come from the record's notes only, so that they can
be had again from a saved one.
"""

from __future__ import annotations

from collections import Counter

from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.scenarios.workload import order_kept


def counters(record: Record) -> dict[str, int]:
    """Return the run's counts, those that are not zero."""
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
        elif kind == "vm-event":
            count[f"vm.{facts[0]}"] += facts[1]
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
    return dict(count)
