"""Where runs stop following a record, in the order in which a search tries them.

Near its last common point with the record first, then ever earlier, and again with other draws: what was missed is most
likely near the place where the run left the record, or where another failure ended it.  Invariant: the same number
gives the same points.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from mmrace.strategies.retrace import SAMPLERS

BACK_TIMES = 3  # each point is so many times as far back as the one before
BACK_FIRST = 2


class Point(NamedTuple):
    """Follow `until` ops; the sampler `then` draws the rest, in its `turn`th way."""

    until: int
    then: str
    turn: int


def points(last: int) -> Iterator[Point]:
    """Yield points without an end.  Args: last: ops that a run has in common with its record."""
    samplers = tuple(SAMPLERS)
    for turn in count():
        for place, back in enumerate(backs(last)):
            yield Point(last - back, samplers[(turn + place) % len(samplers)], turn)


def backs(last: int) -> list[int]:
    """Return how many ops before the last one the points are: 0, 2, 6, 18, ..., and all."""
    found = [0]
    back = BACK_FIRST
    while back < last:
        found.append(back)
        back *= BACK_TIMES
    return [*found, last]
