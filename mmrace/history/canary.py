"""Canaries: planted bugs that every campaign must find, or its own verdict is worth nothing.

Each names where it is to be found, by which oracle, and within how many runs.  The cap is set from a measured hit rate
p (``stress/bench/canaries.py``): a miss within `cap` runs has probability (1-p)^cap < 1e-6 even at the lower end of
p's 99 % confidence interval.  Found means by the oracle named, never by a stray Python exception; the unmodified twin
must pass the same runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmrace.history.variant import Variant

MISS = 1e-6
"""Accepted chance that a campaign misses one canary by bad luck."""


@dataclass(frozen=True)
class Canary:
    """One planted bug: where to look for it and who must see it.

    Args: noise: of runs under `free`.  hit_rate: lower bound of its measured rate of being found in one such run.
    """

    variant: Variant
    scenario: str
    oracle: str
    noise: str = "gentle"
    params: Mapping[str, int | str] = field(default_factory=dict)
    hit_rate: float = 0.1

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.variant.name

    @property
    def title(self) -> str:
        """What is wrong in it."""
        return self.variant.title

    @property
    def source(self) -> str:
        """Where the idea comes from."""
        return self.variant.source

    @property
    def cap_runs(self) -> int:
        """Runs within which it is found but for a chance of MISS."""
        return cap(self.hit_rate)


def cap(hit_rate: float) -> int:
    """Return the least n with (1 - hit_rate)^n < MISS.  Args: hit_rate: in (0, 1]."""
    if hit_rate >= 1:
        return 1
    return math.ceil(math.log(MISS) / math.log1p(-hit_rate))
