"""Claim C13: SYNC_LIGHT blocks on most operations, but not on writepage.

"C13" is what it does not block on, "C13b" that it blocks on something.
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import WITHOUT_LIGHT, expected_in
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.kinds import QUEUE, TEST
from mmrace.runtime.record import Record

_TO_BE_WRITTEN = ("dirty", "writeout")
"""Reasons of a migration that stopped at a dirty page which its mapping cannot move."""


def _light(seen: Scene) -> list[Migration]:
    return [migration for migration in seen.migrations if migration.is_light]


def check(record: Record) -> Instances:
    """Look at each SYNC_LIGHT attempt at a page that cannot be moved unwritten: did it write it, or wait for that?"""
    return writes_or_waits(scene(record), _light(scene(record)))


def writes_or_waits(seen: Scene, migrations: Iterable[Migration]) -> Instances:
    """Look at these attempts at pages that cannot be moved unwritten: did they write them, or wait for that?"""
    found, record = Instances(), seen.record
    writeback = {lane: name for name, lane in seen.writeback.items()}
    for migration in migrations:
        met, wrong = migration.reason in _TO_BE_WRITTEN, None
        for op in seen.mine(migration.task, migration.begin, migration.end):
            met |= op.kind == TEST and op.was_set and writeback.get(op.lane) == migration.page
            if op.kind == QUEUE and record.lane_name(op.lane) == f"{migration.page}.flags.PG_writeback.queue":
                wrong = wrong or (op.step, "waits for the writeback of")
        for submit in seen.submits:
            if submit.task == migration.task and migration.begin <= submit.step <= migration.end:
                wrong = wrong or (submit.step, "starts I/O to move")
        found.test(met or wrong is not None)
        if wrong is not None:
            title = f"{seen.who(migration.task)} {wrong[1]} {migration.page} in {migration.mode}"
            found.decide(title, wrong[0], **seen.facts(migration))
    return found


def check_blocks(record: Record) -> Instances:
    """Look for a SYNC_LIGHT migration that sleeps for a buffer, its new page being public."""
    seen, found = scene(record), Instances()
    for migration in _light(seen):
        if not (migration.replaced and migration.ring):
            continue
        found.test()
        replaced = migration.at[Stage.REPLACE]
        for op in seen.mine(migration.task, replaced, migration.end):
            if op.kind != QUEUE:
                continue
            what = record.lane_name(op.lane).removesuffix(".queue")
            if what.endswith(".BH_Lock"):
                title = f"{seen.who(op.task)} sleeps for {what}, {migration.newpage} being in the slot already"
                found.decide(title, replaced, op.step, object=what, **seen.facts(migration))
                break
    return found


_NO_SUCH_MODE = expected_in(WITHOUT_LIGHT, "nothing", "there is no such mode yet")

CLAIM = Claim("C13", (
    Part(
        "C13", "SYNC_LIGHT does not block on writepage",
        "no SYNC_LIGHT attempt submits I/O or queues for PG_writeback; instance: one that finds its page under "
        "writeback, or dirty and its mapping without an op", check, by_era=_NO_SUCH_MODE,
    ),
    Part(
        "C13b", "... but on other things: on buffer locks, the new page being public",
        "a SYNC_LIGHT migration queues for BH_Lock after it replaced the slot; instance: a slot replaced", check_blocks,
        exists=True, by_era=_NO_SUCH_MODE,
    ),
))  # fmt: skip
