"""Claim C13: SYNC_LIGHT blocks on most operations, but not on writepage."""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.kinds import KIND_MASK, QUEUE, SHIFT, TEST
from mmrace.runtime.record import Record

_TO_BE_WRITTEN = ("dirty", "writeout")
"""Reasons of a migration that stopped at a dirty page which its mapping cannot move."""


def _light(seen: Scene) -> list[Migration]:
    return [migration for migration in seen.migrations if migration.mode == "MIGRATE_SYNC_LIGHT"]


def check(record: Record) -> Instances:
    """Look at each SYNC_LIGHT attempt at a page that cannot be moved unwritten: did it write it, or wait for that?"""
    seen, found = scene(record), Instances()
    writeback = {lane: name for name, lane in seen.writeback.items()}
    for migration in _light(seen):
        met, wrong = migration.reason in _TO_BE_WRITTEN, None
        for step, _, op, a, _ in seen.mine(migration.task, migration.begin, migration.end):
            kind, lane = op & KIND_MASK, op >> SHIFT
            met |= kind == TEST and bool(a) and writeback.get(lane) == migration.page
            if kind == QUEUE and record.lane_name(lane) == f"{migration.page}.flags.PG_writeback.queue":
                wrong = wrong or (step, "waits for the writeback of")
        for submit in seen.submits:
            if submit.task == migration.task and migration.begin <= submit.step <= migration.end:
                wrong = wrong or (submit.step, "starts I/O to move")
        found.test(met or wrong is not None)
        if wrong is not None:
            title = f"{seen.who(migration.task)} {wrong[1]} {migration.page} in MIGRATE_SYNC_LIGHT"
            found.decide(title, wrong[0], **seen.facts(migration))
    return found


def check_blocks(record: Record) -> Instances:
    """Look for a SYNC_LIGHT migration that sleeps for a buffer, its new page being public."""
    seen, found = scene(record), Instances()
    for migration in _light(seen):
        if not (migration.replaced and migration.ring):
            continue
        found.test()
        for step, task, op, _, _ in seen.mine(migration.task, migration.at["replace"], migration.end):
            if op & KIND_MASK != QUEUE:
                continue
            what = record.lane_name(op >> SHIFT).removesuffix(".queue")
            if what.endswith(".BH_Lock"):
                title = f"{seen.who(task)} sleeps for {what}, {migration.newpage} being in the slot already"
                found.decide(title, migration.at["replace"], step, object=what, **seen.facts(migration))
                break
    return found


CLAIM = Claim("C13", (
    Part(
        "C13", "SYNC_LIGHT does not block on writepage",
        "no SYNC_LIGHT attempt submits I/O or queues for PG_writeback; instance: one that finds its page under "
        "writeback, or dirty and its mapping without an op", check,
    ),
    Part(
        "C13b", "... but on other things: on buffer locks, the new page being public",
        "a SYNC_LIGHT migration queues for BH_Lock after it replaced the slot; instance: a slot replaced", check_blocks,
        exists=True,
    ),
))  # fmt: skip
