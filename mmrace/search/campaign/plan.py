"""Which run comes next: the plan of a campaign as a function of its seed.

Invariant: run i of a campaign, and run k of a canary's trial, are functions of (campaign seed, i) and of (campaign
seed, canary, k) alone, whatever the number of workers, the batches, and the order in which results come back.
Not here: how long a campaign lasts, and who runs what.
"""

from __future__ import annotations

import math
import random

from mmrace.runs.spec import RunSpec, derive
from mmrace.search.campaign.request import DEFAULT_SECONDS, Request
from mmrace.search.catalogue import CanaryLike, Catalogue
from mmrace.strategies import portfolio, registry

GATE_EVERY = 4
"""Without `--engine`, one round of the scenarios in this many runs under `gate`: free noise finds what nobody
imagined, so it gets the larger share; a gate round costs less time and visits orders that the OS never chooses."""


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


def planted(request: Request, known: Catalogue) -> tuple[str, ...]:
    """Return the canaries to be looked for, sorted: all if there is time, or no limit of it.

    In the default time: those that are found quickly, and a share of the rest; in less, the same share of these, so
    that each has the time that it has in the default campaign, and the programs that were asked for have theirs.
    """
    names = to_plant(request, known)
    engine = request.engine or "free"
    rare = [name for name in names if known.canaries[name].cap_under(engine) > QUICK_CAP_RUNS]
    if request.seconds is None or request.seconds >= ALL_SECONDS:
        return tuple(names)
    chosen = random.Random(derive(request.seed, "planted"))
    minutes = request.seconds / DEFAULT_SECONDS
    drawn = chosen.sample(rare, math.ceil(len(rare) * RARE_SHARE * max(1.0, minutes)))
    due = [name for name in names if name not in rare or name in drawn]
    if minutes < 1:
        due = chosen.sample(due, int(len(due) * minutes))
    return tuple(sorted(due))


def engine_of_round(request: Request, turn: int) -> str:
    """Return the engine of a whole round of the scenarios, so that batches need not mix engines."""
    if request.engine is not None:
        return request.engine
    return "gate" if turn % GATE_EVERY == GATE_EVERY - 1 else "free"


def round_length(request: Request, known: Catalogue) -> int:
    """Return how many runs one round has."""
    return len(_entries(request, known))


def _entries(request: Request, known: Catalogue) -> tuple[tuple[str, str | None], ...]:
    """Pair each scenario with the workload that it performs: the chosen one, or each of the packaged ones, or none."""
    entries: list[tuple[str, str | None]] = []
    for name in request.scenarios:
        if not known.scenarios[name].needs_workload:
            entries.append((name, None))
        elif request.workload is not None:
            entries.append((name, request.workload))
        else:
            entries.extend((name, workload) for workload in known.workloads)
    return tuple(entries)


def main_spec(request: Request, known: Catalogue, index: int) -> RunSpec:
    """Return run `index` of the campaign: a variation of its scenario, over which the given parameters go.

    Noise profiles go round per scenario, each scenario one profile ahead of the one before, so that a short campaign
    still meets many pairs.
    """
    entries = _entries(request, known)
    turn, place = divmod(index, len(entries))
    scenario, workload = entries[place]
    engine = engine_of_round(request, turn)
    profiles = tuple(known.noise)
    if engine != "free":
        noise = profiles[0]
    elif request.noise is not None:
        noise = request.noise
    else:
        free_turn = turn if request.engine else turn - turn // GATE_EVERY
        noise = profiles[(free_turn + place) % len(profiles)]
    variations = known.scenarios[scenario].variations
    variation = variations[derive(request.seed, "variation", index) % len(variations)]
    return RunSpec(
        program=scenario,
        params=tuple(sorted({**variation, **dict(request.params)}.items())),
        variant=request.variant,
        era=request.era,
        engine=engine,
        strategy=registry.member_by_turn(request.strategy, turn),
        noise=noise,
        seed=derive(request.seed, "run", index),
        workload=workload,
        load=request.load,
        maker=known.scenarios[scenario].maker,
        digest=known.scenarios[scenario].digest,
        without=request.without,
    )


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
