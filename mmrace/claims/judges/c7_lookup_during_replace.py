"""Claim C7: tree_lock keeps others from looking a page up while its slot is replaced.

"C7", as it is read here: as long as the migrator that replaces a slot holds tree_lock, nobody else's lookup reads that
slot.  A lookup is a read of the slot by a task that does not hold tree_lock itself (whoever does changes the tree).  A
read is enough: what tree_lock would have to do is to make it wait.  "C7+" is what is true instead, by the freeze and
the second look at the slot: no lookup returns the old page with a reference that it took after the count was tested.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.kinds import GET_UNLESS_ZERO, PUT, READ
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look for a read of the slot by a lookup while the migrator that replaces it holds tree_lock."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not migration.replaced or Stage.TREE_LOCK not in migration.at:
            continue
        found.test()
        first, last = migration.at[Stage.TREE_LOCK], migration.at.get(Stage.TREE_UNLOCK, migration.end)
        for op in seen.on(migration.slot, first, last):
            if op.task == migration.task or op.kind != READ:
                continue
            if seen.holds.holder(migration.tree_lock, op.step) != op.task:
                who, slot, migrator = seen.who(op.task), record.lane_name(migration.slot), seen.who(migration.task)
                shown = str(record.name(op.value))
                found.decide(
                    f"{who} reads {slot} and finds {shown}, while {migrator} holds tree_lock to replace "
                    f"{migration.page}",
                    first, op.step, last, task=who, slot=slot, shown=shown, **seen.facts(migration),
                )  # fmt: skip
                break
    return found


def check_freeze(record: Record) -> Instances:
    """Look at each try of others to get a reference to the old page from the count test to the end of the attempt."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        start = migration.at.get(Stage.FREEZE, migration.at.get(Stage.COUNT_TESTED))
        if not migration.replaced or start is None:
            continue
        lane = seen.count.get(migration.page, -1)
        for op in seen.on(lane, start, migration.over):
            if op.task == migration.task or op.kind != GET_UNLESS_ZERO:
                continue
            found.test()
            if op.gets and _returns(seen, migration, op):
                who = seen.who(op.task)
                found.decide(
                    f"a lookup of {who} returns {migration.page}, which it got hold of while it was being replaced",
                    op.step, task=who, count=op.new_count, **seen.facts(migration),
                )  # fmt: skip
    return found


def _returns(seen: Scene, migration: Migration, get: Op) -> bool:
    """Say whether a lookup, having taken its reference, still finds the old page in the slot."""
    for op in seen.mine(get.task, get.step + 1, len(seen.record.events)):
        if op.lane == migration.slot and op.kind == READ:
            return bool(seen.record.name(op.value) == migration.page)
        if op.lane == get.lane and op.kind == PUT:
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
