"""How many classes of interleavings were met, and what is said of those that were not, with intervals of 95 percent.

Invariant: nothing is said of classes by runs whose classes nobody noted: a new class is one that no noted run showed.
The runs of a campaign are draws from many programs, not from one urn: what is said holds for runs mixed as these were.

Source: Good 1953; Esty 1983 (the interval of the chance); Chao 1984, 1987 (`search/ledger/sketch.py`).
"""

from __future__ import annotations

import math

from mmrace.report.night.facts import Classes, Estimate
from mmrace.runs.proof import Z95
from mmrace.search.ledger.sketch import ClassSketch

RULE_OF_THREE = 3.0
"""What was not met in n runs has, with 95 percent, a chance of at most three in n."""


def classes_of(sketch: ClassSketch | None) -> Classes | None:
    """Return what a sketch says; None if there is none, or it is empty."""
    if sketch is None or not sketch.runs:
        return None
    total = sketch.interval()
    return Classes(
        met=sketch.distinct(),
        runs=sketch.runs,
        exact=sketch.level == 0,
        once=sketch.once(),
        next_new=_next_new(sketch),
        total=None if total is None else Estimate(sketch.total_estimate(), *total),
    )


def _next_new(sketch: ClassSketch) -> Estimate | None:
    """Return the chance that the next run shows a new class; None of a single run, which says nothing."""
    runs, once, twice = sketch.runs, sketch.once(), sketch.twice()
    if runs < 2:
        return None
    value = sketch.unseen_mass()
    variance = max(once - once * once / runs, 0.0) + 2 * twice
    variance += once * ((1 << sketch.level) - 1)  # that only a sample of the classes was kept
    spread = max(Z95 * math.sqrt(variance), RULE_OF_THREE) / runs
    return Estimate(value, max(0.0, value - spread), min(1.0, value + spread))
