"""The options that everything shares which makes many runs: campaigns, explorations, claims.

One definition and one set of defaults; each request adds what only it has.  Invariant: `RunSpec`s of a request take
what they share with it from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.runs.spec import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of many runs.

    Args: seed: run i depends on it and i alone.  seconds, runs: how long, how many at most; None: not bounded by it.
    jobs: worker processes, 0: one for each core.  engine, noise None: all in turn.  strategy: who goes next under a
    controlled engine.  params, variant, workload, load: of the programs (`RunSpec`).  promote: says nothing to a walk,
    which switches at every plain access.  without: judges that are switched off.  until_found: stop at the first
    finding.
    """

    seed: int = 1
    seconds: float | None = None
    runs: int | None = None
    jobs: int = 0
    engine: str | None = None
    noise: str | None = None
    strategy: str = "portfolio"
    params: Params = ()
    variant: str = ""
    workload: str | None = None
    promote: str = "racing"
    without: tuple[str, ...] = ()
    load: tuple[str, ...] = ()
    until_found: bool = False
