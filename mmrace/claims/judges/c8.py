"""Claim C8: try_to_free_buffers and migration exclude each other by the page lock."""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import KIND_MASK, SHIFT, TEST_AND_SET
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each page that was stripped of its ring: did the stripper hold its lock?"""
    seen, found = scene(record), Instances()
    for step, task, page in seen.strips:
        found.test()
        if seen.locked_by(page, step) != task:
            who = seen.who(task)
            found.decide(f"{who} strips {page} of its buffers without its lock", step, task=who, page=page)
    return found


def check_apart(record: Record) -> Instances:
    """Look at who tries the lock of a page that is being moved, and whether anybody strips it meanwhile."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        first = migration.at.get("lock old")
        if first is None:
            continue
        pages = {page for page in (migration.page, migration.newpage) if page is not None}
        lanes = {seen.page_lock[page] for page in pages if page in seen.page_lock}
        found.test(sum(
            op & KIND_MASK == TEST_AND_SET and bool(a) and b != LOCK and op >> SHIFT in lanes
            and seen.holds.holder(op >> SHIFT, step) == migration.task
            for step, _, op, a, b in seen.others(migration.task, first, migration.over())
        ))  # fmt: skip
        for step, task, page in seen.strips:
            start = migration.at.get("freeze", migration.end)
            if task != migration.task and page in pages and start <= step <= migration.over():
                found.test()
                who = seen.who(task)
                title = f"{who} strips {page} while {seen.who(migration.task)} moves {migration.page}"
                found.decide(title, step, task=who, stripped=page, **seen.facts(migration))
    return found


CLAIM = Claim("C8", (
    Part(
        "C8", "try_to_free_buffers works under the page lock,",
        "who takes a ring off its page holds the page's lock; instance: a page stripped", check,
    ),
    Part(
        "C8x", "... which migration holds: no page is stripped while it is moved",
        "nobody else strips the old page or the new one from the freeze to the unlock; instance: a try of the lock of "
        "a page that the migrator has locked, by somebody who does not wait, or a page stripped", check_apart,
    ),
))  # fmt: skip
