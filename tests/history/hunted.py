"""Where each planted bug was found under `gate`: parameters, all spelled out, and seeds of a random walk.

``python -m tests.history.hunted [NAME]...`` searches again and prints the seeds, least ops first: needed after a change
of the model, of the cast or of the strategy that moves schedules.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

from mmrace.history.canaries import canaries
from mmrace.search.run import run_one
from mmrace.search.spec import RunSpec
from tests.scenarios.staged import gate_spec

SEARCHED = 60  # seeds that a search tries
KEPT = 3  # of those that found it


@dataclass(frozen=True, slots=True)
class Hunted:
    """A planted bug's place: a scenario with these parameters, under these seeds."""

    scenario: str
    seeds: tuple[int, ...]
    params: dict[str, int | str] = field(default_factory=dict)


SHORT: dict[str, int | str] = {"migrations": 4}
BUSY: dict[str, int | str] = {"buffers": 4, "words": 1, "rounds": 3, "idle": 80}
APART: dict[str, int | str] = {"rounds": 4, "migrations": 4, "idle": 80, "without": "reader"}
MANY_BLOCKS: dict[str, int | str] = {**APART, "buffers": 8, "direct": 0, "passes": 5}

HUNTED: dict[str, Hunted] = {
    "double-put": Hunted("async-vs-commit", (0, 1, 2), SHORT),
    "lost-get": Hunted("async-vs-commit", (0, 1, 2), SHORT),
    "lost-put": Hunted("async-vs-commit", (0, 1, 2), SHORT),
    "forgotten-wake": Hunted("sync-vs-commit", (4, 9, 11), {**SHORT, "mode": "MIGRATE_SYNC_LIGHT"}),
    "unlock-by-stranger": Hunted(
        "four",
        (12, 0, 9),
        {**MANY_BLOCKS, "without": "", "pages": 2, "buffers": 4, "burst": 2, "wbuf": 1, "mode": "MIGRATE_SYNC_LIGHT"},
    ),
    "async-backout": Hunted("async-vs-commit", (30, 14, 47), {**BUSY, "passes": 5}),
    "async-locks-after-thaw": Hunted("async-vs-commit", (15, 48, 5), APART),
    "no-freeze": Hunted("async-vs-commit", (26, 16, 41), {**BUSY, "migrations": 4, "burst": 2}),
    "copy-after-unlock": Hunted(
        "sync-vs-commit",
        (21, 48, 24),
        {**MANY_BLOCKS, "words": 8, "burst": 2, "wbuf": 1, "mode": "MIGRATE_SYNC"},
    ),
    "commit-no-flush": Hunted(
        "sync-vs-commit",
        (13, 15, 18),
        {**MANY_BLOCKS, "burst": 4, "wbuf": 16, "mode": "MIGRATE_SYNC_LIGHT"},
    ),
}


def spec_of(name: str, seed: int) -> RunSpec:
    """Return the run of a planted bug."""
    return gate_spec(HUNTED[name].scenario, seed, name, **HUNTED[name].params)


def twin_of(spec: RunSpec) -> RunSpec:
    """Return the same run of the correct protocol."""
    return replace(spec, variant="")


def search(name: str) -> list[tuple[int, int]]:
    """Return (ops, seed) of the runs in which the canary's own oracle caught it, least ops first."""
    found = []
    for seed in range(SEARCHED):
        result = run_one(spec_of(name, seed))
        if any(finding.oracle == canaries()[name].oracle for finding in result.findings):
            found.append((result.ops, seed))
    return sorted(found)


if __name__ == "__main__":
    for name in sys.argv[1:] or HUNTED:
        hits = search(name)
        print(f"{name}: {len(hits)} of {SEARCHED}, seeds {tuple(seed for _, seed in hits[:KEPT])}, ops {hits[:KEPT]}")
