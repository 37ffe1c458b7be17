"""Claim C12: in async a migratepage op does not block.

Who waits shows by queueing.  An instance is a meeting with something that others wait for; an attempt that met nothing
proves nothing.  "C12" judges the op, "C12+" the whole attempt: page lock, buffer lock, writeback.  An attempt may sleep
on a mutex, which a record does not show: who waits for one has no step until it has it.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import BEFORE, expected_in
from mmrace.claims.judges.migration import Stage
from mmrace.claims.judges.scene import scene
from mmrace.runtime.kinds import QUEUE, TEST, TEST_AND_SET
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each asynchronous op that met a locked buffer: did its task queue for anything?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        first = migration.at.get(Stage.LOCK_NEW)
        if not (migration.is_async and migration.busy) or first is None:
            continue
        found.test()
        last = migration.at.get(Stage.UNLOCK_NEW, migration.end)
        for op in seen.mine(migration.task, first, last):
            if op.kind == QUEUE:
                what = record.lane_name(op.lane)
                title = f"{seen.who(op.task)} waits in the op on {what}"
                found.decide(title, op.step, object=what, **seen.facts(migration))
                break
    return found


def check_attempt(record: Record) -> Instances:
    """Look at each asynchronous attempt that met a lock or writeback of others: did its task queue for it?"""
    seen, found = scene(record), Instances()
    locks = {*seen.page_lock.values(), *seen.buffer_lock.values()}
    writeback = set(seen.writeback.values())
    for migration in seen.migrations:
        if not migration.is_async:
            continue
        met, waited = False, next(seen.waits(migration), None)
        for op in seen.mine(migration.task, migration.begin, migration.end):
            if (op.kind == TEST_AND_SET and op.lane in locks) or (op.kind == TEST and op.lane in writeback):
                met |= op.was_set
        found.test(met or waited is not None)
        if waited is not None:
            step, what = waited
            title = f"{seen.who(migration.task)} waits for {what} in MIGRATE_ASYNC"
            found.decide(title, step, object=what, **seen.facts(migration))
    return found


_BLOCKS = expected_in(BEFORE, "false", "the op is not told who calls, and locks buffers by lock_buffer")

CLAIM = Claim("C12", (
    Part(
        "C12", "in async the migratepage op does not block",
        "no task queues for anything from the lock of the target to its unlock; instance: an asynchronous op that "
        "finds a buffer locked", check, by_era=_BLOCKS,
    ),
    Part(
        "C12+", "nor does the rest of an async migration wait for page lock, buffer lock or writeback",
        "no task queues for PG_locked, BH_Lock or PG_writeback; instance: an asynchronous attempt that finds one set",
        check_attempt, by_era=_BLOCKS,
    ),
), untested="mutexes (i_mmap_mutex), on which async may sleep: a record does not tell who waited for one")  # fmt: skip
