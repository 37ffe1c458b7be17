"""What the sequences of a campaign are, so that another campaign knows them again.

Invariant: two sequences with one key have the same run at each turn: all that a run depends on is in it, and what it
does not depend on (how long, how many workers, what else ran) is not.  Not here: the runs themselves (`sequences.py`,
`plan.py`).
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Literal

from mmrace.runs.revision import revision
from mmrace.search.campaign.request import Request
from mmrace.search.campaign.sequences import Row
from mmrace.search.catalogue import CanaryLike
from mmrace.search.ledger.entry import Sequence
from mmrace.strategies import portfolio

WORKLOAD_BYTES = 8  # of a hash; told apart are the states of one file


def of_row(row: Row) -> Sequence:
    """Return what a row of a campaign is."""
    request, scenario = row.request, row.known.scenarios[row.scenario]
    controlled = row.engine != "free"
    return Sequence(
        revision(),
        row.scenario,
        request.seed,
        row.engine,
        maker=scenario.maker,
        digest=scenario.digest,
        files=_files(request),
        params=request.params,
        era=request.era,
        variant=request.variant,
        strategy=request.strategy if controlled else "",
        noise="" if controlled else request.noise or "",
        workload=_workload(row.workload, row.known.workloads),
        without=request.without,
    )


def of_trial(request: Request, canary: CanaryLike, role: Literal["canary", "twin"]) -> Sequence:
    """Return what the runs of a planted bug are, or those of its twin."""
    engine = request.engine or "free"
    return Sequence(
        revision(),
        canary.scenario,
        request.seed,
        engine,
        role=role,
        trial=canary.name,
        params=tuple(sorted(canary.params_under(engine).items())),
        variant=canary.name if role == "canary" else "",
        strategy=portfolio.NAME if engine != "free" else "",
        noise=canary.noise if engine == "free" else "",
        without=request.without,
    )


def _files(request: Request) -> tuple[str, ...]:
    return tuple(file.digest for file in request.load)


@cache
def _workload(name: str | None, packaged: tuple[str, ...]) -> str:
    """Return a workload that comes with the package by its name, and a file by its name and content."""
    if name is None or name in packaged:
        return name or ""
    try:
        content = Path(name).read_bytes()
    except OSError:  # its first run says so
        return name
    return f"{Path(name).name} {hashlib.blake2b(content, digest_size=WORKLOAD_BYTES).hexdigest()}"
