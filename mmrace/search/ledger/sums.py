"""What came of some runs, as sums: the part of a ledger entry that can be added up.

Invariant: whole numbers add up the same in any order (seconds nearly so), and what was added can be taken away again;
so a batch that a larger one contains can give way to it.  Not here: which runs they are (`entry.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from mmrace.search.ledger.sketch import ClassSketch
from mmrace.search.totals import Tally

_COUNTED = ("verdicts", "counters", "marks", "unknown", "alone", "expected", "known", "hits")
_NUMBERS = ("runs", "ops", "given_up")


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

    def add(self, other: Sums) -> None:
        """Add other runs."""
        self._take(other, 1)
        if other.sketch is not None:
            if self.sketch is None:
                self.sketch = ClassSketch()
            self.sketch.merge(other.sketch)

    def remove(self, other: Sums) -> None:
        """Take away runs that were added before."""
        self._take(other, -1)
        if other.sketch is not None and self.sketch is not None:
            self.sketch.remove(other.sketch)
            if not self.sketch.runs:
                self.sketch = None

    def _take(self, other: Sums, sign: int) -> None:
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        self.seconds = round(self.seconds + sign * other.seconds, 6)
        for name in _COUNTED:
            theirs = getattr(other, name)
            if theirs:
                mine = getattr(self, name)
                for key, times in theirs.items():
                    left = mine.get(key, 0) + sign * times
                    if left:
                        mine[key] = left
                    else:
                        mine.pop(key, None)


def _nonzero(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: times for name, times in counted.items() if times}


def encode_hook(value: object) -> object:
    """Return what stands for a value that JSON does not know: of a sketch, its classes as eight bytes each."""
    assert isinstance(value, ClassSketch), value
    ones = b"".join(digest.to_bytes(8, "big") for digest, times in sorted(value.times.items()) if times == 1)
    more = {f"{digest:x}": times for digest, times in sorted(value.times.items()) if times != 1}
    return _Written(value.runs, value.level, ones, more)


def decode_hook(kind: type, value: object) -> object:
    """Return a sketch from what was written.  Raises msgspec.ValidationError."""
    assert kind is ClassSketch, kind
    written = msgspec.convert(value, _Written)
    ones, more = written.once, written.more
    if len(ones) % 8:
        raise ValueError(f"classes are eight bytes each, these are {len(ones)} bytes")
    times = {int.from_bytes(ones[place : place + 8], "big"): 1 for place in range(0, len(ones), 8)}
    times.update((int(digest, 16), count) for digest, count in more.items())
    return ClassSketch(written.level, times, written.runs)


class _Written(msgspec.Struct, omit_defaults=True):
    """A sketch on the line.  Args: once: classes that were met once, as Base64.  more: the others, in hex."""

    runs: int = 0
    level: int = 0
    once: bytes = b""
    more: dict[str, int] = {}
