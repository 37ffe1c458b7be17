"""What the runs of a table came to, cell by cell: each quantity's values over the seeds, and their spread.

Invariant: a run that did not finish is in no value; how many those are is told.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmrace.measure.counting import with_shares
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_PASS, EXIT_SIGNALLED, EXIT_UNKNOWN


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some values, and how many there are."""

    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of values; None without any."""
        if not values:
            return None
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))


@dataclass
class Cell:
    """The runs of one row in one era.  `counts`: of each run that finished, by its number."""

    counts: dict[int, dict[str, float]] = field(default_factory=dict)
    unfinished: Counter[str] = field(default_factory=Counter)

    def add(self, index: int, counted: dict[str, int]) -> None:
        """Take in what a run came to."""
        self.counts[index] = with_shares(counted)

    def values(self, quantity: str) -> list[float]:
        """Return a quantity's values in order of the runs; a count that a run lacks is 0, a share is left out."""
        rows = [self.counts[index] for index in sorted(self.counts)]
        if quantity.endswith("%"):
            return [row[quantity] for row in rows if quantity in row]
        return [row.get(quantity, 0) for row in rows]

    def spread(self, quantity: str) -> Spread | None:
        """Return a quantity's spread over the runs."""
        return Spread.of(self.values(quantity))


@dataclass
class TableResult:
    """The cells of a table by (row, era), and what went wrong."""

    rows: tuple[str, ...]
    eras: tuple[str, ...]
    seeds: int
    seed: int
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    runs: int = 0
    seconds: float = 0.0
    troubles: list[str] = field(default_factory=list)
    trouble_codes: set[int] = field(default_factory=set)
    losses: Counter[str] = field(default_factory=Counter)
    given_up: list[RunSpec] = field(default_factory=list)
    interrupted: int = 0

    def cell(self, row: str, era: str) -> Cell:
        """Return a cell, made when it is first asked for."""
        return self.cells.setdefault((row, era), Cell())

    @property
    def quantities(self) -> list[str]:
        """Every quantity that some run has, in the order of the first that has it."""
        names: dict[str, None] = {}
        for cell in self.cells.values():
            for counts in cell.counts.values():
                names |= dict.fromkeys(counts)
        return list(names)

    @property
    def unfinished(self) -> int:
        """How many runs did not finish."""
        return sum(cell.unfinished.total() for cell in self.cells.values())

    @property
    def complete(self) -> bool:
        """Whether every cell has all its runs."""
        return all(len(self.cell(row, era).counts) == self.seeds for row in self.rows for era in self.eras)

    @property
    def exit_code(self) -> int:
        """A table with a run missing is UNKNOWN."""
        if self.interrupted:
            return EXIT_SIGNALLED + self.interrupted
        if EXIT_INTERNAL in self.trouble_codes:
            return EXIT_INTERNAL
        if self.trouble_codes:
            return max(self.trouble_codes)
        return EXIT_PASS if self.complete else EXIT_UNKNOWN

    def plain(self) -> dict[str, object]:
        """Return everything as plain data: of each cell its runs."""
        return {
            "rows": list(self.rows),
            "eras": list(self.eras),
            "seeds": self.seeds,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "cells": [
                {
                    "row": row,
                    "era": era,
                    "runs": [{"index": index, **cell.counts[index]} for index in sorted(cell.counts)],
                    "unfinished": dict(cell.unfinished),
                }
                for (row, era), cell in sorted(self.cells.items())
            ],
        }
