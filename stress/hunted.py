"""What came of one variant of the blindness test, and where it is kept, so that a test that was stopped goes on.

The file has a line of JSON each: first what the hunts depend on, then what was hunted, as it comes.  Invariant: what is
kept of another model, or of another seed, counts for nothing; nor of other judges, unless what they found may stay.  A
last line that was torn is hunted again.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

BLIND, SAME, LISTED, FOUND = "BLIND", "same", "listed", "found"
JUDGES = "judges"


@dataclass(frozen=True, slots=True)
class Hunted:
    """What came of one.

    `found`: of each seed the schedules it took and who found it; None: nobody did.  `earlier`: by judges as they stood
    before their last change.
    """

    name: str
    same: bool
    found: tuple[tuple[int, str, str] | None, ...]
    schedules: int
    reached: int
    seconds: float
    earlier: bool = False

    @property
    def hits(self) -> list[tuple[int, str, str]]:
        """The seeds that found it."""
        return [hit for hit in self.found if hit is not None]

    @property
    def judges(self) -> list[str]:
        """Who found it first, most often first."""
        return [judge for judge, _ in Counter(judge for _, judge, _ in self.hits).most_common()]

    @property
    def median(self) -> float:
        """Median of schedules; infinite if most seeds found nothing."""
        return statistics.median(hit[0] if hit is not None else inf for hit in self.found)

    def state(self, listed: Mapping[str, str]) -> str:
        """Say what is to be told of it."""
        if self.hits:
            return FOUND
        return LISTED if self.name in listed else SAME if self.same else BLIND


class Kept:
    """What was hunted already.

    Args: path: None: nothing is kept.  facts: what a hunt depends on, JUDGES among it.  found_stays: what other judges
    found counts too, since they only got rules since.
    """

    def __init__(self, path: Path | None, facts: Mapping[str, object], *, found_stays: bool = False) -> None:
        self.path = path
        self.facts = json.loads(json.dumps(facts))
        self._found_stays = found_stays
        self.done = {} if path is None else self._read(path)

    def _read(self, path: Path) -> dict[str, Hunted]:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = [row for row in map(_row, lines) if row is not None]
        if not rows or {**rows[0], JUDGES: self.facts[JUDGES]} != self.facts:
            return {}
        hunted = {row["name"]: Hunted(**{**row, "found": tuple(map(_hit, row["found"]))}) for row in rows[1:]}
        if rows[0] == self.facts:
            return hunted
        return {name: replace(one, earlier=True) for name, one in hunted.items() if self._found_stays and one.hits}

    @contextmanager
    def keeping(self) -> Iterator[Callable[[Hunted], None]]:
        """Keep what is given to what this yields, a line at once; what was read is written anew first."""
        if self.path is None:
            yield lambda hunted: None
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", encoding="utf-8") as file:

            def keep(row: object) -> None:
                file.write(json.dumps(row) + "\n")
                file.flush()

            keep(self.facts)
            for hunted in self.done.values():
                keep(asdict(hunted))
            yield lambda hunted: keep(asdict(hunted))


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _hit(hit: list[Any] | None) -> tuple[int, str, str] | None:
    return None if hit is None else (hit[0], hit[1], hit[2])
