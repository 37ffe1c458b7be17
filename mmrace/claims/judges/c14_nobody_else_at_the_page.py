"""Claim C14: buffer_migrate_page may be used only where the file system guarantees that nobody else is at the page.

Judged by what that has to come to, for ordered file data.  "C14": from the freeze to the last word copied, whoever else
touches data of either page, or where a buffer of the ring points, has the buffer's lock (or is its I/O).  "C14m": pages
of other mappings than files' never come to buffer_migrate_page with a ring.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at what others do to the data, and to b_page and b_data, of a page whose ring is being moved."""
    seen, found = scene(record), Instances()
    points = {lane: name for field in ("b_page", "b_data") for lane, name in record.lanes("BufferHead", field).items()}
    for migration in seen.migrations:
        if not (migration.copied and migration.ring):
            continue
        first = migration.at.get(Stage.FREEZE, migration.at[Stage.REPLACE])
        for op in seen.others(migration.task, first, migration.copy[1]):
            needed = _locks_for(seen, migration, points, op.lane)
            if not needed:
                continue
            found.test()
            if not any(_may_touch(seen, bh, op) for bh in needed):
                who, what = seen.who(op.task), record.lane_name(op.lane)
                title = f"{who} touches {what} without a buffer lock while {seen.who(migration.task)} moves the page"
                found.decide(title, op.step, task=who, object=what, **seen.facts(migration))
    return found


def _locks_for(seen: Scene, migration: Migration, points: dict[int, str], lane: int) -> list[str]:
    """Return the buffers of the ring of which an access of `lane` needs one's lock."""
    bh = points.get(lane)
    if bh is not None:
        return [bh] if bh in migration.ring else []
    word = seen.words.get(lane)
    return list(migration.ring) if word is not None and word[0] in (migration.page, migration.newpage) else []


def _may_touch(seen: Scene, buffer: str, op: Op) -> bool:
    """Say whether an op's task holds a buffer's lock, or is the I/O that the lock was handed to."""
    if seen.buffer_locked_by(buffer, op.step) == op.task:
        return True
    return any(s.buffer == buffer and s.io == op.task and s.step <= op.step <= s.end for s in seen.submits)


def check_mapping(record: Record) -> Instances:
    """Look at each page that was moved with its ring: is it a file's?"""
    seen, found = scene(record), Instances()
    slots = record.lanes("Slot", "page")
    for migration in seen.migrations:
        if not (migration.succeeded and migration.ring):
            continue
        found.test()
        slot = slots[migration.slot]
        if not slot.split(":")[1].isdigit():
            title = f"{seen.who(migration.task)} moves {migration.page} of {slot} with its ring"
            found.decide(title, migration.at[Stage.REPLACE], slot=slot, **seen.facts(migration))
    return found


CLAIM = Claim("C14", (
    Part(
        "C14", "who else is at a page that is being moved has the buffer's lock",
        "from the freeze to the last word copied, each access of another task to data of either page, or to b_page or "
        "b_data of the ring, is by the holder of BH_Lock or its I/O; instance: an access", check,
    ),
    Part(
        "C14m", "no page of a block device is moved with its ring",
        "the slot is one of a file's; instance: a page moved with its ring", check_mapping,
    ),
), untested="the commit after a write error (R14), and data=journal: not in these programs")  # fmt: skip
