"""Casts with a streamer: readahead meets migration, and the load of the series' own table.

Invariant: as of the other casts (`casts.py`), which list these too.
"""

from __future__ import annotations

from mmrace.actors import (
    copier,
    endless,
    hugepage,
    migrator,
    reader,
    reclaimer,
    stick_flusher,
    streamer,
    writeback,
    writer,
)
from mmrace.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="stream-vs-migrate",
        title="readahead, which holds the locks of pages whose I/O it builds, meets migration and reclaim",
        cast=(streamer.ACTOR, reader.ACTOR, reclaimer.ACTOR, migrator.ACTOR),
        overrides={"pages": 6, "mode": "MIGRATE_SYNC_LIGHT", "passes": 5, "bare": 100, "rounds": 4, "idle": 40},
        marks=("readahead: marker met", "mpage: pages read by one I/O", "migrate: PF_MEMALLOC may not lock"),
        variations=(
            {},
            {"streamed": 16, "window": 8, "slabs": 2},
            {"mode": "MIGRATE_SYNC", "direct": 0, "passes": 6},
            {"streams": "device", "raw": 8, "device": 1},
            {"errors": 1, "window": 2},
            {"ticks": 20, "requests": 2},
        ),
    ),
    Scenario(
        name="huge-pages-vs-copy",
        title="the load of the series: huge pages are wanted while a file streams and another is copied to a stick",
        cast=(
            endless.awaited(hugepage.ACTOR),
            endless.endless(streamer.ACTOR),
            endless.endless(copier.ACTOR),
            endless.endless(stick_flusher.ACTOR),
        ),
        longer=20,
        overrides={"huge": 2, "pages": 4, "stick": "vfat", "rounds": 1, "idle": 20, "streamed": 4, "passes": 5},
        variations=(
            {},
            {"streams": "device", "raw": 8, "free": 12, "kept": 2, "stick_ticks": 50},
            {"free": 8, "kept": 2, "ticks": 5, "stick_ticks": 50, "requests": 2},
        ),
    ),
    Scenario(
        name="huge-pages-vs-writer",
        title="the same with an ext3 file that is written on the slow disk, and committed",
        cast=(
            endless.awaited(hugepage.ACTOR),
            endless.endless(streamer.ACTOR),
            endless.endless(writer.ACTOR),
            endless.endless(writeback.ACTOR),
        ),
        longer=20,
        overrides={"huge": 2, "pages": 4, "rounds": 1, "idle": 20, "streamed": 4, "passes": 5},
        variations=(
            {},
            {"streams": "device", "raw": 8, "free": 12, "kept": 2, "ticks": 50},
            {"free": 8, "kept": 2, "ticks": 50, "requests": 2},
        ),
    ),
)
