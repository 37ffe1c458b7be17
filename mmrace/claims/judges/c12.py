"""Claim C12: in async a migratepage op does not block.

What waits shows by queueing.  An instance is a meeting with something that others wait for; an attempt that met nothing
proves nothing.  Beside the op the whole attempt is judged: page lock, buffer lock, writeback.  It may sleep on a mutex;
nothing keeps one so long in these casts that a record could show it.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.runtime.kinds import KIND_MASK, QUEUE, SHIFT, TEST, TEST_AND_SET
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each asynchronous op that met a locked buffer: did its task queue for anything?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        first = migration.at.get("lock new")
        if not (migration.is_async and migration.busy) or first is None:
            continue
        found.test()
        last = migration.at.get("unlock new", migration.end)
        for step, task, op, _, _ in seen.mine(migration.task, first, last):
            if op & KIND_MASK == QUEUE:
                what = record.lane_name(op >> SHIFT)
                title = f"{seen.who(task)} waits in the op on {what}"
                found.decide(title, step, object=what, **seen.facts(migration))
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
        met, waited = False, None
        for step, _, op, a, _ in seen.mine(migration.task, migration.begin, migration.end):
            kind, lane = op & KIND_MASK, op >> SHIFT
            met |= bool(a) and ((kind == TEST_AND_SET and lane in locks) or (kind == TEST and lane in writeback))
            if kind == QUEUE:
                name = record.lane_name(lane)
                if name.removesuffix(".queue").rpartition(".")[2] in ("PG_locked", "PG_writeback", "BH_Lock"):
                    waited = waited or (step, name)
        found.test(met or waited is not None)
        if waited is not None:
            title = f"{seen.who(migration.task)} waits for {waited[1].removesuffix('.queue')} in MIGRATE_ASYNC"
            found.decide(title, waited[0], object=waited[1], **seen.facts(migration))
    return found


CLAIM = Claim("C12", (
    Part(
        "C12", "in async the migratepage op does not block",
        "no task queues for anything from the lock of the target to its unlock; instance: an asynchronous op that "
        "finds a buffer locked", check,
    ),
    Part(
        "C12+", "nor does the rest of an async migration wait for page lock, buffer lock or writeback",
        "no task queues for PG_locked, BH_Lock or PG_writeback; instance: an asynchronous attempt that finds one set",
        check_attempt,
    ),
), untested="mutexes (i_mmap_mutex), on which async may sleep: nobody maps pages yet")  # fmt: skip
