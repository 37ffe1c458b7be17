"""Ranges of turns: pieces whose length is a power of two and divides where they begin, and sets of turns.

Invariant: two such pieces are nested or apart, so that of any two it is plain which one counts, whoever made them in
whatever order.  Not here: what came of the runs in a range (`sums.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

TURN_BITS = 62
"""Turns are below two to this: what SQLite and every JSON reader here keep exactly, with room for a length."""


def is_piece(first: int, stop: int) -> bool:
    """Say whether a range is a piece: its length is a power of two, and divides its first turn."""
    length = stop - first
    return first >= 0 and length > 0 and length & (length - 1) == 0 and first % length == 0 and stop <= 1 << TURN_BITS


def piece_from(turn: int, most: int) -> int:
    """Return the length of the longest piece that begins at a turn, at most `most`, and from turn 0 on natural.

    From turn 0 that is one, from any other the largest power of two that divides it: 1, 1, 2, 4, 8, ...
    """
    natural = turn & -turn if turn else 1
    return min(natural, 1 << (max(most, 1).bit_length() - 1))


def pieces(first: int, stop: int) -> list[tuple[int, int]]:
    """Cut a range into the fewest pieces, in order; an empty range has none."""
    found = []
    while first < stop:
        length = 1 << ((stop - first).bit_length() - 1)
        if first:
            length = min(length, first & -first)
        found.append((first, first + length))
        first += length
    return found


class Covered:
    """A set of turns, as ranges that neither overlap nor touch."""

    __slots__ = ("_firsts", "_stops")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._stops: list[int] = []

    def add(self, first: int, stop: int) -> None:
        """Add the turns from `first` up to `stop`, some of which may be in it."""
        if first >= stop:
            return
        if self._stops and first == self._stops[-1]:  # the usual case: where the last one ended
            self._stops[-1] = stop
            return
        low = bisect_left(self._stops, first)  # ranges from here on end at or behind `first`
        high = bisect_right(self._firsts, stop)  # and up to here begin at or before `stop`
        if low < high:
            first = min(first, self._firsts[low])
            stop = max(stop, self._stops[high - 1])
        self._firsts[low:high] = [first]
        self._stops[low:high] = [stop]

    def __contains__(self, turn: int) -> bool:
        place = bisect_right(self._firsts, turn) - 1
        return place >= 0 and turn < self._stops[place]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._firsts, self._stops, strict=True)))

    def next_gap(self, start: int) -> int:
        """Return the first turn from `start` on that is not in it."""
        place = bisect_right(self._firsts, start) - 1
        return self._stops[place] if place >= 0 and start < self._stops[place] else start

    def next_start(self, turn: int) -> int | None:
        """Return where the first range that begins behind a turn begins; None if none does."""
        place = bisect_right(self._firsts, turn)
        return self._firsts[place] if place < len(self._firsts) else None

    @property
    def count(self) -> int:
        """How many turns are in it."""
        return sum(self._stops) - sum(self._firsts)
