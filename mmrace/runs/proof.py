"""What is proved of a minimal schedule: how sure the failure is after each of its steps, and from where on for certain.

A *prefix* is the first so many ops of the minimal run; its *continuations* are all runs that begin with it.  A share is
that of drawn continuations that have the finding, with its 95 % Wilson interval; where the tree of a prefix was walked
to its end, the figures are of all its classes of interleavings, and nothing is left to chance.

That *all* continuations fail cannot end once it has begun: those of a longer prefix are among those of a shorter one.
So there is one point of no return, though shares go up and down before it.  Not here: how it is found (`search/prove`),
and text for people (`report/proof.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from mmrace.runtime.decoding import Count

Z95 = NormalDist().inv_cdf(0.975)
DIGITS = 4  # of a share in the file


@dataclass(frozen=True, slots=True)
class Op:
    """One op of the record: `task`'s `visit`th at `site` (from 1), and its place among the record's events.

    An op that its task still waits to do at the end is no event: then `event` is the last one of the task.
    """

    task: str
    site: str
    visit: Count
    event: Count


@dataclass(frozen=True, slots=True)
class Point:
    """After `step` ops, the last of them `after` (None: none was done), `fails` of `of` drawn continuations fail.

    `low`, `high`: the 95 % Wilson interval of that share.
    """

    step: Count
    after: Op | None
    fails: Count
    of: Count
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class NoReturn:
    """After `step` ops, the last of them `after`, every continuation seen fails, not earlier: the point of no return.

    If `step` is past the last op, the failure itself is that point: up to it another task could have prevented it.
    Attributes: fails, of: drawn continuations, all of which fail.  classes: of the tree from here on, if it was walked
    to its end.  proved: it was, and all of them fail; and a run that passes was seen that leaves the schedule at the
    step before, unless there is none.  proved_from: the first step from which a walk came to its end with failures
    only; None if none did.
    """

    step: Count
    after: Op | None
    fails: Count
    of: Count
    classes: Count | None
    proved: bool
    proved_from: Count | None


@dataclass(frozen=True, slots=True)
class Swap:
    """What comes of one causal ordering the other way round: `fails` of `of` continuations have the finding.

    Attributes: causal: which one, counted from 0.  classes: how many the tree has from the swapped ops on, if it was
    walked to its end; then `of` is that number.  proved: it was, and none of them has the finding.  others: of those
    without it, so many ended in another failure: a standstill, an exception, a broken rule.
    """

    causal: Count
    fails: Count
    of: Count
    classes: Count | None
    proved: bool
    others: Count = 0


@dataclass(frozen=True, slots=True)
class Effort:
    """What it took.

    Attributes: samples: continuations drawn at a point.  complete: the budget lasted, and every walk came to its end.
    spent: where that is not so, whether the whole budget was used up; None: somebody stopped it, or nobody noted that.
    """

    runs: Count
    seconds: float
    samples: Count
    complete: bool
    spent: bool | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """All of it.  Attributes: points: in the order of the run.  steps: ops of the run.  first: those of them that come
    before anything is chosen, such as set-up.  strategy: by which continuations are drawn."""

    points: tuple[Point, ...]
    no_return: NoReturn | None
    swaps: tuple[Swap, ...]
    steps: Count
    first: Count
    strategy: str
    budget: Effort


def interval(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share; that of nothing is (0, 1)."""
    if of <= 0:
        return 0.0, 1.0
    hits = min(hits, of)  # a run that takes several processes with it has a hit each time
    share, square = hits / of, Z95 * Z95
    middle = share + square / (2 * of)
    half = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    low, high = ((middle + side) / (1 + square / of) for side in (-half, half))
    return max(low, 0.0), min(high, 1.0)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the interval of a share as a file keeps it, rounded."""
    low, high = interval(hits, of)
    return round(low, DIGITS), round(high, DIGITS)
