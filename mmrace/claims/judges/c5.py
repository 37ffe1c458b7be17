"""Claim C5: while migration copies, the buffer lock keeps the commit from starting its I/O, and the other way round.

A meeting is an instance, not a copy that met nobody: the commit that found the buffer locked by the migrator, the
migrator that found it locked by the commit or by the commit's I/O.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import Scene, Submit, scene
from mmrace.runtime.kinds import KIND_MASK, SHIFT, TEST_AND_SET
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at what commits do to the buffers of a migration between its lock and its unlock, or the end of its copy."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not migration.replaced:
            continue
        windows = {bh: _window(migration, bh) for bh in migration.ring if bh in migration.locked}
        for submit in seen.submits:
            first, last = windows.get(submit.buffer, (0, -1))
            if submit.commit and submit.task != migration.task and first <= submit.step <= last:
                found.test()
                who = seen.who(submit.task)
                title = f"{who} submits {submit.buffer} while {seen.who(migration.task)} moves {migration.page}"
                found.decide(title, submit.step, task=who, buffer=submit.buffer, **seen.facts(migration))
        lanes = {seen.buffer_lock[bh]: windows[bh] for bh in windows if bh in seen.buffer_lock}
        if lanes:
            found.test(_refused(seen, migration, lanes))
    return found


def _window(migration: Migration, buffer: str) -> tuple[int, int]:
    unlocked = migration.unlocked.get(buffer, migration.end)
    return migration.locked[buffer], max(unlocked, migration.copy[1] if migration.copied else 0)


def _refused(seen: Scene, migration: Migration, lanes: dict[int, tuple[int, int]]) -> int:
    """Count the tries of the commit that found a buffer of the ring locked by the migrator."""
    first, last = min(a for a, _ in lanes.values()), max(b for _, b in lanes.values())
    return sum(
        op & KIND_MASK == TEST_AND_SET and bool(a) and op >> SHIFT in lanes
        and lanes[op >> SHIFT][0] <= step <= lanes[op >> SHIFT][1] and seen.in_commit(task, step)
        for step, task, op, a, _ in seen.others(migration.task, first, last)
    )  # fmt: skip


def check_reverse(record: Record) -> Instances:
    """Look at what a migration does while I/O of a commit is under way on a buffer of its page."""
    seen, found = scene(record), Instances()
    data = [submit for submit in seen.submits if submit.commit and submit.data]
    for migration in seen.migrations:
        held = {bh for step, bh in migration.busy if _commit_has(seen, data, bh, step)}
        found.test(len(held))
        if not migration.replaced:
            continue
        for submit in data:
            reads = migration.reads if submit.buffer in migration.ring else ()
            caught = next((step for step, _ in reads if _under_way(submit, step)), None)
            if caught is not None:
                found.test(submit.buffer not in held)
                who, by = seen.who(migration.task), seen.who(submit.task)
                title = f"{who} copies {migration.page} while {submit.buffer} is being written by {by}"
                found.decide(title, submit.step, caught, buffer=submit.buffer, **seen.facts(migration))
    return found


def _under_way(submit: Submit, step: int) -> bool:
    return submit.step <= step < submit.end


def _commit_has(seen: Scene, data: list[Submit], buffer: str, step: int) -> bool:
    """Say whether a buffer is locked by a commit, or by the I/O of one."""
    holder = seen.buffer_locked_by(buffer, step)
    if holder is not None and seen.in_commit(holder, step):
        return True
    return any(submit.buffer == buffer and _under_way(submit, step) for submit in data)


CLAIM = Claim("C5", (
    Part(
        "C5", "while migration copies, the buffer lock keeps the commit from submitting",
        "no commit submits a buffer of the ring from its lock by the migrator to its unlock, or the end of the copy if "
        "that is later; instance: a commit that found it locked, or did submit", check,
    ),
    Part(
        "C5r", "the other way round: no copy while the commit's I/O is under way",
        "no word is copied of a page of which a commit has a buffer under I/O; instance: a migrator that found one "
        "locked by the commit or its I/O, or did copy", check_reverse,
    ),
))  # fmt: skip
