"""What came of some runs, as sums: the part of a ledger entry that can be added up.

Invariant: whole numbers add up the same in any order (seconds nearly so), and what was added can be taken away again;
so a batch that a larger one contains can give way to it.  Not here: which runs they are (`entry.py`).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from mmrace.runtime.decoding import Count
from mmrace.search.ledger.sketch import BITS, ClassSketch
from mmrace.search.totals import Tally

NUMBER_BYTES = 8
BATCH_MAX = 1 << 40
"""Of anything in one batch: a thousand times what an hour of one has, and millions of it still fit into 64 bits."""


class Sums(msgspec.Struct, omit_defaults=True):
    """Sums over runs, as `Tally` has them.

    Args: hits: signature -> runs that had it.  given_up: runs that no worker survived; they are not among `runs`.
    sketch: their classes, None if nobody asked.
    """

    runs: int = 0
    ops: int = 0
    seconds: float = 0.0
    given_up: int = 0
    verdicts: dict[str, int] = {}
    counters: dict[str, int] = {}
    marks: dict[str, int] = {}
    unknown: dict[str, int] = {}
    alone: dict[str, int] = {}
    expected: dict[str, int] = {}
    known: dict[str, int] = {}
    hits: dict[str, int] = {}
    sketch: ClassSketch | None = None

    @classmethod
    def of(
        cls,
        tally: Tally,
        *,
        hits: Mapping[str, int] | None = None,
        given_up: int = 0,
        sketch: ClassSketch | None = None,
    ) -> Sums:
        """Return the sums of a tally; what is zero is left out."""
        return cls(
            runs=tally.runs,
            ops=tally.ops,
            seconds=round(tally.seconds, 6),
            given_up=given_up,
            verdicts=_nonzero(tally.verdicts),
            counters=_nonzero(tally.counters),
            marks=_nonzero(tally.marks),
            unknown=_nonzero(tally.unknown),
            alone=_nonzero(tally.alone),
            expected=_nonzero(tally.expected),
            known=_nonzero(tally.known),
            hits=_nonzero(hits or {}),
            sketch=sketch,
        )

    def tally(self) -> Tally:
        """Return them as a tally, which knows no hits and no classes."""
        return Tally(
            runs=self.runs,
            ops=self.ops,
            seconds=self.seconds,
            verdicts=Counter(self.verdicts),
            counters=Counter(self.counters),
            marks=Counter(self.marks),
            unknown=Counter(self.unknown),
            expected=Counter(self.expected),
            known=Counter(self.known),
            alone=Counter(self.alone),
        )

    def check(self) -> None:
        """Raise ValueError for sums that no batch has; any number of those that one has can be added."""
        numbers = [self.runs, self.ops, self.given_up, int(self.seconds)]
        for counted, _ in self._counted(self):
            numbers += counted.values()
        if min(numbers) < 0 or max(numbers) > BATCH_MAX:
            raise ValueError(f"sums of a batch are from 0 to {BATCH_MAX}, and go from {min(numbers)} to {max(numbers)}")

    def add(self, other: Sums) -> None:
        """Add other runs."""
        self._add_numbers(other, 1)
        for mine, theirs in self._counted(other):
            for name, times in theirs.items():
                mine[name] = mine.get(name, 0) + times
        if other.sketch is not None:
            if self.sketch is None:
                self.sketch = ClassSketch()
            self.sketch.merge(other.sketch)

    def remove(self, other: Sums) -> None:
        """Take away runs that were added before."""
        self._add_numbers(other, -1)
        for mine, theirs in self._counted(other):
            for name, times in theirs.items():
                if mine.get(name) == times:
                    del mine[name]
                else:
                    mine[name] = mine.get(name, 0) - times
        if other.sketch is not None and self.sketch is not None:
            self.sketch.remove(other.sketch)
            if not self.sketch.runs:
                self.sketch = None

    def _add_numbers(self, other: Sums, sign: int) -> None:
        self.runs += sign * other.runs
        self.ops += sign * other.ops
        self.given_up += sign * other.given_up
        self.seconds = round(self.seconds + sign * other.seconds, 6)

    def _counted(self, other: Sums) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
        """Yield what is counted by name, here and there."""
        yield self.verdicts, other.verdicts
        yield self.counters, other.counters
        yield self.marks, other.marks
        yield self.unknown, other.unknown
        yield self.alone, other.alone
        yield self.expected, other.expected
        yield self.known, other.known
        yield self.hits, other.hits


def _nonzero(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: times for name, times in counted.items() if times}


def encode_hook(value: object) -> object:
    """Return what stands for a value that JSON does not know: of a sketch, its classes as eight bytes each."""
    assert isinstance(value, ClassSketch), value
    ones = [number for number, times in value.times.items() if times == 1]
    more = {f"{number:x}": times for number, times in value.times.items() if times != 1}
    return _Written(value.runs, value.level, struct.pack(f">{len(ones)}Q", *ones), more)


def decode_hook(kind: type, value: object) -> object:
    """Return a sketch from what was written.  Raises ValueError."""
    assert kind is ClassSketch, kind
    written = msgspec.convert(value, _Written)
    if len(written.once) % NUMBER_BYTES:
        raise ValueError(f"classes are {NUMBER_BYTES} bytes each, these are {len(written.once)} bytes")
    ones = struct.unpack(f">{len(written.once) // NUMBER_BYTES}Q", written.once)
    times = dict.fromkeys(ones, 1)
    times.update((int(number, 16), count) for number, count in written.more.items())
    return ClassSketch(written.level, times, written.runs)


class _Written(msgspec.Struct, omit_defaults=True):
    """A sketch on the line.  Args: once: classes that were met once, as Base64.  more: the others, in hex."""

    runs: Count = 0
    level: Annotated[int, msgspec.Meta(ge=0, le=BITS)] = 0
    once: bytes = b""
    more: dict[str, Count] = {}
