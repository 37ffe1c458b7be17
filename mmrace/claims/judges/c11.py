"""Claim C11: async locks the buffers before it moves the mapping; afterwards there is no way back without waiting."""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.runtime.kinds import GET, GET_UNLESS_ZERO, KIND_MASK, SHIFT
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each slot that an asynchronous migration replaced: were all buffers of the ring locked before?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.replaced and migration.ring):
            continue
        found.test()
        step = migration.at["replace"]
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
        if migration.at.get("replace", step) < step:
            who = seen.who(migration.task)
            title = f"{who} finds {buffer} locked after it replaced {migration.page} in its slot"
            found.decide(title, migration.at["replace"], step, buffer=buffer, **seen.facts(migration))
    return found


def check_reason(record: Record) -> Instances:
    """Look for a reference that somebody takes to the new page of an asynchronous migration before it is unlocked."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and migration.replaced and migration.newpage is not None):
            continue
        found.test()
        lane, last = seen.count.get(migration.newpage, -1), migration.at.get("unlock new", migration.end)
        for step, task, op, _, count in seen.others(migration.task, migration.at["replace"], last):
            if op >> SHIFT == lane and op & KIND_MASK in (GET, GET_UNLESS_ZERO) and count:
                who = seen.who(task)
                title = f"{who} has a reference to {migration.newpage} at once: to move the slot back would be to wait"
                found.decide(title, step, task=who, count=int(count), **seen.facts(migration))
                break
    return found


CLAIM = Claim("C11", (
    Part(
        "C11", "async locks every buffer before it moves the mapping",
        "when an asynchronous migration replaces the slot it holds BH_Lock of each buffer of the ring; instance: a "
        "slot replaced", check,
    ),
    Part(
        "C11b", "so that a locked buffer is met while there is a way back",
        "no asynchronous attempt that finds a buffer locked has replaced the slot; instance: one that finds one locked",
        check_back_out,
    ),
    Part(
        "C11r", "because afterwards others may hold references to the new page",
        "somebody takes a reference to the new page before the migrator unlocks it; instance: a slot replaced",
        check_reason, exists=True,
    ),
))  # fmt: skip
