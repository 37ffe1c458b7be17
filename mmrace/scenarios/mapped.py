"""The casts of mapped pages: a program that has the file mapped, and who takes its ptes away or looks at them.

Invariant: no cast has both a writer and a program that stores, for their writes to one block would race by their own
fault; what the writers' casts have of dirty pages, `dirtied` has here.  Nor does a program store beside a truncation:
ext3 of 3.3 has no page_mkwrite, so a store into a hole finds no block reserved, and is lost where none is free (R34).
"""

from __future__ import annotations

from mmrace.actors import faulter, fsync, migrator, reader, reclaimer, truncater, writeback, zapper
from mmrace.scenarios import faults
from mmrace.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="migrate-vs-fault",
        title="migration takes the ptes of a mapped page away, and a program's faults meet migration entries",
        cast=(faulter.ACTOR, zapper.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"touched": 2, "idle": 60, "rounds": 3},
        marks=("migration entry: page lock awaited", "migration entry: removed", "unmap: dirty pte", "zap: dirty pte"),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "mappings": 2, "passes": 6},
            {"mode": "MIGRATE_SYNC", "pages": 2, "stores": 2, "passes": 6},
            {"mode": "MIGRATE_SYNC", "buffers": 4, "mappings": 2, "touched": 0, "cpus": 2, "irq": "any", "passes": 6},
            {"data": "writeback", "bare": 100, "accesses": 4},
            {"pages": 2, "pagevec": 2, "without": "zapper,reader", "idle": 10},
        ),
    ),
    Scenario(
        name="mapped-vs-writeback",
        title="writeback and fsync clean a page while a program stores through its mapping, and the page moves",
        cast=(faulter.ACTOR, writeback.ACTOR, fsync.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"touched": 1, "idle": 60, "rounds": 3, "mode": "MIGRATE_SYNC", "passes": 5},
        marks=("mkclean: pte protected", "fault: write-protected"),
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "pages": 2, "stores": 2},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "mappings": 2, "buffers": 4},
            {"data": "writeback", "cpus": 2, "irq": "any", "bare": 100},
            {"cache": 1, "pages": 2},
            {"idle": 0, "stores": 2, "accesses": 6, "rounds": 4, "without": "migrator,reader"},
        ),
    ),
    Scenario(
        name="mapped-vs-writeout",
        title="a migration that may not move a dirty page writes it, and gives back ptes that let stores through",
        cast=(faulter.ACTOR, writeback.ACTOR, migrator.ACTOR),
        overrides={
            "data": "journal",
            "touched": 1,
            "stores": 2,
            "idle": 20,
            "rounds": 3,
            "mode": "MIGRATE_SYNC",
            "direct": 0,
            "passes": 6,
        },
        marks=("writeout: written",),
        variations=({}, {"pages": 2, "mappings": 2}),
        expects=(faults.R33,),
    ),
    Scenario(
        name="mapped-vs-reclaim",
        title="reclaim takes the ptes of pages that nobody used lately, and a program faults them in again",
        cast=(faulter.ACTOR, reclaimer.ACTOR, zapper.ACTOR, migrator.ACTOR),
        overrides={"touched": 2, "pages": 2, "idle": 30, "rounds": 4},
        marks=("reclaim: used through a pte, kept",),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "passes": 6, "stores": 0},
            {"mappings": 2, "bare": 100, "stores": 0},
            {"zone_reclaim": 1, "pagevec": 2},
        ),
    ),
    Scenario(
        name="mapped-vs-truncate",
        title="truncation unmaps what it takes away from a program, whose accesses beyond the end are SIGBUS",
        cast=(faulter.ACTOR, truncater.ACTOR, zapper.ACTOR, migrator.ACTOR),
        overrides={"touched": 2, "pages": 2, "idle": 30, "rounds": 4, "stores": 0},
        variations=(
            {},
            {"mode": "MIGRATE_SYNC", "passes": 6, "mappings": 2},
            {"pages": 1, "bare": 100, "buffers": 1},
        ),
    ),
)
