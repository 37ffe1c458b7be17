"""Canaries: planted bugs that every campaign must find, or its own verdict is worth nothing.

Each names where it is to be found, by which oracle, and how often it was (``stress/bench/canaries.py``).  The cap in
runs follows from that: p is half of the lower end of the 99 % Wilson interval of the measured rate (half, because
another machine interleaves threads otherwise, and a change of the model moves schedules), and a search of that many
runs misses it with probability below MISS.  Found means by the oracle named, never by a stray Python exception; the
unmodified twin must pass the same runs.

There are two places, since threads that run freely and schedules that are chosen have different needs: the first meet
only in long runs with pauses, the second pay for each op and want the shortest run that has the bug in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mmrace.history.variant import Variant
from mmrace.oracles.general.judgement import Finding

MISS = 1e-6
"""Accepted chance that a campaign misses one canary by bad luck."""

SAFETY = 0.5
Z99 = 2.576
"""Normal quantile of a two-sided 99 % interval."""


@dataclass(frozen=True)
class Canary:
    """One planted bug: where to look for it and who must see it.

    Args: params, noise: of runs under `free`.  measured: (hits, runs) there.  hunt: what a controlled engine gets over
    `params`.  measured_hunt: (hits, runs) there, under the portfolio.  rule: of the oracle, the rule that this bug
    breaks; "": any.
    """

    variant: Variant
    scenario: str
    oracle: str
    measured: tuple[int, int]
    noise: str = "gentle"
    params: Mapping[str, int | str] = field(default_factory=dict)
    hunt: Mapping[str, int | str] = field(default_factory=dict)
    measured_hunt: tuple[int, int] = (0, 0)
    rule: str = ""

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
        """Runs under `free` within which it is found but for a chance of MISS."""
        return self.cap_under("free")

    def cap_under(self, engine: str) -> int:
        """Return the runs under an engine within which it is found but for a chance of MISS.

        Under a controlled engine, runs of the portfolio.  Raises ValueError if it was never measured there.
        """
        return cap(SAFETY * wilson_low(*(self.measured if engine == "free" else self.measured_hunt)))

    def params_under(self, engine: str) -> dict[str, int | str]:
        """Return the parameters of its runs under an engine."""
        return dict(self.params) if engine == "free" else {**self.params, **self.hunt}

    def caught_in(self, findings: Iterable[Finding]) -> bool:
        """Say whether its own oracle caught it, by its own rule if it names one."""
        return any(finding.oracle == self.oracle and self.rule in ("", finding.rule) for finding in findings)


def wilson_low(hits: int, runs: int) -> float:
    """Return the lower end of the 99 % Wilson interval of a rate; 0 if there was no run."""
    if not runs:
        return 0.0
    share, z = hits / runs, Z99
    middle = share + z * z / (2 * runs)
    spread = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return max(0.0, (middle - spread) / (1 + z * z / runs))


def cap(hit_rate: float) -> int:
    """Return the least n with (1 - hit_rate)^n < MISS.  Args: hit_rate: in (0, 1).  Raises ValueError."""
    if not 0 < hit_rate < 1:
        raise ValueError(f"expected a hit rate in (0, 1), got {hit_rate}: such a canary needs another cast")
    return math.ceil(math.log(MISS) / math.log1p(-hit_rate))
