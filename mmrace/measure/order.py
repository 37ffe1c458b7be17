"""Does the order of the eras come out?  What the series said, asked of a table.

The trylock patch alone has more huge pages than the kernel before, and the stall on the slow stick stays; with the
third mode the stall is gone.  Invariant: an answer is "yes" or "no" only if both cells have runs, and stands
beside the medians that it rests on; a sign over paired seeds says how sure it is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from mmrace.measure.blocked import WRITEBACK, WRITEPAGE
from mmrace.measure.counting import BLOCKED, ELAPSED, SUCCESS
from mmrace.measure.result import Cell, TableResult

BEFORE, TRYLOCK, LIGHT = "3.2", "3.2+trylock", "3.2+sync-light"
GONE = 0.5
"""A stall that is less than half of what it was is called gone, one that is at least half is said to stay: the series'
own went to a thirtieth, and spreads here are nothing like a factor of two."""

_STALL = (f"{BLOCKED}: {WRITEBACK}", f"{BLOCKED}: {WRITEPAGE}")


@dataclass(frozen=True)
class Answer:
    """What a table says of one sentence.

    `came_out`: None if it cannot tell.  `chance`: of at least as many of the paired seeds on that side if both eras
    were alike.
    """

    says: str
    came_out: bool | None
    before: float
    after: float
    chance: float


def answers(result: TableResult, row: str) -> list[Answer]:
    """Return what a table says of each sentence, in one row."""
    before, trylock, light = (result.cell(row, era) for era in (BEFORE, TRYLOCK, LIGHT))
    return [
        _compared("trylock alone has more huge pages", before, trylock, SUCCESS, lambda a, b: b > a),
        _compared("trylock alone leaves the stall", before, trylock, "stall", lambda a, b: a > 0 and b >= GONE * a),
        _compared("sync-light ends the stall", trylock, light, "stall", lambda a, b: a > 0 and b < GONE * a),
        _compared("sync-light makes the process faster", trylock, light, ELAPSED, lambda a, b: b < a),
    ]


def stall_of(cell: Cell) -> dict[int, float]:
    """Return for how many ticks each run stalled on writing: under writeback, or in writepage."""
    return {index: sum(counts.get(name, 0) for name in _STALL) for index, counts in cell.counts.items()}


def _compared(says: str, one: Cell, other: Cell, quantity: str, holds: Callable[[float, float], bool]) -> Answer:
    first, second = _of(one, quantity), _of(other, quantity)
    if not first or not second:
        return Answer(says, None, 0.0, 0.0, 1.0)
    before, after = statistics.median(first.values()), statistics.median(second.values())
    pairs = [(first[index], second[index]) for index in first.keys() & second.keys()]
    return Answer(says, holds(before, after), before, after, _sign_test(pairs))


def _of(cell: Cell, quantity: str) -> dict[int, float]:
    if quantity == "stall":
        return stall_of(cell)
    return {index: counts[quantity] for index, counts in cell.counts.items() if quantity in counts}


def _sign_test(pairs: list[tuple[float, float]]) -> float:
    """Return the two-sided chance of signs at least as one-sided as these, if either were as likely; ties left out."""
    ups = sum(after > before for before, after in pairs)
    downs = sum(after < before for before, after in pairs)
    n, k = ups + downs, max(ups, downs)
    if not n:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k, n + 1)) / (1 << n))
