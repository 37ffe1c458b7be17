"""Claim C6: block_write_full_page and its like take the buffer lock, so migration and writeback keep apart.

Judged apart: "C6" is the conclusion (nothing is copied under writeback), "C6p" the premise (each writeback takes the
buffer lock), "C6s" the word "so": the buffer lock keeps migration out, not the page lock or PG_writeback before it.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.reading import Submit
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.kinds import TEST
from mmrace.runtime.record import Record


def _writeback_submits(seen: Scene) -> list[Submit]:
    """Return the submits of writeback: of a file's buffer, by no commit, with PG_writeback set."""
    return [
        submit for submit in seen.submits
        if submit.data and not submit.commit and seen.under_writeback(submit.page, submit.step)
    ]  # fmt: skip


def check_premise(record: Record) -> Instances:
    """Look at each buffer that writeback submits: did it lock it?"""
    seen, found = scene(record), Instances()
    for submit in _writeback_submits(seen):
        found.test()
        if seen.buffer_locked_by(submit.buffer, submit.step) != submit.task:
            who = seen.who(submit.task)
            title = f"{who} submits {submit.buffer} for writeback without having locked it"
            found.decide(title, submit.step, task=who, buffer=submit.buffer, page=submit.page)
    return found


def check_conclusion(record: Record) -> Instances:
    """Look at each attempt at a page that was under writeback at some time of the attempt: were data copied then?"""
    seen, found = scene(record), Instances()
    written = _writeback_submits(seen)
    for migration in seen.migrations:
        if not _meets_writeback(seen, migration):
            continue
        found.test()
        for step, _ in migration.reads:
            io = [submit.buffer for submit in written if submit.page == migration.page and submit.under_way(step)]
            if io or seen.under_writeback(migration.page, step):
                who = seen.who(migration.task)
                title = f"{who} copies {migration.page} while it is under writeback"
                found.decide(title, step, under_io=list(io), **seen.facts(migration))
                break
    return found


def check_reason(record: Record) -> Instances:
    """Look at each migration that met a page under writeback: what kept it out?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not _meets_writeback(seen, migration):
            continue
        found.test()
        saw = _find_writeback(seen, migration)
        if saw is not None and not migration.busy:
            who = seen.who(migration.task)
            title = f"PG_writeback keeps {who} off {migration.page}, before it tries any buffer lock"
            found.decide(title, saw, reason=migration.reason, **seen.facts(migration))
    return found


def _meets_writeback(seen: Scene, migration: Migration) -> bool:
    lane = seen.writeback.get(migration.page, -1)
    return bool(seen.holds.overlapping(lane, migration.begin, migration.over))


def _find_writeback(seen: Scene, migration: Migration) -> int | None:
    lane = seen.writeback.get(migration.page, -1)
    for op in seen.on(lane, migration.begin, migration.end):
        if op.task == migration.task and op.kind == TEST and op.was_set:
            return op.step
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
