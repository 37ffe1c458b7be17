"""Claim C18: a migratepage op that would have to block in async fails gracefully instead.

"C18" is that it does, "C18r" what was so before: async went to sleep for a buffer of a *clean* page, the slot showing
the new page already.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import BEFORE, expected_in
from mmrace.claims.judges.migration import Stage
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look for an asynchronous op that met a locked buffer and gave the page up, waiting for nothing."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.busy and Stage.LOCK_NEW in migration.at):
            continue
        found.test()
        if migration.refused and not migration.replaced and not any(seen.waits(migration)):
            step, buffer = migration.busy[0]
            title = f"{seen.who(migration.task)} finds {buffer} locked and gives {migration.page} up ({migration.rc})"
            found.decide(title, step, migration.end, buffer=buffer, **seen.facts(migration))
    return found


def check_before(record: Record) -> Instances:
    """Look for an asynchronous migration of a clean page that sleeps for a buffer, the slot being moved."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        locked = migration.at.get(Stage.LOCK_OLD)
        if not (migration.is_async and migration.busy) or locked is None or seen.dirty(migration.page, locked):
            continue
        found.test()
        slept = next((wait for wait in seen.waits(migration) if wait[1].endswith(".BH_Lock")), None)
        replaced = migration.at.get(Stage.REPLACE)
        if slept is not None and replaced is not None and replaced < slept[0]:
            who = seen.who(migration.task)
            title = f"{who} sleeps for {slept[1]} in MIGRATE_ASYNC: {migration.page} is clean, its slot shows another"
            found.decide(title, replaced, slept[0], object=slept[1], **seen.facts(migration))
    return found


_BLOCKS = "there is no mode argument: the buffers are locked by lock_buffer"

CLAIM = Claim("C18", (
    Part(
        "C18", "an op that would have to block in async fails gracefully",
        "an asynchronous op that finds a buffer locked refuses the page, with the slot as it was and without queueing; "
        "instance: such an op", check, exists=True, by_era=expected_in(BEFORE, "false", _BLOCKS),
    ),
    Part(
        "C18r", "before, async slept in lock_buffer, on clean pages",
        "an asynchronous attempt at a clean page queues for BH_Lock after it replaced the slot; instance: an attempt "
        "at a clean page that finds a buffer locked", check_before, exists=True, expected="false",
        by_era=expected_in(BEFORE, "holds", _BLOCKS),
    ),
))  # fmt: skip
