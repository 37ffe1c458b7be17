"""Claim C9: private_lock would add protection, but nobody is known to need it.

Judged: is there anybody who, with private_lock but without the page lock, touches the pointers between a page and its
ring while a migration moves them?  That would be the case that the claim does not know.  A meeting is an instance: a
section under private_lock of the mapping whose page is just being moved.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.holds import Span
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.record import Record

_RING = (("Page", "private"), ("BufferHead", "b_page"), ("BufferHead", "b_data"), ("BufferHead", "b_this_page"))


def check(record: Record) -> Instances:
    """Look at each section under private_lock that overlaps an attempt at a page of the same mapping."""
    seen, found = scene(record), Instances()
    locks = record.lanes("AddressSpace", "private_lock")
    of_tree = {name: lane for lane, name in locks.items()}
    trees = record.lanes("AddressSpace", "tree_lock")
    ring = {lane: name for field in _RING for lane, name in record.lanes(*field).items()}
    ring |= record.bit_lane("Page", "flags", "PG_private")
    for migration in seen.migrations:
        lane = of_tree.get(trees.get(migration.tree_lock, ""), -1)
        first = migration.at.get(Stage.LOCK_OLD)
        if first is None:
            continue
        for span in seen.holds.overlapping(lane, first, migration.over):
            if span.task == migration.task:
                continue
            found.test()
            touch = _first_touch(seen, migration, ring, span)
            if touch is not None:
                who, what = seen.who(span.task), record.lane_name(touch.lane)
                title = f"{who}, with private_lock only, touches {what} while {seen.who(migration.task)} moves it"
                found.decide(title, span.start, touch.step, task=who, object=what, **seen.facts(migration))
    return found


def _first_touch(seen: Scene, migration: Migration, ring: dict[int, str], section: Span) -> Op | None:
    """Return the first touch of the moved pages' rings in a section, from the freeze to the unlock of the target."""
    if not migration.replaced or not migration.ring:
        return None
    moved = {migration.page, migration.newpage, *migration.ring}
    replaced, public = migration.published
    first = max(section.start, migration.at.get(Stage.FREEZE, replaced))
    return next(
        (op for op in seen.mine(section.task, first, min(section.end, public)) if ring.get(op.lane) in moved), None
    )


CLAIM = Claim("C9", (
    Part(
        "C9", "nobody needs migration to take private_lock",
        "no task with private_lock touches PG_private, private, b_page, b_data or b_this_page of pages and buffers "
        "that are being moved; instance: a section under private_lock of a mapping of which a page is being moved",
        check,
    ),
), untested="the case that is known needs a device mapping with its own op, from 5.0 on")  # fmt: skip
