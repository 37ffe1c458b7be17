"""Claim C19: later "sync" became a mode of three, so that the second pass of a compaction need not write.

The second pass of a direct compactor is what is asked here, by whatever mode its era has for it: SYNC_LIGHT, or SYNC
where there is no SYNC_LIGHT (C13 is the same asked of the mode itself).
"""

from __future__ import annotations

from mmrace.claims.judges.c13_light_does_not_write import writes_or_waits
from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.eras import WITHOUT_LIGHT, expected_in
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each second-pass attempt at a page that cannot be moved unwritten: did it write it, or wait for that?"""
    seen = scene(record)
    light = record.header.get("era", "") not in WITHOUT_LIGHT
    return writes_or_waits(seen, [m for m in seen.migrations if (m.is_light if light else m.is_sync)])


CLAIM = Claim("C19", (
    Part(
        "C19", "the second pass of a compaction does not write, nor wait for what is written",
        "no such attempt submits I/O or queues for PG_writeback; instance: one that finds its page under writeback, or "
        "dirty and its mapping without an op", check,
        by_era=expected_in(WITHOUT_LIGHT, "false", "what is not async is MIGRATE_SYNC"),
    ),
))  # fmt: skip
