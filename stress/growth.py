"""Whether a row of samples grows: a slope that no step, peak or gap moves much, with its interval.

Theil (1950) and Sen (1968): the median of the slopes between all pairs of samples; Sen's interval from Kendall's
statistic.  Samples are first put together into bins, by their median: what memory does in one second says much of the
next, and the interval takes samples for independent.  So it is rather too narrow than too wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

BINS_MAX = 60
NORMAL_95 = 1.96
HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth per hour, the ends of its interval of 95 %, and over how many seconds that was seen."""

    per_hour: float
    low: float
    high: float
    seconds: float


def binned(samples: Sequence[tuple[float, float]], bins: int = BINS_MAX) -> list[tuple[float, float]]:
    """Return at most so many points, each the median of the samples of a stretch of equal length."""
    if len(samples) <= bins:
        return list(samples)
    first, last = samples[0][0], samples[-1][0]
    rows: dict[int, list[tuple[float, float]]] = {}
    for when, value in samples:
        rows.setdefault(min(bins - 1, int((when - first) / (last - first) * bins)), []).append((when, value))
    return [(median(when for when, _ in row), median(value for _, value in row)) for _, row in sorted(rows.items())]


def slope(samples: Sequence[tuple[float, float]]) -> Slope | None:
    """Return the slope of (seconds, value), in order of time; None of fewer than three points."""
    points = binned(samples)
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])
    count = len(points)
    if count < 3 or not slopes:
        return None
    spread = NORMAL_95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = slopes[max(0, math.floor((len(slopes) - spread) / 2))]
    high = slopes[min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))]
    seconds = points[-1][0] - points[0][0]
    return Slope(median(slopes) * HOUR_SECONDS, low * HOUR_SECONDS, high * HOUR_SECONDS, seconds)
