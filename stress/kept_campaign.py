"""What a store says of a campaign, as far as it may not depend on what disturbed it; and whether all of it is there."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrace.runs import kept
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.sums import Sums

BATCH = b'"is":"batch"'
COUNTED = ("runs", "ops", "given_up", "verdicts", "counters", "marks", "unknown", "alone", "expected", "known", "hits")


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a campaign.

    Attributes: turns: key of a sequence -> ranges of its turns that were run.  sums: key -> what came of them, but for
    the time it took.  folders: signatures whose folder is whole.  twice: runs that are counted twice.  lost: signatures
    that the ledger knows and of which there is no folder.
    """

    turns: dict[str, tuple[tuple[int, int], ...]]
    sums: dict[str, dict[str, Any]]
    folders: frozenset[str]
    twice: int
    lost: tuple[str, ...]

    @property
    def runs(self) -> int:
        """How many runs were made."""
        return sum(sums["runs"] for sums in self.sums.values())


def came(store: Path) -> Came:
    """Read it from a store."""
    index = Index.read_only(store)
    try:
        each = {sequence.key: (tuple(index.covered(sequence)), _plain(sums)) for sequence, sums in index.each()}
    finally:
        index.close()
    turns = {key: ranges for key, (ranges, _) in each.items()}
    sums = {key: plain for key, (_, plain) in each.items()}
    made = sum(plain["runs"] + plain["given_up"] for plain in sums.values())
    covered = sum(stop - first for ranges in turns.values() for first, stop in ranges)
    whole = frozenset(folder.name for folder in findings(store) if kept.read(folder) is not None)
    hits = sorted({signature for plain in sums.values() for signature in plain["hits"]})
    lost = tuple(hit for hit in hits if not any(name.startswith(hit) for name in whole))
    return Came(turns, sums, whole, made - covered, lost)


def ended_as(store: Path) -> list[int | None]:
    """Return the exit code with which each campaign of a store ended, the oldest first; None of one that can go on."""
    index = Index.read_only(store)
    try:
        return [None if row.ended is None else row.ended.exit_code for row in index.campaigns()]
    finally:
        index.close()


def batches_over(store: Path) -> list[float]:
    """Return when each batch that the ledger has was over, in seconds of the epoch, in order.

    A batch is written some time after that: that another line is there says nothing of when its runs were made.
    """
    found = []
    for path in (store / "ledger").glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            if BATCH in line:
                with contextlib.suppress(ValueError, KeyError):  # torn
                    found.append(float(json.loads(line.partition(b" ")[2])["when"]))
    return sorted(found)


def findings(store: Path) -> list[Path]:
    """Return the folders of findings; not what a killed process has left under another name."""
    folder = store / "findings"
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _plain(sums: Sums) -> dict[str, Any]:
    classes = None if sums.sketch is None else sums.sketch.distinct()
    return {**{name: getattr(sums, name) for name in COUNTED}, "classes": classes}


def differences(calm: Came, other: Came) -> list[str]:
    """Name what should not be: what differs from the undisturbed one, is lost, or is there twice."""
    found = [f"findings lost: {', '.join(other.lost)}"] if other.lost else []
    found += [f"runs counted twice: {other.twice}"] if other.twice else []
    found += ["other turns were made"] if calm.turns != other.turns else []
    for key in sorted(calm.sums.keys() | other.sums.keys()):
        mine, theirs = calm.sums.get(key, {}), other.sums.get(key, {})
        found += [
            f"{name} of sequence {key}: {theirs.get(name)!r}, undisturbed {mine.get(name)!r}"
            for name in (*COUNTED, "classes")
            if mine.get(name) != theirs.get(name)
        ]
    missing = calm.folders - other.folders
    return [*found, f"no folder of {', '.join(sorted(missing))}"] if missing else found
