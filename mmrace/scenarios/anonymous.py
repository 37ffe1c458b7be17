"""The casts of private memory: a program that works on it, what takes it away, and who moves its pages.

Invariant: nobody but the program's one thread `heap` stores there, so that what it stored last is what it loads; and
one task moves pages, for with two of them 3.3 itself may sleep where it must not (R35).
"""

from __future__ import annotations

from mmrace.actors import compactor, heap, migrator, reclaimer, unmapper
from mmrace.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="anon-vs-migration",
        title="migration moves anonymous pages, while their program faults on them, and takes them away",
        cast=(heap.ACTOR, unmapper.ACTOR, migrator.ACTOR),
        overrides={"touched": 1, "idle": 30, "rounds": 3, "stores": 1},
        marks=("migrate: moved anonymous", "anon_vma: outlived its mapping"),
        variations=(
            {},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "heap": 2, "passes": 6},
            {"mode": "MIGRATE_SYNC", "heap": 3, "touched": 3, "batch": 4, "passes": 6, "cpus": 2},
            {"exits": 1, "unmaps": 2},
            {"pagevec": 2, "stores": 2, "buffers": 1, "idle": 10},
        ),
    ),
    Scenario(
        name="anon-vs-compaction",
        title="compaction takes the anonymous pages of its pageblocks along, and reclaim passes them by",
        cast=(heap.ACTOR, unmapper.ACTOR, reclaimer.ACTOR, compactor.ACTOR),
        overrides={"huge": 2, "pages": 2, "heap": 2, "touched": 2, "idle": 30},
        marks=("migrate: moved anonymous",),
        variations=(
            {},
            {"compacts": "direct-async", "pinned": 1, "stores": 2},
            {"compacts": "direct-sync", "cluster": 2, "passes": 5, "exits": 1},
            {"heap": 4, "touched": 4, "pagevec": 2, "cpus": 2, "order": 2},
        ),
    ),
)
