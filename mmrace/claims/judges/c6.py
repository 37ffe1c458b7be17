"""Claim C6: block_write_full_page and its like take the buffer lock, so migration and writeback keep apart.

Judged apart: the premise (each writeback takes the buffer lock), the conclusion (nothing is copied under writeback),
and the word "so": that it is the buffer lock that keeps migration out, not the page lock or PG_writeback before it.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import Scene, Submit, scene
from mmrace.runtime.kinds import KIND_MASK, SHIFT, TEST
from mmrace.runtime.record import Record


def _written(seen: Scene) -> list[Submit]:
    """Return the submits of writeback: of a file's buffer, by no commit, with PG_writeback set."""
    return [
        submit for submit in seen.submits
        if submit.data and not submit.commit
        and seen.holds.at(seen.writeback.get(submit.page, -1), submit.step) is not None
    ]  # fmt: skip


def check_premise(record: Record) -> Instances:
    """Look at each buffer that writeback submits: did it lock it?"""
    seen, found = scene(record), Instances()
    for submit in _written(seen):
        found.test()
        if seen.buffer_locked_by(submit.buffer, submit.step) != submit.task:
            who = seen.who(submit.task)
            title = f"{who} submits {submit.buffer} for writeback without having locked it"
            found.decide(title, submit.step, task=who, buffer=submit.buffer, page=submit.page)
    return found


def check_conclusion(record: Record) -> Instances:
    """Look at each migration of a page that was under writeback at some time of the attempt: did it copy then?"""
    seen, found = scene(record), Instances()
    written = _written(seen)
    for migration in seen.migrations:
        if not _met(seen, migration):
            continue
        found.test()
        lane = seen.writeback.get(migration.page, -1)
        for step, _ in migration.reads:
            io = [s.buffer for s in written if s.page == migration.page and s.step <= step < s.end]
            if io or seen.holds.at(lane, step) is not None:
                who = seen.who(migration.task)
                title = f"{who} copies {migration.page} while it is under writeback"
                found.decide(title, step, under_io=list(io), **seen.facts(migration))
                break
    return found


def check_reason(record: Record) -> Instances:
    """Look at each migration that met a page under writeback: what kept it out?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not _met(seen, migration):
            continue
        found.test()
        saw = _saw_writeback(seen, migration)
        if saw is not None and not migration.busy:
            who = seen.who(migration.task)
            title = f"PG_writeback keeps {who} off {migration.page}, before it tries any buffer lock"
            found.decide(title, saw, reason=migration.reason, **seen.facts(migration))
    return found


def _met(seen: Scene, migration: Migration) -> bool:
    lane = seen.writeback.get(migration.page, -1)
    return bool(seen.holds.overlapping(lane, migration.begin, migration.over()))


def _saw_writeback(seen: Scene, migration: Migration) -> int | None:
    lane = seen.writeback.get(migration.page, -1)
    for step, _, op, a, _ in seen.mine(migration.task, migration.begin, migration.end):
        if op >> SHIFT == lane and op & KIND_MASK == TEST and a:
            return step
    return None


CLAIM = Claim("C6", (
    Part(
        "C6", "writeback and migration keep apart",
        "no word is copied of a page under writeback; instance: an attempt at a page that was, at some time of it",
        check_conclusion,
    ),
    Part(
        "C6p", "because writeback takes the buffer lock,",
        "each buffer that writeback submits is locked by it; instance: a submit", check_premise,
    ),
    Part(
        "C6s", "... and so: it is the buffer lock that keeps them apart",
        "no attempt is turned away by PG_writeback without having tried a buffer lock; instance: as for C6",
        check_reason, expected="false",
    ),
))  # fmt: skip
