"""Workloads that tests make: small ones by hand, random ones by seed."""

from __future__ import annotations

import json
import random
from typing import Any

from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.scenarios.workload import KINDS, SCHEMA, Workload

TINY: dict[str, Any] = {
    "schema": SCHEMA,
    "name": "tiny",
    "source": {"note": "made by hand"},
    "pages": [{"buffers": 2}, {"buffers": 2}],
    "actions": [
        {"do": "dirty", "begin_us": 0, "end_us": 5, "page": 0, "buffers": [0, 1]},
        {"do": "migrate", "begin_us": 3, "end_us": 30, "page": 0, "mode": "MIGRATE_ASYNC"},
        {"do": "commit", "begin_us": 2000, "end_us": 2600},
        {"do": "writeback", "begin_us": 2100, "end_us": 2200, "page": 0},
        {"do": "dirty", "begin_us": 2500, "end_us": 2501, "page": 1, "buffers": [1]},
        {"do": "migrate", "begin_us": 2550, "end_us": 2560, "page": 1, "mode": "MIGRATE_SYNC"},
        {"do": "reclaim", "begin_us": 9000, "end_us": 9100, "page": 1},
        {"do": "read", "begin_us": 9050, "end_us": 9200, "page": 0},
        {"do": "migrate", "begin_us": 9100, "end_us": 9150, "page": 0, "mode": "MIGRATE_SYNC"},
    ],
}


def changed(top: dict[str, Any] | None = None, action: tuple[int, dict[str, Any]] | None = None) -> str:
    """Return TINY as JSON with some keys changed (None: left out), of the whole or of one action."""
    data = json.loads(json.dumps(TINY))
    for target, changes in ((data, top or {}), (data["actions"][action[0]], action[1]) if action else ({}, {})):
        for key, value in changes.items():
            if value is None:
                del target[key]
            else:
                target[key] = value
    return json.dumps(data)


def tiny() -> Workload:
    """Return TINY, loaded."""
    return Workload.parse(json.dumps(TINY).encode(), "tiny")


def drawn(seed: int, actions: int = 30, pages: int = 4) -> Workload:
    """Return a random workload: some actions overlap, some are more than a jiffy apart."""
    draw = random.Random(seed)
    now, rows = 0, []
    for _ in range(actions):
        now += draw.choice((0, 1, 300, 1001, 5000))
        do = draw.choice(KINDS)
        row: dict[str, Any] = {"do": do, "begin_us": now, "end_us": now + draw.choice((0, 10, 900, 4000))}
        if do != "commit":
            row["page"] = draw.randrange(pages)
        if do == "dirty":
            row["buffers"] = [draw.randrange(2)]
        if do == "migrate":
            row["mode"] = draw.choice(list(MigrateMode.__members__))
        rows.append(row)
    rows.sort(key=lambda row: (row["begin_us"], row["end_us"]))
    return Workload.parse(json.dumps({**TINY, "pages": [{"buffers": 2}] * pages, "actions": rows}).encode(), "drawn")
