"""Claim C6: block_write_full_page and its like take the buffer lock, so migration and writeback keep apart.

Judged apart: "C6" is the conclusion (nothing is copied under writeback), "C6p" the premise (each writeback takes the
buffer lock), "C6s" the word "so": the buffer lock keeps migration out, not the page lock or PG_writeback before it.  Of
"its like" there is one that writes pages as a whole: "C6b" is the premise for that, "C6+" what keeps the two apart.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.holds import Span
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.reading import Submit, Whole
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


def check_whole(record: Record) -> Instances:
    """Look at each page that was given to one write as a whole: was each of its buffers locked meanwhile?"""
    seen, found = scene(record), Instances()
    for whole in seen.whole:
        span = _writeback_of(seen, whole)
        if span is None or not whole.ring:
            continue
        found.test()
        free = [bh for bh in whole.ring if seen.holds.at(seen.buffer_lock.get(bh, -1), whole.step) is None]
        if free:
            who = seen.who(whole.task)
            title = f"{who} gives {whole.page} to I/O as a whole, and {free[0]} is not locked"
            found.decide(title, span.start, whole.step, task=who, page=whole.page, buffers=list(free))
    return found


def check_without_buffer_locks(record: Record) -> Instances:
    """Look for an attempt at a page that is written as a whole, which PG_writeback or the page lock turned away."""
    seen, found = scene(record), Instances()
    written = [(whole, span) for whole in seen.whole if (span := _writeback_of(seen, whole)) is not None]
    for migration in seen.migrations:
        met = [(whole, span) for whole, span in written if _overlap(migration, whole, span)]
        if not met:
            continue
        found.test()
        whole, span = met[0]
        locks = [seen.buffer_lock.get(bh, -1) for bh in whole.ring]
        first, last = max(span.start, migration.begin), min(span.end, migration.end) - 1
        saw = _find_writeback(seen, migration)
        kept_out = saw is not None or migration.reason == "page-lock"
        if kept_out and not any(seen.holds.overlapping(lane, first, last) for lane in locks):
            who = seen.who(migration.task)
            title = f"{who} is kept off {migration.page}, which is written as a whole, and no buffer of it is locked"
            found.decide(title, first if saw is None else saw, reason=migration.reason, **seen.facts(migration))
    return found


def _overlap(migration: Migration, whole: Whole, span: Span) -> bool:
    return whole.page == migration.page and span.start <= migration.over and migration.begin < span.end


def _writeback_of(seen: Scene, whole: Whole) -> Span | None:
    """Return the span of PG_writeback in which a page was given to its I/O."""
    return seen.holds.at(seen.writeback.get(whole.page, -1), whole.step)


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
    Part(
        "C6b", "... and so does its like that writes a page as a whole,",
        "each buffer of a page that is given to one I/O is locked then; instance: such a page that has buffers",
        check_whole, expected="false",
    ),
    Part(
        "C6+", "page lock and PG_writeback alone keep a migration off a page that is written as a whole",
        "an attempt is turned away by the page lock, or finds PG_writeback set, while no buffer of the page is locked; "
        "instance: an attempt at a page while it is under such a writeback", check_without_buffer_locks, exists=True,
    ),
))  # fmt: skip
