"""Upper bounds, valid for any number of runs, on the chance that a right sampler looks as wrong as what was counted.

Each is a theorem about finite samples, not the usual limit.  A test fails where its bound is below `FALSE_ALARM`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from fractions import Fraction
from math import e, exp, log
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

FALSE_ALARM = 1e-6  # chance that a right sampler fails one test, had the seeds not been fixed


def divergence(counts: Mapping[K, int], chances: Mapping[K, Fraction]) -> float:
    """Return runs * KL(counted || expected), in nats; infinite if something impossible was counted."""
    runs = sum(counts.values())
    total = 0.0
    for outcome, count in counts.items():
        if not chances.get(outcome):
            return float("inf")
        total += count * log(count / (runs * float(chances[outcome])))
    return total


def as_uneven(counts: Mapping[K, int], chances: Mapping[K, Fraction]) -> float:
    """Return a bound on the chance that outcomes of these chances give counts that diverge as much.

    Source: R. Agrawal, "Finite-sample concentration of the multinomial in relative entropy", 2020, theorem 1.2:
    P(D >= x / runs) <= exp(-x) * (e * x / (k - 1)) ** (k - 1) for x > k - 1, with k outcomes.
    """
    assert sum(chances.values()) == 1
    x, free = divergence(counts, chances), len(chances) - 1
    if x <= free:
        return 1.0
    return exp(-x + free * log(e * x / free)) if x < float("inf") else 0.0


def as_few(found: int, runs: int, chance: Fraction | float) -> float:
    """Return a bound on the chance to find it `found` times or fewer, if each run finds it with `chance` or more.

    Source: Chernoff; P(Bin(n, p) <= q * n) <= exp(-n * KL(q || p)) for q <= p.
    """
    p, q = float(chance), found / runs
    if q >= p:
        return 1.0
    kl = (1 - q) * log((1 - q) / (1 - p)) + (q * log(q / p) if q else 0.0)
    return exp(-runs * kl)
