"""Claim C15: what the patch is for: dirty pages with buffers, which async did not move before, and moves since.

"C15" is what was so before, "C15+" what is so since, "C15b" the condition under which it was asked for: none of those
moves waits for a page lock, a buffer lock or writeback.  A page counts as dirty if PG_dirty was set when the migrator
locked it.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import BEFORE, expected_in
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record


def _check(record: Record, without_wait: bool) -> Instances:
    """Look at each asynchronous attempt at a dirty page with buffers: did it move the page (and wait for nothing)?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and seen.dirty_with_buffers(migration)):
            continue
        found.test()
        if migration.succeeded and not (without_wait and any(seen.waits(migration))):
            how = ", waiting for nothing" if without_wait else ""
            title = f"{seen.who(migration.task)} moves {migration.page}, dirty with {len(migration.had)} buffers{how}"
            found.decide(title, migration.begin, migration.end, **seen.facts(migration))
    return found


def check(record: Record) -> Instances:
    """Look for a dirty page with buffers that an asynchronous migration moved."""
    return _check(record, without_wait=False)


def check_since(record: Record) -> Instances:
    """Look for one that was moved without waiting."""
    return _check(record, without_wait=True)


def check_waits(record: Record) -> Instances:
    """Look at each asynchronous move of a dirty page with buffers: did its task queue for a lock or for writeback?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.succeeded and seen.dirty_with_buffers(migration)):
            continue
        found.test()
        waited = next(seen.waits(migration), None)
        if waited is not None:
            title = f"{seen.who(migration.task)} waits for {waited[1]} to move {migration.page}, which is dirty"
            found.decide(title, waited[0], object=waited[1], **seen.facts(migration))
    return found


_SKIPPED = "a dirty page is refused with -EBUSY before its op is called"

CLAIM = Claim("C15", (
    Part(
        "C15", "async moves no dirty page with buffers",
        "no asynchronous attempt that locked a file's page with buffers and PG_dirty moves it; instance: such an "
        "attempt", check, expected="false", by_era=expected_in(BEFORE, "holds", _SKIPPED),
    ),
    Part(
        "C15+", "since the patch it moves some, without ever waiting",
        "an asynchronous attempt at a dirty page with buffers moves it and queues for no page lock, buffer lock or "
        "writeback; instance: an attempt at such a page", check_since, exists=True,
        by_era=expected_in(BEFORE, "false", _SKIPPED),
    ),
    Part(
        "C15b", "and none of these moves waits",
        "no task queues for PG_locked, BH_Lock or PG_writeback; instance: a dirty page with buffers that an "
        "asynchronous migration moved", check_waits, by_era=expected_in(BEFORE, "nothing", "there is no such move"),
    ),
))  # fmt: skip
