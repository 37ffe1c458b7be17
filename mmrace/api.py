"""The front door from Python: `mmrace.explore`.

The first argument says what is explored: a function on `mmrace.runtime`; the text of one, ``FILE.py:main``; or the name
of a scenario of the kernel model.  Invariant: only a scenario's name imports the kernel model.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import functions
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Value
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
    records: signature -> record file, of findings that were kept.
    """

    verdict: str
    because: str
    findings: tuple[Finding, ...]
    schedules: int
    classes: int
    exhaustive: bool
    records: Mapping[str, Path]


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
    without: tuple[str, ...] = (),
    until_found: bool = False,
    jobs: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> Explored:
    """Explore the interleavings of a program, one task at a time; judge each run.

    Args: schedules, seconds: how many, how long; neither: `SECONDS`, or with `exhaustive` until the end.  strategy: as
    ``mmrace list strategies`` has them; default: a mix, or with `exhaustive` dpor.  params: a function's own
    parameters, or a scenario's.  jobs: worker processes, 0: this one.  folder: where the records of findings go; None:
    nowhere.  Raises UsageError for a wrong call.
    """
    text = strategy or ("dpor" if exhaustive else "portfolio")
    if schedules is None and seconds is None and not exhaustive:
        seconds = SECONDS
    name, kind, digest, makers = _resolved(program, jobs)
    ask = Ask(
        name,
        maker=kind,
        digest=digest,
        exhaustive=exhaustive,
        engine=engine,
        strategy=text,
        seed=seed,
        seconds=seconds,
        runs=schedules,
        jobs=jobs,
        params=tuple(sorted((params or {}).items())),
        variant=variant,
        without=without,
        until_found=until_found,
    )
    if folder is not None:
        return _explored(Explorer(ask, makers, Path(folder), _Silent()).run(), kept=True)
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        return _explored(Explorer(ask, makers, Path(scratch), _Silent()).run(), kept=False)


class _Silent:
    """An observer that tells nobody."""

    def progress(self, result: Exploration) -> None:
        """Do nothing."""

    def found(self, hit: Hit) -> None:
        """Do nothing."""


def _resolved(program: Callable[..., object] | str, jobs: int) -> tuple[str, str, str, Makers]:
    """Return a program's name, kind and digest, and who makes it.  Raises UsageError."""
    if callable(program):
        name, digest = functions.named(program)
        if jobs and not digest:
            raise UsageError(
                expected="a function of a file's top level, which other processes can load",
                got=name,
                where="explore",
                try_="jobs=0, which explores in this process",
            )
        return name, functions.KIND, digest, Makers(FunctionMaker({} if jobs else {name: program}))
    if functions.is_function(program):
        return program, functions.KIND, functions.load(program)[1], Makers(FunctionMaker())
    from mmrace.installed import MAKERS  # noqa: PLC0415  (the kernel model, which a function has no use for)

    return program, "scenario", "", MAKERS


def _explored(result: Exploration, *, kept: bool) -> Explored:
    records = {}
    for signature, hit in result.hits.items():
        record = Path(hit.saved.folder, "record.jsonl")
        if kept and hit.saved.folder and record.exists():
            records[signature] = record
    because = "; ".join([trouble.text for trouble in result.troubles] or [result.unknown_because()])
    return Explored(
        verdict=result.verdict,
        because=because if result.verdict == "UNKNOWN" else "",
        findings=tuple(hit.finding for hit in result.hits.values()),
        schedules=result.tally.runs,
        classes=result.classes.distinct,
        exhaustive=result.exhaustive,
        records=records,
    )
