"""Canaries: planted bugs that every campaign must find, or its own verdict is worth nothing.

Each names where to look for it, and the oracle that must see it.  How often that oracle did was measured (`rates.py`),
and the cap in runs follows: p is half of the lower end of the 99 % Wilson interval of the measured rate (half, because
another machine interleaves threads otherwise, and a change of the model moves schedules), and a search of that many
runs misses the canary with probability below MISS.  Found means by the oracle named, never by a stray Python exception;
the unmodified twin must pass the same runs.

There are two places to look, since threads that run freely and schedules that are chosen have different needs: free
threads meet only in long runs with pauses; a chosen schedule pays for each op, and the shortest run that has the bug in
it is the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mmrace.history import rates
from mmrace.history.rates import Rate
from mmrace.history.variant import Variant
from mmrace.oracles.general.judgement import Finding
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Value

MISS = 1e-6
"""Accepted chance that a campaign misses one canary by bad luck."""

SAFETY = 0.5
Z99 = 2.576
"""Normal quantile of a two-sided 99 % interval."""


_SHORTEST: Mapping[str, Value] = {
    "idle": 0, "pages": 1, "words": 1, "rounds": 1, "migrations": 1, "passes": 1, "batch": 1,
}  # fmt: skip


def shortest(**others: Value) -> dict[str, Value]:
    """Return parameters of a run that is as short as its actors can make it, but for those given."""
    return {**_SHORTEST, **others}


@dataclass(frozen=True)
class Canary:
    """One planted bug: where to look for it and who must see it.

    Args: oracle, rule: who must see it, and the rule of that oracle which the bug breaks ("": any of them).  params,
    noise: of runs under `free`.  hunt: what a controlled engine gets over `params`.
    """

    variant: Variant
    scenario: str
    oracle: str
    rule: str = ""
    noise: str = "gentle"
    params: Mapping[str, Value] = field(default_factory=dict)
    hunt: Mapping[str, Value] = field(default_factory=dict)

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

    def rate_under(self, engine: str) -> Rate:
        """Return how often it was found under an engine; 0 of 0 if that was never measured."""
        return rates.load().get(self.name, {}).get(rates.place_of(engine), Rate(0, 0))

    def cap_under(self, engine: str) -> int:
        """Return the runs under an engine within which it is found but for a chance of MISS.

        Under a controlled engine these are runs of the portfolio.  Raises UsageError if it was never found there.
        """
        rate = self.rate_under(engine)
        if not rate.hits:
            raise UsageError(
                expected=f"a canary whose hit rate was measured under {engine}",
                got=f"{rate.hits} hits in {rate.runs} runs",
                where=f"canary {self.name}",
                try_=f"python stress/bench/canaries.py --canary {self.name} --write, and if that finds nothing either, "
                "another place to look; meanwhile --no-canaries",
            )
        return cap(SAFETY * wilson_low(*rate))

    def params_under(self, engine: str) -> dict[str, Value]:
        """Return the parameters of its runs under an engine."""
        return dict(self.params) if engine == "free" else {**self.params, **self.hunt}

    def caught_in(self, findings: Iterable[Finding]) -> bool:
        """Say whether its own oracle caught it, by its own rule if the canary names one."""
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
    """Return the least n with (1 - hit_rate)^n < MISS.  Args: hit_rate: in (0, 1)."""
    assert 0 < hit_rate < 1, hit_rate
    return math.ceil(math.log(MISS) / math.log1p(-hit_rate))
