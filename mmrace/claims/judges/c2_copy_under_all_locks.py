"""Claim C2: data are copied under the page locks and the buffer locks."""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import Scene, scene
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each word that a migration reads from the old page of a ring, and each that it writes to the new one."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.replaced and migration.ring):
            continue
        for step, index in (*migration.reads, *migration.writes):
            found.test()
            missing = _missing(seen, migration, step)
            if missing:
                who = seen.who(migration.task)
                found.decide(
                    f"{who} copies word {index} of {migration.page} without {', '.join(missing)}",
                    step, word=index, missing=list(missing), **seen.facts(migration),
                )  # fmt: skip
    return found


def _missing(seen: Scene, migration: Migration, step: int) -> list[str]:
    """Name the locks that the migrator does not hold at `step`."""
    pages = [page for page in (migration.page, migration.newpage) if page is not None]
    missing = [f"PG_locked of {page}" for page in pages if seen.locked_by(page, step) != migration.task]
    return missing + [f"BH_Lock of {bh}" for bh in migration.ring if seen.buffer_locked_by(bh, step) != migration.task]


CLAIM = Claim("C2", (
    Part(
        "C2", "buffer data are copied with both pages and every buffer of the ring locked",
        "at each word read from the old page and written to the new one the migrator holds PG_locked of both and "
        "BH_Lock of each buffer on the ring; instance: a word read or written", check,
    ),
))  # fmt: skip
