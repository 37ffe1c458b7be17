"""Claim C7: tree_lock keeps others from looking a page up while its slot is replaced.

The reading judged: as long as the migrator that replaces a slot holds tree_lock, nobody else's lookup reads that slot.
A lookup is a read of the slot by a task that does not hold tree_lock itself (whoever does changes the tree).  A read is
enough: what tree_lock would have to do is to make it wait.  What is true instead is the freeze and the second look at
the slot: no lookup returns the old page with a reference that it took after the count was tested.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.kinds import GET_UNLESS_ZERO, KIND_MASK, PUT, READ, SHIFT
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look for a read of the slot by a lookup while the migrator that replaces it holds tree_lock."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not migration.replaced or "tree_lock" not in migration.at:
            continue
        found.test()
        first, last = migration.at["tree_lock"], migration.at.get("tree_unlock", migration.end)
        for step, task, op, value, _ in seen.others(migration.task, first, last):
            if op >> SHIFT != migration.slot or op & KIND_MASK != READ:
                continue
            if seen.holds.holder(migration.tree_lock, step) != task:
                who, slot, migrator = seen.who(task), record.lane_name(migration.slot), seen.who(migration.task)
                found.decide(
                    f"{who} reads {slot} and finds {record.name(value)}, while {migrator} holds tree_lock to replace "
                    f"{migration.page}",
                    first, step, last, task=who, slot=slot, shown=str(record.name(value)), **seen.facts(migration),
                )  # fmt: skip
                break
    return found


def check_freeze(record: Record) -> Instances:
    """Look at each try of others to get a reference to the old page from the count test to the end of the attempt."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        start = migration.at.get("freeze", migration.at.get("count tested"))
        if not migration.replaced or start is None:
            continue
        lane = seen.count.get(migration.page, -1)
        for step, task, op, _, count in seen.others(migration.task, start, migration.over()):
            if op >> SHIFT != lane or op & KIND_MASK != GET_UNLESS_ZERO:
                continue
            found.test()
            if count and _returned(seen, migration, task, step):
                who = seen.who(task)
                found.decide(
                    f"a lookup of {who} returns {migration.page}, which it got hold of while it was being replaced",
                    step, task=who, count=int(str(count)), **seen.facts(migration),
                )  # fmt: skip
    return found


def _returned(seen: Scene, migration: Migration, task: int, step: int) -> bool:
    """Say whether the lookup that took a reference at `step` then found the old page in the slot still."""
    lane = seen.count.get(migration.page, -1)
    for _, _, op, value, _ in seen.mine(task, step + 1, len(seen.record.events)):
        if op >> SHIFT == migration.slot and op & KIND_MASK == READ:
            return bool(seen.record.name(value) == migration.page)
        if op >> SHIFT == lane and op & KIND_MASK == PUT:
            return False
    return False


CLAIM = Claim("C7", (
    Part(
        "C7", "tree_lock keeps lookups off a slot while it is replaced",
        "no task without tree_lock reads the slot while the migrator that replaces it holds tree_lock; instance: a "
        "replacement", check, expected="false",
    ),
    Part(
        "C7+", "true: freeze and second look: no lookup returns the old page once its count was tested",
        "a lookup that gets a reference to the old page from freeze to unlock finds another page at its second look; "
        "instance: a lookup's try to get one", check_freeze,
    ),
))  # fmt: skip
