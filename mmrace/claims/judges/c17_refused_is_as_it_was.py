"""Claim C17: a page that could not be moved is as it was (I12), and nobody met the one that was to replace it.

Judged by the migrator's own ops from the lock of the page to the end of the attempt: what they come to on the page, on
its buffers, on slots and on the target has to be nothing.  What others do meanwhile is theirs.  Not judged: an attempt
that wrote the page, stripped it of its buffers or asked its file system to let go of them, which it says (`writeout`,
`truncated`, `releasepage`); one that took ptes away, which may change the page's dirt, and which others may zap
meanwhile (the oracle `back-out` judges those).
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.own_effects import own_effects
from mmrace.claims.judges.scene import Scene, scene
from mmrace.kernel.mm.radix_tree import PageCacheTag
from mmrace.runtime.record import Record

_CHANGES_THE_PAGE = ("writeout", "truncated", "releasepage")
"""Reasons of attempts that change the page, by intent, and refuse it then."""
_STAYS = ("index",)
"""Fields of the target that are left as they are: nobody reads them of a page without a mapping."""
_OF_SLOTS = (("page", ""), *(("tags", tag.name) for tag in PageCacheTag))
"""What a slot consists of: (field, bit)."""


def refused(seen: Scene) -> list[Migration]:
    """Return the attempts that locked their page and did not move it, nor changed it by intent."""
    return [
        migration for migration in seen.migrations
        if migration.refused and Stage.LOCK_OLD in migration.at and migration.reason not in _CHANGES_THE_PAGE
        and not migration.was_mapped
        and not any(strip.task == migration.task and strip.page == migration.page
                    and migration.begin <= strip.step <= migration.end for strip in seen.strips)
    ]  # fmt: skip


def check(record: Record) -> Instances:
    """Look at each refused page: what do the migrator's own ops on it come to?"""
    seen, found = scene(record), Instances()
    slots = {lane for field, bit in _OF_SLOTS for lane in record.bit_lane("Slot", field, bit)}
    for migration in refused(seen):
        found.test()
        old = record.lanes_of({migration.page, *migration.had})
        ops = list(seen.mine(migration.task, migration.at[Stage.LOCK_OLD], migration.end))
        changed = own_effects(ops, {*old, *slots})
        if changed:
            _decide(found, seen, migration, changed)
    return found


def check_target(record: Record) -> Instances:
    """Look at the target of each refused page: is it as before, and did nobody else get at it?"""
    seen, found = scene(record), Instances()
    for migration in refused(seen):
        target, since = migration.newpage, migration.at.get(Stage.LOCK_NEW)
        if target is None or since is None:
            continue
        found.test()
        lanes = {lane for lane, name in record.lanes_of({target}).items() if name[2] not in _STAYS}
        changed = own_effects(seen.mine(migration.task, since, migration.end), lanes)
        if changed:
            _decide(found, seen, migration, changed)
            continue
        for op in seen.on(seen.count.get(target, -1), since, migration.end):
            if op.task != migration.task and op.gets:
                title = f"{seen.who(op.task)} obtains {target}, to which {migration.page} was not moved"
                found.decide(title, op.step, migration.end, task=seen.who(op.task), **seen.facts(migration))
                break
    return found


def _decide(found: Instances, seen: Scene, migration: Migration, changed: dict[int, str]) -> None:
    """Count a refused page that is not as it was."""
    names = {seen.record.lane_name(lane): what for lane, what in sorted(changed.items())}
    told = ", ".join(f"{name} {what}" for name, what in names.items())
    title = f"{seen.who(migration.task)} gives {migration.page} up ({migration.rc}), and leaves behind: {told}"
    found.decide(title, migration.begin, migration.end, changed=dict(names), **seen.facts(migration))


CLAIM = Claim("C17", (
    Part(
        "C17", "what is refused is as it was: flags, dirt, counts, private data, LRU state, ring, slot",
        "the migrator's own ops on the page, its buffers and the slots come to nothing, from the lock of the page to "
        "the end of the attempt; instance: an attempt that locked its page and did not move it", check,
    ),
    Part(
        "C17n", "and the page that was to replace it is as it was, and met by nobody",
        "the migrator's own ops on the target come to nothing (but for its index), and nobody else takes a reference; "
        "instance: a refused page whose target was locked", check_target,
    ),
))  # fmt: skip
