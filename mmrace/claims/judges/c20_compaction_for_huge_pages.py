"""Claim C20: async compaction is used when huge pages are allocated, so as not to block for long.

Who allocates huge pages shows by the events that it counts (THP_FAULT_...).  "C20" is that such an allocation compacts
asynchronously, "C20b" that a second compaction, which may wait, follows, "C20r" what was wrong with that one: it waited
for writeback, and wrote pages, until it became SYNC_LIGHT.  Before 3.3 the failure of the first defers the second one,
unless something has set the count of deferrals off beat: an allocation that reclaim served, and that therefore asked
once where others ask twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmrace.claims.judges.c13_light_does_not_write import writes_or_waits
from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import WITHOUT_LIGHT, expected_in
from mmrace.claims.judges.scene import scene
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record

_FAULTED = ("THP_FAULT_ALLOC", "THP_FAULT_FALLBACK")


class _Compaction(NamedTuple):
    """A compaction began at `step`: by whom, and whether it may wait."""

    step: int
    task: int
    sync: bool


def _notes(record: Record, wanted: str) -> Iterator[tuple[int, int, tuple[object, ...]]]:
    """Yield the notes of a kind: step, task, facts."""
    for step in record.steps(NOTE):
        task, _, kind, facts = record.events[step]
        if kind == wanted:
            yield step, task, tuple(facts)


def allocators(record: Record) -> set[int]:
    """Return the tasks that fault for huge pages."""
    return {task for _, task, facts in _notes(record, "vm-event") if facts[0] in _FAULTED}


def _compactions(record: Record) -> list[_Compaction]:
    """Return the compactions of those who allocate huge pages."""
    wanted = allocators(record)
    return [
        _Compaction(step, task, bool(facts[1]))
        for step, task, facts in _notes(record, "compact-begin") if task in wanted
    ]  # fmt: skip


def _check(record: Record, sync: bool) -> Instances:
    """Look for an asynchronous, or a synchronous, compaction of who allocates huge pages."""
    found = Instances()
    for compaction in _compactions(record):
        found.test()
        if compaction.sync == sync:
            who, how = record.task_name(compaction.task), "may wait" if sync else "is asynchronous"
            found.decide(f"{who} compacts for a huge page, which {how}", compaction.step, task=who)
    return found


def check(record: Record) -> Instances:
    """Look for an asynchronous compaction of who allocates huge pages."""
    return _check(record, sync=False)


def check_second(record: Record) -> Instances:
    """Look for a compaction of who allocates huge pages that may wait."""
    return _check(record, sync=True)


def check_stall(record: Record) -> Instances:
    """Look for an allocation of a huge page that waits for writeback, or writes a page, in a migration."""
    seen, who = scene(record), allocators(record)
    return writes_or_waits(seen, [migration for migration in seen.migrations if migration.task in who])


CLAIM = Claim("C20", (
    Part(
        "C20", "async compaction is used when huge pages are allocated",
        "a task that counts THP faults begins an asynchronous compaction; instance: a compaction of such a task", check,
        exists=True,
    ),
    Part(
        "C20b", "and a compaction that may wait, if that was in vain",
        "a task that counts THP faults begins a synchronous compaction; instance: a compaction of such a task",
        check_second, exists=True,
    ),
    Part(
        "C20r", "which made an allocation wait for writeback, or write pages itself",
        "such a task queues for PG_writeback or submits I/O in a migration; instance: a migration of such a task that "
        "finds its page under writeback, or dirty and its mapping without an op", check_stall, exists=True,
        expected="false", by_era=expected_in(WITHOUT_LIGHT, "holds", "what is not async is MIGRATE_SYNC"),
    ),
))  # fmt: skip
