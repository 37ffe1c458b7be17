"""Claim C1: the order of events in a migration.

Judged on each migration that moved its page: the stages that the sketch names, in its order.  It names the look-up of
the slot and the test of the count as two; both stand between taking tree_lock and what follows, in either order.
"C1+" is what the sketch leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import BEFORE, LATE_CUT, expected_in
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record

Order: TypeAlias = Sequence[tuple[Stage, ...]]
"""Stages one after the other; those of one tuple in either order."""

_UP_TO_TREE_LOCK = (
    Stage.ISOLATED, Stage.LOCK_OLD, Stage.WRITEBACK_SEEN, Stage.MAPCOUNT_SEEN, Stage.LOCK_NEW, Stage.TREE_LOCK,
)  # fmt: skip


def sketch_order(migration: Migration) -> Order:
    """Return the stages that the claim names, in its order."""
    buffers = [(Stage.LOCK_BUFFERS,)] if migration.ring else []
    before, after = (buffers, []) if migration.is_async else ([], buffers)
    return [
        *((stage,) for stage in _UP_TO_TREE_LOCK),
        (Stage.SLOT_SEEN, Stage.COUNT_TESTED),
        *before,
        (Stage.REPLACE,),
        (Stage.TREE_UNLOCK,),
        *after,
        (Stage.COPY,),
        *([(Stage.UNLOCK_BUFFERS,)] if migration.ring else []),
        (Stage.UNLOCK_NEW,),
    ]


def rest_order(migration: Migration) -> Order:
    """Return what the sketch does not name: freeze and thaw, the ring's move, the source that stays locked."""
    return [
        (Stage.COUNT_TESTED,),
        (Stage.FREEZE,),
        (Stage.REPLACE,),
        (Stage.THAW,),
        *([(Stage.RING_MOVED,)] if migration.ring else []),
        (Stage.COPY,),
        (Stage.UNLOCK_NEW,),
        (Stage.UNLOCK_OLD,),
    ]


def _fault(migration: Migration, order: Order) -> tuple[str, tuple[int, ...]] | None:
    """Return what is wrong with the order of a migration, and the steps that show it."""
    last, last_name = -1, "the start"
    for stages in order:
        name = " and ".join(stages)
        spans = [span for stage in stages if (span := migration.span(stage)) is not None]
        if len(spans) < len(stages):
            return f"no step {name!r} after {last_name!r}", (max(last, migration.begin),)
        first, end = min(first for first, _ in spans), max(end for _, end in spans)
        if first <= last:
            return f"{name!r} before {last_name!r} was over", (first, last)
        last, last_name = end, name
    return None


def _check(record: Record, sketch: bool) -> Instances:
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not migration.succeeded:
            continue
        found.test()
        fault = _fault(migration, sketch_order(migration) if sketch else rest_order(migration))
        if fault is not None:
            title = f"{seen.who(migration.task)} moves {migration.page} to {migration.newpage}: {fault[0]}"
            found.decide(title, *fault[1], **seen.facts(migration))
    return found


def check(record: Record) -> Instances:
    """Compare each successful migration with the order that the claim gives."""
    return _check(record, True)


def check_left_out(record: Record) -> Instances:
    """Compare each successful migration with the order of what the claim leaves out."""
    return _check(record, False)


def check_cut_off(record: Record) -> Instances:
    """Look at each page with buffers that was moved: had it lost its mapping when the first buffer was unlocked?"""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        unlocked = migration.span(Stage.UNLOCK_BUFFERS)
        if not (migration.succeeded and migration.ring) or unlocked is None:
            continue
        found.test()
        cut = migration.at.get(Stage.CUT_OFF)
        if cut is None or cut > unlocked[0]:
            title = f"{seen.who(migration.task)} unlocks the buffers of {migration.page}, which has its mapping still"
            found.decide(title, unlocked[0], *([] if cut is None else [cut]), **seen.facts(migration))
    return found


CLAIM = Claim("C1", (
    Part(
        "C1", "isolate, lock source, writeback, unmap, lock target, tree_lock, look up, count, (async: buffers,) "
        "replace, tree unlock, (else: buffers,) copy, unlock buffers, unlock target",
        "every stage was reached, in that order; instance: a migration that moved its page", check,
        by_era=expected_in(BEFORE, "false", "async locks the buffers after the slot was replaced, as sync does"),
    ),
    Part(
        "C1+", "left out: count test, freeze, replace, thaw, ring moved, copy, target unlocked, source unlocked last",
        "every stage was reached, in that order; instance: a migration that moved its page", check_left_out,
    ),
    Part(
        "C1m", "the old page has lost its mapping before the buffers are unlocked",
        "the migrator clears the mapping of the old page before it unlocks the first buffer; instance: a page with "
        "buffers that was moved", check_cut_off,
        by_era=expected_in(LATE_CUT, "false", "move_to_new_page clears it, after the ptes are restored"),
    ),
))  # fmt: skip
