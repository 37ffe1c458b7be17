"""The casts with a second disk: a file is copied to it, and pages of both files move.

What the parameters do, `mmrace list params` tells.
"""

from __future__ import annotations

from mmrace.actors import committer, copier, migrator, reader, reclaimer, stick_flusher
from mmrace.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="migrate-vs-vfat",
        title="a file is copied to a stick with FAT, whose dirty pages only MIGRATE_SYNC may write out, and none moves",
        cast=(copier.ACTOR, stick_flusher.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"stick": "vfat", "mode": "MIGRATE_SYNC", "pages": 2, "buffers": 1, "passes": 6, "idle": 60},
        marks=("mpage: page written whole", "writeout: written"),
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "passes": 3},
            {"mode": "MIGRATE_SYNC_LIGHT", "passes": 3},
            {"buffers": 2, "chunk": 1, "copy_sync": 1, "rounds": 3},
            {"cpus": 2, "irq": "any", "pages": 3},
            {"errors": 1, "copy_sync": 1},
        ),
    ),
    Scenario(
        name="copy-vs-commit",
        title="a file is copied to a stick with ext3, whose commits write it too, while pages of both files move",
        cast=(copier.ACTOR, stick_flusher.ACTOR, committer.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"stick": "ext3", "mode": "MIGRATE_SYNC", "pages": 2, "passes": 6, "idle": 60},
        marks=("mpage: page read whole", "fallback: releasepage failed"),
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "passes": 3, "bare": 0, "chunk": 1},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "buffers": 4, "rounds": 3},
            {"data": "writeback", "cpus": 2, "irq": "any"},
            {"data": "journal", "buffers": 1},
        ),
    ),
    Scenario(
        name="copy-vs-reclaim",
        title="reclaim drops and writes pages of a file and of its copy on a stick with FAT, while pages of both move",
        cast=(copier.ACTOR, stick_flusher.ACTOR, reclaimer.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={
            "stick": "vfat",
            "mode": "MIGRATE_SYNC",
            "pages": 2,
            "passes": 6,
            "pagevec": 2,
            "rounds": 3,
            "idle": 60,
        },
        marks=("mpage: page written whole", "mpage: page read whole"),
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "order": 9, "chunk": 1},
            {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "buffers": 1, "copy_sync": 1},
            {"errors": 1, "copy_sync": 1},
        ),
    ),
)
