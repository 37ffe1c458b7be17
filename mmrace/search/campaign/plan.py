"""Which planted bugs a campaign looks for, and their runs: functions of its seed.

Invariant: run k of a canary's trial is a function of (campaign seed, canary, k) alone, whatever the number of workers,
the batches, and the order in which results come back.
Not here: the other runs (`sequences.py`).
"""

from __future__ import annotations

import math
import random

from mmrace.runs.spec import RunSpec, derive
from mmrace.search.campaign.request import DEFAULT_SECONDS, Request
from mmrace.search.catalogue import CanaryLike, Catalogue
from mmrace.strategies import portfolio

QUICK_CAP_RUNS = 60
"""A canary with a cap of at most so many runs is planted in each default campaign: it costs a second or two."""

RARE_SHARE = 0.25
"""Of the other canaries, what part the default campaign plants, drawn by its seed; a longer one a larger part."""

ALL_SECONDS = DEFAULT_SECONDS / RARE_SHARE
"""How long a campaign lasts that plants every canary."""


def to_plant(request: Request, known: Catalogue) -> list[str]:
    """Return the canaries that a campaign without an end looks for, sorted: those whose judge is not switched off."""
    canaries = known.canaries.items() if request.canaries else ()
    return sorted(name for name, canary in canaries if canary.oracle not in request.without)


def planted(request: Request, known: Catalogue, before: int = 0) -> tuple[str, ...]:
    """Return the canaries to be looked for, sorted: all if there is time, or no limit of it.

    Args: before: how many campaigns the store has: each draws anew, so that in time all have their turn.
    In the default time: those that are found quickly, and a share of the rest; in less, the same share of these, so
    that each has the time that it has in the default campaign, and the programs that were asked for have theirs.
    """
    names = to_plant(request, known)
    engine = request.engine or "free"
    rare = [name for name in names if known.canaries[name].cap_under(engine) > QUICK_CAP_RUNS]
    if request.seconds is None or request.seconds >= ALL_SECONDS:
        return tuple(names)
    chosen = random.Random(derive(request.seed, "planted", *([before] if before else [])))
    minutes = request.seconds / DEFAULT_SECONDS
    drawn = chosen.sample(rare, math.ceil(len(rare) * RARE_SHARE * max(1.0, minutes)))
    due = [name for name in names if name not in rare or name in drawn]
    if minutes < 1:
        due = chosen.sample(due, int(len(due) * minutes))
    return tuple(sorted(due))


def share_of(names: tuple[str, ...], shard: tuple[int, int] | None) -> tuple[str, ...]:
    """Return which of the planted bugs a shard looks for: each is looked for by one of them."""
    return names if shard is None else names[shard[0] - 1 :: shard[1]]


def canary_spec(request: Request, canary: CanaryLike, attempt: int, *, planted: bool) -> RunSpec:
    """Return run `attempt` of a canary's trial, or of its twin: the same run of the unmodified protocol."""
    return RunSpec(
        program=canary.scenario,
        params=tuple(sorted(canary.params_under(request.engine or "free").items())),
        variant=canary.name if planted else "",
        engine=request.engine or "free",
        strategy=portfolio.member(attempt),  # its cap was measured under the portfolio
        noise=canary.noise,
        seed=derive(request.seed, "canary", canary.name, attempt),
        workload=None,
        without=request.without,
    )
