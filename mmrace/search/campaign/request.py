"""What somebody asks of a campaign, and the check of it against what there is.

Invariant: a request that `complete` returned names only what exists, and says how long to run in exactly one way.
Not checked: whether a workload file can be read; its first run says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mmrace.runtime.errors import UsageError
from mmrace.search.catalogue import Catalogue, parameters, pick
from mmrace.search.options import Options
from mmrace.search.pool.cores import cores

CONVERT_SECONDS = 10.0
"""Some hundred small runs.  A finding that a program has in each tenth run under control is missed by so many with a
chance far below one in a million."""
DEFAULT_SECONDS = 60.0
"""How long the default campaign lasts.  `make stress` must end within two minutes on two cores."""
JOBS_MAX = 64


@dataclass(frozen=True, slots=True)
class Request(Options):
    """A campaign to run.

    `scenarios` empty: all.  `seconds` and `runs` None: the default length.  `convert`: seconds for which a new finding
    of free threads is searched under control, after their record was followed; None: neither.  `anew`: from the first
    turn of each sequence, whatever the store has; else the next turns.  `shard`: (i, n), the i-th of n that share the
    planted bugs, each with turns of its own; None: alone.
    """

    scenarios: tuple[str, ...] = ()
    canaries: bool = True
    keep_canaries: bool = False
    convert: float | None = CONVERT_SECONDS
    anew: bool = False
    shard: tuple[int, int] | None = None


def complete(known: Catalogue, request: Request, params: Iterable[str] = ()) -> Request:
    """Return the request, completed.  `params` are ``key=value`` texts.  Raises UsageError."""
    scenarios = _scenarios(known, request.scenarios, request.workload)
    if request.noise is not None:
        pick("noise", request.noise, known.noise)
        if request.engine in ("gate", "fiber") and request.noise != next(iter(known.noise)):
            raise UsageError(
                expected=f"no noise under {request.engine}",
                got=request.noise,
                where="--noise",
                try_="--engine free, or no --noise",
            )
    if request.variant:
        pick("variant", request.variant, known.variants)
    if request.era:
        pick("era", request.era, known.eras)
    if request.runs is not None and request.seconds is not None:
        raise UsageError(expected="--for or --runs", got="both", try_="one of them")
    endless = request.seconds is None and request.runs is None
    jobs = workers(request.jobs)
    return replace(
        request,
        scenarios=scenarios,
        era="" if request.era == known.era else request.era,
        seconds=DEFAULT_SECONDS if endless else request.seconds,
        jobs=jobs,
        params=parameters(params, [known.scenarios[name] for name in scenarios]),
    )


def workers(jobs: int) -> int:
    """Return how many worker processes are meant; 0: one for each core.  Raises UsageError."""
    jobs = jobs or len(cores())
    if not 1 <= jobs <= JOBS_MAX:
        raise UsageError(expected=f"1 to {JOBS_MAX} jobs", got=jobs, where="--jobs", try_="--jobs 2")
    return jobs


def _scenarios(known: Catalogue, names: tuple[str, ...], workload: str | None) -> tuple[str, ...]:
    """Return the scenarios to run; a workload without names means those that perform one.  Raises UsageError."""
    chosen = tuple(dict.fromkeys(pick("scenario", name, known.scenarios) for name in names))
    performers = tuple(name for name in sorted(known.scenarios) if known.scenarios[name].needs_workload)
    if workload is not None:
        wrong = [name for name in chosen if name not in performers]
        if wrong:
            performers_text = ", ".join(performers) or "none here"
            raise UsageError(
                expected="scenarios that perform a workload",
                got=", ".join(wrong),
                where="--workload",
                try_=f"without scenario names, or with: {performers_text}",
            )
        return chosen or performers
    if not known.workloads:
        unable = [name for name in chosen if name in performers]
        if unable:
            raise UsageError(expected=f"--workload FILE for scenario {unable[0]}", got="none")
    scenarios = chosen or tuple(name for name in sorted(known.scenarios) if known.workloads or name not in performers)
    if not scenarios:
        raise UsageError(expected="at least one scenario", got="none", try_="install mmrace whole")
    return scenarios
