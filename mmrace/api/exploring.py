"""`mmrace.explore`: many schedules of one program, from Python."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmrace.api.program import check_number, files_of, naming_params, refuse_while_loading, resolved
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.engines import CONTROLLED
from mmrace.runtime.errors import EXIT_USAGE, UsageError
from mmrace.runtime.param import Value
from mmrace.search.catalogue import pick
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.totals import Hit

SECONDS = 10.0
"""How long an exploration lasts that is told neither a number of schedules nor to walk to the end."""


@dataclass(frozen=True, slots=True)
class Explored:
    """What an exploration came to.

    Attributes: verdict: PASS, FAIL or UNKNOWN.  because: why UNKNOWN.  findings: one of each signature.  schedules:
    runs that were judged.  classes: different classes of interleavings among them.  exhaustive: no class is left.
    records: signature -> record file, of findings that were kept.  known: findings that are expected of the program
    (`Finding.known`), and fail nothing.
    """

    verdict: str
    because: str
    findings: tuple[Finding, ...]
    schedules: int
    classes: int
    exhaustive: bool
    records: Mapping[str, Path]
    known: tuple[Finding, ...] = ()


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during an exploration.  `so_far`: what that came to until then."""

    def __init__(self, so_far: Explored) -> None:
        self.so_far = so_far
        super().__init__()


def explore(
    program: Callable[..., object] | str,
    *,
    schedules: int | None = None,
    seconds: float | None = None,
    strategy: str | None = None,
    exhaustive: bool = False,
    engine: str = "fiber",
    seed: int = 1,
    params: Mapping[str, Value] | None = None,
    variant: str = "",
    era: str = "",
    without: Iterable[str] = (),
    load: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    until_found: bool = False,
    jobs: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> Explored:
    """Explore the interleavings of a program, one task at a time; judge each run.

    Args: program: a function; the name of one, ``FILE.py:main`` or ``package.module:main``; or a scenario's name.
    schedules, seconds: how many, how long; neither: `SECONDS`, or with `exhaustive` until the end.  strategy: as
    ``mmrace list strategies`` has them; default: a mix, or with `exhaustive` dpor.  engine: fiber or gate.  seed:
    schedule i depends on it and i alone.  params: a function's own parameters, or a scenario's.  variant: a planted
    bug, of a scenario.  era: as ``mmrace list eras`` has them, of a scenario.  without: judges to switch off.  load:
    Python files with scenarios, planted bugs, judges or strategies of your own; a process loads each once.
    until_found: stop at the first finding.  jobs: worker processes, 0: this one.  folder: where the records of findings
    go; None: nowhere.

    Raises UsageError for a wrong call, Interrupted on Ctrl-C.
    """
    refuse_while_loading("explore")
    judges = (without,) if isinstance(without, str) else tuple(without)
    numbers = {"schedules": (schedules, 1), "seconds": (seconds, 0), "seed": (seed, 0), "jobs": (jobs, 0)}
    for name, (value, low) in numbers.items():
        check_number("explore", name, value, low)
    pick("engine", engine, CONTROLLED, where="explore")
    text = strategy or ("dpor" if exhaustive else "portfolio")
    if schedules is None and seconds is None and not exhaustive:
        seconds = SECONDS
    files = files_of("explore", load)
    target = resolved("explore", program, loads=bool(files), jobs=jobs)
    ask = Ask(
        target.name,
        maker=target.kind,
        digest=target.digest,
        exhaustive=exhaustive,
        engine=engine,
        strategy=text,
        seed=seed,
        seconds=seconds,
        runs=schedules,
        jobs=jobs,
        params=tuple(sorted((params or {}).items())),
        variant=variant,
        era=target.makers.era(target.kind, era),
        without=judges,
        load=target.makers.load(files),
        until_found=until_found,
    )
    if folder is not None:
        with naming_params("explore"):
            return _explored(Explorer(ask, target.makers, Path(folder), _Silent()).run(), kept=True)
    with naming_params("explore"), tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        return _explored(Explorer(ask, target.makers, Path(scratch), _Silent()).run(), kept=False)


class _Silent:
    """An observer that tells nobody."""

    def progress(self, result: Exploration) -> None:
        """Do nothing."""

    def found(self, hit: Hit) -> None:
        """Do nothing."""


def _explored(result: Exploration, *, kept: bool) -> Explored:
    wrong = [trouble.text for trouble in result.troubles if trouble.exit_code == EXIT_USAGE]
    if wrong and not result.tally.runs:
        raise UsageError(expected="a program that can be run", got=wrong[0], where=f"explore, {result.ask.program}")
    records = {}
    for signature, hit in {**result.hits, **result.known}.items():
        record = Path(hit.saved.folder, "record.jsonl")
        if kept and hit.saved.folder and record.exists():
            records[signature] = record
    because = [trouble.text for trouble in result.troubles] or [result.unknown_because()]
    explored = Explored(
        verdict=result.verdict,
        because="; ".join(filter(None, because)) if result.verdict == "UNKNOWN" else "",
        findings=tuple(hit.finding for hit in result.hits.values()),
        schedules=result.tally.runs,
        classes=result.classes.distinct,
        exhaustive=result.exhaustive,
        records=records,
        known=tuple(hit.finding for hit in result.known.values()),
    )
    if result.interrupted:
        raise Interrupted(explored)
    return explored
