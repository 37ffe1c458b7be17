"""Claim C1: the order of events in a migration.

Judged on each migration that moved its page: the stages that the sketch names, in its order.  It names the look-up of
the slot and the test of the count as two; both stand between taking tree_lock and what follows, in either order.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record

Order = Iterator[tuple[str, int | None, int | None]]
"""(stage, its first step, its last step); None: it was not reached."""

_BEFORE = ("isolated", "lock old", "writeback looked at", "mapcount looked at", "lock new", "tree_lock")


def sketched(migration: Migration) -> Order:
    """Yield the stages that the claim names, in its order."""
    at = migration.at
    for stage in _BEFORE:
        yield _stage(migration, stage)
    looks = [at[stage] for stage in ("slot looked at", "count tested") if stage in at]
    yield "slot looked at and count tested", *((min(looks), max(looks)) if len(looks) == 2 else (None, None))
    if migration.is_async and migration.ring:
        yield _buffers(migration, migration.locked, "lock buffers")
    yield _stage(migration, "replace")
    yield _stage(migration, "tree_unlock")
    if not migration.is_async and migration.ring:
        yield _buffers(migration, migration.locked, "lock buffers")
    yield "copy", *(migration.copy if migration.copied else (None, None))
    if migration.ring:
        yield _buffers(migration, migration.unlocked, "unlock buffers")
    yield _stage(migration, "unlock new")


def left_out(migration: Migration) -> Order:
    """Yield what the sketch does not name: freeze and thaw, the ring's move, the source that stays locked."""
    yield _stage(migration, "count tested")
    yield _stage(migration, "freeze")
    yield _stage(migration, "replace")
    yield _stage(migration, "thaw")
    if migration.ring:
        moved = migration.moved
        whole = len(moved) == len(migration.ring)
        yield "ring moved", *((moved[0], moved[-1]) if whole else (None, None))
    yield "copy", *(migration.copy if migration.copied else (None, None))
    yield _stage(migration, "unlock new")
    yield _stage(migration, "unlock old")


def _stage(migration: Migration, stage: str) -> tuple[str, int | None, int | None]:
    step = migration.at.get(stage)
    return stage, step, step


def _buffers(migration: Migration, steps: dict[str, int], stage: str) -> tuple[str, int | None, int | None]:
    mine = [steps[buffer] for buffer in migration.ring if buffer in steps]
    return (stage, min(mine), max(mine)) if len(mine) == len(migration.ring) else (stage, None, None)


def _fault(order: Order, begin: int) -> tuple[str, tuple[int, ...]] | None:
    """Return what is wrong with an order, and the steps that show it."""
    last, last_stage = -1, "the start"
    for stage, first, end in order:
        if first is None or end is None:
            return f"no step {stage!r} after {last_stage!r}", (max(last, begin),)
        if first <= last:
            return f"{stage!r} before {last_stage!r} was over", (first, last)
        last, last_stage = end, stage
    return None


def _check(record: Record, sketch: bool) -> Instances:
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not migration.succeeded:
            continue
        found.test()
        fault = _fault(sketched(migration) if sketch else left_out(migration), migration.begin)
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


CLAIM = Claim("C1", (
    Part(
        "C1", "isolate, lock source, writeback, unmap, lock target, tree_lock, look up, count, (async: buffers,) "
        "replace, tree unlock, (else: buffers,) copy, unlock buffers, unlock target",
        "every stage was reached, in that order; instance: a migration that moved its page", check,
    ),
    Part(
        "C1+", "left out: count test, freeze, replace, thaw, ring moved, copy, target unlocked, source unlocked last",
        "every stage was reached, in that order; instance: a migration that moved its page", check_left_out,
    ),
))  # fmt: skip
