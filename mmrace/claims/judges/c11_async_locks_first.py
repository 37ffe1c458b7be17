"""Claim C11: async locks the buffers before it moves the mapping; afterwards there is no way back without waiting.

"C11" is the order, "C11b" the way back that it leaves open, "C11r" the reason why the way is closed afterwards.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import BEFORE, expected_in
from mmrace.claims.judges.migration import Stage
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each slot that an asynchronous migration replaced: were all buffers of the ring locked before?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.replaced and migration.ring):
            continue
        found.test()
        step = migration.at[Stage.REPLACE]
        free = [bh for bh in migration.ring if seen.buffer_locked_by(bh, step) != migration.task]
        if free:
            who = seen.who(migration.task)
            title = f"{who} replaces {migration.page} by {migration.newpage} with {', '.join(free)} not locked"
            found.decide(title, step, not_locked=list(free), **seen.facts(migration))
    return found


def check_back_out(record: Record) -> Instances:
    """Look at each asynchronous attempt that met a locked buffer: had it replaced the slot by then?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.busy):
            continue
        found.test()
        step, buffer = migration.busy[0]
        if migration.at.get(Stage.REPLACE, step) < step:
            who = seen.who(migration.task)
            title = f"{who} finds {buffer} locked after it replaced {migration.page} in its slot"
            found.decide(title, migration.at[Stage.REPLACE], step, buffer=buffer, **seen.facts(migration))
    return found


def check_reason(record: Record) -> Instances:
    """Look for a reference that somebody takes to the new page of an asynchronous migration before it is unlocked."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.replaced and migration.newpage is not None):
            continue
        found.test()
        for op in seen.on(seen.count.get(migration.newpage, -1), *migration.published):
            if op.task != migration.task and op.gets:
                who = seen.who(op.task)
                title = f"{who} has a reference to {migration.newpage} at once: to move the slot back would be to wait"
                found.decide(title, op.step, task=who, count=op.new_count, **seen.facts(migration))
                break
    return found


_LATER = expected_in(BEFORE, "false", "buffers are locked after the slot was replaced, whatever the caller said")

CLAIM = Claim("C11", (
    Part(
        "C11", "async locks every buffer before it moves the mapping",
        "when an asynchronous migration replaces the slot it holds BH_Lock of each buffer of the ring; instance: a "
        "slot replaced", check, by_era=_LATER,
    ),
    Part(
        "C11b", "so that a locked buffer is met while there is a way back",
        "no asynchronous attempt that finds a buffer locked has replaced the slot; instance: one that finds one locked",
        check_back_out, by_era=_LATER,
    ),
    Part(
        "C11r", "because afterwards others may hold references to the new page",
        "somebody takes a reference to the new page before the migrator unlocks it; instance: a slot replaced",
        check_reason, exists=True,
    ),
))  # fmt: skip
