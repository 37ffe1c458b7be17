"""The batches of a ledger that count, one after the other, for who wants them as rows.

Invariant: each run that counts is in one of them, as in the sums of the index; memory holds a chunk of places, not the
batches.  Not here: what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from mmrace.search.ledger.entry import Batch, Sequence
from mmrace.search.ledger.segment import entry_of

CHUNK = 50_000
_PLACES = (
    "SELECT b.place, b.till, q.key, q.entry FROM batch b JOIN sequence q ON q.id = b.sequence "
    "WHERE b.segment = ? AND b.place > ? ORDER BY b.place LIMIT ?"
)


def batches(rows: Callable[..., list[tuple[Any, ...]]], folder: Path) -> Iterator[tuple[Sequence | None, Batch]]:
    """Yield the batches that count, each with its sequence; None if what that is was never written.

    Args: rows: what a query finds.  folder: of the segments.  Raises OSError, ValueError if one changes meanwhile.
    """
    sequences: dict[str, Sequence | None] = {}
    for number, name in rows("SELECT id, name FROM segment ORDER BY name"):
        with open(folder / name, "rb") as file:
            last = -1
            while places := rows(_PLACES, (number, last, CHUNK)):
                for place, till, key, entry in places:
                    file.seek(place)
                    batch = entry_of(file.read(till - place - 1))
                    if not isinstance(batch, Batch):
                        raise ValueError(f"{name} at byte {place}: no batch any more")
                    if key not in sequences:
                        sequences[key] = msgspec.json.decode(entry, type=Sequence) if entry is not None else None
                    yield sequences[key], batch
                last = places[-1][0]
