"""What one campaign made itself, whether it counts or not: of runs that others made as well, one of them counts.

Invariant: each run of the campaign is in it once, though it wrote some of them twice.  Not here: what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmrace.search.ledger.entry import Batch
from mmrace.search.ledger.ranges import Covered
from mmrace.search.ledger.segment import read_at
from mmrace.search.ledger.sums import Sums
from mmrace.search.ledger.tables import WHOLE, decode_sums

_ID = "(SELECT id FROM campaign WHERE name = ?)"
_SUMS = (
    f"SELECT q.key, p.since, p.sums FROM part p JOIN sequence q ON q.id = p.sequence "
    f"WHERE p.campaign = {_ID} AND p.since = {WHOLE}"
)
_RANGES = (
    f"SELECT q.key, b.first, b.stop FROM batch b JOIN sequence q ON q.id = b.sequence WHERE b.campaign = {_ID} "
    "ORDER BY q.id, b.first"
)
_REPEATED = (
    "SELECT q.key, r.first, r.stop, r.place, r.till, s.name FROM repeated r JOIN sequence q ON q.id = r.sequence "
    f"JOIN segment s ON s.id = r.segment WHERE r.campaign = {_ID} ORDER BY r.first - r.stop, s.name, r.place"
)


def own(rows: Callable[..., list[tuple[Any, ...]]], folder: Path, campaign: str) -> dict[str, tuple[Covered, Sums]]:
    """Return turns and sums of a campaign, by key of the sequence.

    Args: rows: what a query finds.  folder: of the segments.  Raises OSError, ValueError if one changes meanwhile.
    """
    found: dict[str, tuple[Covered, Sums]] = {}
    for key, _, sums in rows(_SUMS, (campaign,), sums=2):
        found[key] = Covered(), decode_sums(sums)
    for key, first, stop in rows(_RANGES, (campaign,)):
        found[key][0].add(first, stop)
    for key, first, stop, place, till, name in rows(_REPEATED, (campaign,)):
        covered, total = found.setdefault(key, (Covered(), Sums()))
        if first in covered:
            continue
        with open(folder / name, "rb") as file:
            batch = read_at(file, place, till)
        if not isinstance(batch, Batch):
            raise ValueError(f"{name} at byte {place}: no batch any more")
        covered.add(first, stop)
        total.add(batch.sums)
    return found
