"""Sketches: which classes of interleavings were met and how often, in bounded room, for sums over any number of runs.

A sketch of level n keeps the classes whose mixed number begins with n zero bits: one in 2^n of them, chosen by the
class alone, each with its exact count.  When they are too many, the level rises.  Invariant: merging is commutative
and associative, since the level that fits a union fits each part of it; at level 0 nothing is estimated.  Not here:
what a class is (`strategies/order/classes.py`).

Sources: Gibbons 2001 (distinct sampling); Good 1953; Chao 1984, 1987 (the interval).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from mmrace.runs.proof import Z95

SIZE = 4096
"""Classes in a sketch: the estimate of how many there are has a standard error of 1.6 to 2.2 percent."""
BATCH_SIZE = 64
"""Classes in the sketch of one batch: a line stays below a kilobyte or so."""
BITS = 64
_MASK = (1 << BITS) - 1


def mixed(digest: int) -> int:
    """Return a class's mixed number, 64 bits: another one for each class (splitmix64, which can be undone)."""
    value = (digest + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class ClassSketch:
    """Classes that were met, all of them at level 0, else a sample.

    Args: times: mixed number of a class -> how often.  runs: how many there were in all, seen in the sample or not.
    """

    __slots__ = ("level", "runs", "times")

    def __init__(self, level: int = 0, times: Mapping[int, int] | None = None, runs: int | None = None) -> None:
        self.level = level
        self.times: dict[int, int] = dict(times or {})
        self.runs = sum(self.times.values()) << level if runs is None else runs

    @classmethod
    def of(cls, digests: Iterable[int]) -> ClassSketch:
        """Return the sketch of some runs."""
        sketch = cls()
        for digest in digests:
            sketch.add(digest)
        return sketch

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClassSketch):
            return NotImplemented
        return (self.level, self.runs, self.times) == (other.level, other.runs, other.times)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ClassSketch(level={self.level}, {len(self.times)} classes, runs={self.runs})"

    def add(self, digest: int) -> None:
        """Count one run."""
        self.runs += 1
        number = mixed(digest)
        if number >> (BITS - self.level):
            return
        self.times[number] = self.times.get(number, 0) + 1
        if len(self.times) > SIZE:
            self._rise(self.level, SIZE)

    def merge(self, other: ClassSketch) -> None:
        """Add another sketch's runs."""
        self.runs += other.runs
        self._rise(max(self.level, other.level), None)
        mine, end = self.times, 1 << (BITS - self.level)
        for number, times in other.times.items():
            if number < end:
                mine[number] = mine.get(number, 0) + times
        self._rise(self.level, SIZE)

    def remove(self, other: ClassSketch) -> None:
        """Take away runs that were merged before.  The level stays, though a lower one may fit again."""
        self.runs -= other.runs
        for number, times in other.times.items():
            left = self.times.get(number, 0) - times
            if left > 0:
                self.times[number] = left
            else:
                self.times.pop(number, None)

    def cut(self, size: int = BATCH_SIZE) -> ClassSketch:
        """Return a sketch of the same runs with at most so many classes."""
        small = ClassSketch(self.level, self.times, self.runs)
        small._rise(small.level, size)
        return small

    def _rise(self, level: int, size: int | None) -> None:
        """Go up to a level, and on until no more classes are left than `size`."""
        while level > self.level or (size is not None and len(self.times) > size and self.level < BITS):
            self.level = max(self.level + 1, level)
            end = 1 << (BITS - self.level)
            self.times = {number: times for number, times in self.times.items() if number < end}

    # -- what it says -----------------------------------------------------------------------------------------------

    def _met(self, times: int) -> int:
        return sum(count == times for count in self.times.values())

    def distinct(self) -> int:
        """Return how many classes were met: exact at level 0, else an unbiased estimate."""
        return len(self.times) << self.level

    def distinct_interval(self) -> tuple[float, float]:
        """Return where the number of classes that were met lies, 95 percent."""
        kept, share = len(self.times), 0.5**self.level
        spread = Z95 * math.sqrt(kept * (1 - share))
        return max(kept, (kept - spread) / share), (kept + spread + (0 if kept else 3.0 * (1 - share))) / share

    def once(self) -> int:
        """Return how many classes were met once."""
        return self._met(1) << self.level

    def twice(self) -> int:
        """Return how many classes were met twice."""
        return self._met(2) << self.level

    def unseen_mass(self) -> float:
        """Estimate the chance that the next run shows a new class (Good and Turing); 1 if there was no run."""
        return min(1.0, self.once() / self.runs) if self.runs > 0 else 1.0

    def total_estimate(self) -> float:
        """Estimate, from below, how many classes there are (Chao 1984, bias-corrected)."""
        once, twice = self._met(1), self._met(2)
        return (len(self.times) + once * (once - 1) / (2 * (twice + 1))) * 2.0**self.level

    def interval(self) -> tuple[float, float] | None:
        """Return where the estimated total lies, 95 percent, never below what was met; None if that is not known.

        Chao's log-normal interval, widened by what the sample adds; not known when no class was met twice.
        """
        once, twice, kept = self._met(1), self._met(2), len(self.times)
        if not twice:
            return (float(kept), float(kept)) if self.level == 0 and kept and not once else None
        ratio = once / twice
        unseen = once * (once - 1) / (2 * (twice + 1))
        variance = twice * (ratio**2 / 2 + ratio**3 + ratio**4 / 4)
        variance += (kept + unseen) * (1 - 0.5**self.level)
        if not unseen or not variance:
            return self.distinct_interval()
        factor = math.exp(Z95 * math.sqrt(math.log1p(variance / unseen**2)))
        scale = 2.0**self.level
        low, high = kept + unseen / factor, kept + unseen * factor
        if self.level:
            low = min(low, kept + unseen - Z95 * math.sqrt(variance))
        return max(low, kept / scale) * scale, high * scale
