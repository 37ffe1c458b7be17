"""The options that campaigns, explorations and claims share: all of them make many runs.

One definition and one set of defaults; each request adds its own.  Invariant: what a `RunSpec` shares with its request
is named here.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.runs.spec import LoadedFile, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of many runs.

    Args: seed: run i depends on seed and i alone.  seconds, runs: how long, how many at most; None for no such bound.
    jobs: worker processes; 0 for one on each core.  engine, noise: None for all in turn.  strategy: who goes next under
    a controlled engine.  params, variant, era, workload, load: of the programs (`RunSpec`).  promote: for drawn
    schedules; a walk switches at every plain access.  without: judges that are switched off.  until_found: stop at the
    first finding.
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
    era: str = ""
    workload: str | None = None
    promote: str = "racing"
    without: tuple[str, ...] = ()
    load: tuple[LoadedFile, ...] = ()
    until_found: bool = False
