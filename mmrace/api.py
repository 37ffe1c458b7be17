"""The front door from Python: `mmrace.explore`.

The first argument says what is explored: a function on `mmrace.runtime`; the text of one, ``FILE.py:main``; or the name
of a scenario of the kernel model.  Invariant: only a scenario's name, or a file to load, imports the kernel model.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import functions, loading, named
from mmrace.runs.engines import CONTROLLED
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.spec import LoadedFile
from mmrace.runtime.errors import EXIT_USAGE, UsageError
from mmrace.runtime.param import Value
from mmrace.search.catalogue import pick
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.totals import Hit

logger.disable("mmrace")  # a library says nothing unless it is asked: logger.enable("mmrace")

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
    without: Iterable[str] = (),
    load: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    until_found: bool = False,
    jobs: int = 0,
    folder: str | os.PathLike[str] | None = None,
) -> Explored:
    """Explore the interleavings of a program, one task at a time; judge each run.

    Args: program: a function; the name of one, ``FILE.py:main`` or ``package.module:main``; or a scenario's name.
    schedules, seconds: how many, how long; neither: `SECONDS`, or with `exhaustive` until the end.  strategy: as
    ``mmrace list strategies`` has them; default: a mix, or with `exhaustive` dpor.  engine: fiber or gate.  params: a
    function's own parameters, or a scenario's.  variant: a planted bug, of a scenario.  without: judges to switch off.
    load: Python files with scenarios, planted bugs, judges or strategies of your own; a process loads each once.
    until_found: stop at the first finding.  jobs: worker processes, 0: this one.  folder: where the records of findings
    go; None: nowhere.

    Raises UsageError for a wrong call, Interrupted on Ctrl-C.
    """
    _refuse_while_loading()
    judges = (without,) if isinstance(without, str) else tuple(without)
    numbers = {"schedules": (schedules, 1), "seconds": (seconds, 0), "seed": (seed, 0), "jobs": (jobs, 0)}
    for name, (value, low) in numbers.items():
        _check_number(name, value, low)
    pick("engine", engine, CONTROLLED, where="explore")
    text = strategy or ("dpor" if exhaustive else "portfolio")
    if schedules is None and seconds is None and not exhaustive:
        seconds = SECONDS
    files = _files(load)
    name, kind, digest, makers = _resolved(program, jobs, bool(files))
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
        without=judges,
        load=makers.load(files),
        until_found=until_found,
    )
    if folder is not None:
        return _explored(Explorer(ask, makers, Path(folder), _Silent()).run(), kept=True)
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        return _explored(Explorer(ask, makers, Path(scratch), _Silent()).run(), kept=False)


def _refuse_while_loading() -> None:
    place = loading.executing()
    if place:
        raise UsageError(
            expected="no exploration while a file is loaded: it is loaded in each process that runs its functions",
            got=f"one at the top level of {place}",
            where="explore",
            try_='if __name__ == "__main__": mmrace.explore(main)',
        )


def _check_number(name: str, value: object, low: int) -> None:
    """Raise UsageError for what is no number, or too small a one; seconds may be a fraction, above 0."""
    kinds = (int, float) if name == "seconds" else int
    if value is None and name in ("schedules", "seconds"):
        return
    if isinstance(value, bool) or not isinstance(value, kinds) or value < low or (name == "seconds" and not value):
        wanted = "more than 0" if name == "seconds" else f"a whole number, {low} or more"
        raise UsageError(expected=wanted, got=value, where=f"explore({name}=)", try_=f"{name}=10")


class _Silent:
    """An observer that tells nobody."""

    def progress(self, result: Exploration) -> None:
        """Do nothing."""

    def found(self, hit: Hit) -> None:
        """Do nothing."""


def _files(load: object) -> tuple[LoadedFile, ...]:
    """Return the files to load.  Raises UsageError for what names none."""
    paths = (load,) if isinstance(load, str | os.PathLike) or not isinstance(load, Iterable) else tuple(load)
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise UsageError(
                expected="the path of a Python file, or several",
                got=path,
                where="explore(load=)",
                try_='load="cast.py", or load=["cast.py", "bug.py"]',
            )
    return tuple(LoadedFile(os.fspath(path)) for path in paths)


def _resolved(program: object, jobs: int, loads: bool) -> tuple[str, str, str, Makers]:
    """Return a program's name, kind and digest, and who makes it.  Raises UsageError.

    Args: loads: whether files are loaded, whose scenarios have to be taken by somebody.
    """
    if not isinstance(program, str) and not callable(program):
        raise UsageError(
            expected="a function, the name of one, or a scenario's name",
            got=program,
            where="explore",
            try_='mmrace.explore(main), or mmrace.explore("FILE.py:main")',
        )
    if not isinstance(program, str):
        name, digest = named.name_of(program)
        if jobs and not digest:
            raise UsageError(
                expected="a function at the top level of a file, which other processes can load by its name",
                got=name,
                where="explore(jobs=)",
                try_="jobs=0, which explores in this process",
            )
        return name, functions.KIND, digest, _makers(FunctionMaker({} if jobs else {name: program}), loads)
    named.refuse_file(program)
    if named.is_function(program):
        return program, functions.KIND, named.load(program)[1], _makers(FunctionMaker(), loads)
    return program, "scenario", "", _makers(FunctionMaker(), True)


def _makers(maker: FunctionMaker, model: bool) -> Makers:
    """Return the makers of programs.  Args: model: of the kernel model's too, which a function has no use for."""
    if not model:
        return Makers(maker)
    from mmrace.installed import makers_with  # noqa: PLC0415  (what it imports takes longer than a small exploration)

    return makers_with(maker)


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
