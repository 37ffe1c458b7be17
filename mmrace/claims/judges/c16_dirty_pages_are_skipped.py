"""Claim C16: many dirty pages are skipped because of the test that gives -EBUSY, though they could be moved.

The test stood in `move_to_new_page`: dirty, not sync, and an op that is not `migrate_page`.  "C16" is what it does,
"C16b" what became of it in 3.2, where an asynchronous isolation took no dirty page in the first place.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import BEFORE, expected_in
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op, Watched
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.kinds import ACQUIRE, CLEARS, KIND_MASK, RELEASE, SHIFT, TEST
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look for a dirty page with buffers that was refused before its op was called."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.is_async and seen.dirty_with_buffers(migration) and Stage.LOCK_NEW in migration.at):
            continue
        found.test()
        if migration.rc == "-EBUSY" and not _op_called(migration):
            who, page = seen.who(migration.task), migration.page
            title = f"{who} gives {page} up with -EBUSY for being dirty, and does not ask what could move it"
            found.decide(title, migration.at[Stage.LOCK_NEW], migration.end, **seen.facts(migration))
    return found


def _op_called(migration: Migration) -> bool:
    """Say whether the op was called: it begins by taking tree_lock, the target being locked."""
    return migration.at.get(Stage.TREE_LOCK, -1) > migration.at[Stage.LOCK_NEW]


def check_isolation(record: Record) -> Instances:
    """Look at each dirty page that a migrator's isolation looked at: did it leave the page on the list?"""
    seen, found = scene(record), Instances()
    dirty = {lane: page for page, lane in seen.dirty_bit.items()}
    lru_lock = set(record.lanes("Zone", "lru_lock"))
    lru = {page: lane for lane, page in record.bit_lane(*Watched.PG_lru.value).items()}
    has_lock: set[int] = set()
    for step in record.steps_on({*dirty, *lru_lock}, ACQUIRE, RELEASE, TEST):
        task, op, a, b = record.events[step]
        looked = Op(step, task, op & KIND_MASK, op >> SHIFT, a, b)
        if looked.kind != TEST:
            (has_lock.add if looked.kind == ACQUIRE else has_lock.discard)(task)
        elif looked.was_set and task in has_lock:
            page = dirty[looked.lane]
            found.test()
            if not _taken(seen, looked, lru.get(page, -1), lru_lock):
                title = f"{seen.who(task)} leaves {page} on the LRU for being dirty"
                found.decide(title, step, task=seen.who(task), page=page)
    return found


def _taken(seen: Scene, looked: Op, lru: int, lru_lock: set[int]) -> bool:
    """Say whether a task cleared PG_lru of a page after it looked at its dirty bit, lru_lock held all the while."""
    for op in seen.mine(looked.task, looked.step + 1, len(seen.record.events)):
        if op.lane in lru_lock and op.kind == RELEASE:
            return False
        if op.lane == lru and op.kind in CLEARS:
            return True
    return False


CLAIM = Claim("C16", (
    Part(
        "C16", "dirty pages that an op could move are given up with -EBUSY, unasked",
        "an asynchronous attempt at a file's page with buffers and PG_dirty ends with -EBUSY, the op not called; "
        "instance: such an attempt that locked its target", check, exists=True,
        expected="false", by_era=expected_in(BEFORE, "holds", "the test stands in move_to_new_page"),
    ),
    Part(
        "C16b", "and since 3.2 an asynchronous isolation leaves them on the list",
        "an isolation that sees PG_dirty set, under lru_lock, does not clear PG_lru; instance: an isolation that sees "
        "it set", check_isolation, exists=True, expected="false",
        by_era={
            **expected_in(("3.1",), "nothing", "3.1's isolation does not look at PG_dirty"),
            **expected_in(("3.2",), "holds", "ISOLATE_CLEAN refuses dirty pages"),
        },
    ),
))  # fmt: skip
