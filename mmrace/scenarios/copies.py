"""The casts with a second disk: a file is copied to it, and pages of both files move.

What the parameters do, `mmrace list params` tells.
"""

from __future__ import annotations

from mmrace.actors import copier, migrator, reader, stick_flusher
from mmrace.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="migrate-vs-vfat",
        title="a file is copied to a stick with FAT, whose dirty pages only MIGRATE_SYNC may write out, and none moves",
        cast=(copier.ACTOR, stick_flusher.ACTOR, migrator.ACTOR, reader.ACTOR),
        overrides={"stick": "vfat", "mode": "MIGRATE_SYNC", "pages": 2, "buffers": 1, "passes": 6, "idle": 60},
        marks=("mpage: page written whole", "writeout: written", "writeout: already clean"),
        variations=(
            {},
            {"mode": "MIGRATE_ASYNC", "passes": 3},
            {"mode": "MIGRATE_SYNC_LIGHT", "passes": 3},
            {"buffers": 2, "copy_sync": 1, "rounds": 3},
            {"cpus": 2, "irq": "any", "pages": 3},
            {"errors": 1, "copy_sync": 1},
        ),
    ),
)
