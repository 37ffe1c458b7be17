"""What a test asks of mmrace: first what is kept of it, then the exploration; and what becomes of a failure.

A test fails unless its verdict is PASS: UNKNOWN fails it, too, since it says that nothing was shown.  Invariant: for
the same test, options and kept schedules the same schedules are played, whichever worker of pytest-xdist has it.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mmrace.api.exploring import Explored, Interrupted, explore
from mmrace.api.program import resolved
from mmrace.api.replaying import Replayed, replay
from mmrace.plugin import KEPT, PROPERTY, failure
from mmrace.plugin.alarm import heard
from mmrace.plugin.database import Database
from mmrace.report.minimal import causal_line, schedule_lines, shrunk_line
from mmrace.runs import follow
from mmrace.runs.minimal import Minimal
from mmrace.runs.program import Makers
from mmrace.runs.schedule import KeptSchedule
from mmrace.runs.spec import derive
from mmrace.runtime.errors import MmraceError, UsageError, unknown
from mmrace.runtime.record import Record
from mmrace.search.around import NEAR
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget
from mmrace.strategies.guided import can_follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmrace.oracles.general.judgement import Finding

SCHEDULES = 100
"""Of a test that does not say how many: a race that one schedule in ten shows is missed with a chance of 3e-5."""
MINIMISE_RUNS, MINIMISE_SECONDS = 150, 5.0
"""How much a schedule that failed is made smaller: runs of a function take a blink, those of a scenario seconds."""
ARGUMENTS = (
    "scenario", "kept", "schedules", "strategy", "exhaustive", "variant", "params", "seed", "engine", "near", "load",
    "without",
)  # fmt: skip
OUTCOMES = {kind.__name__: kind for kind in (pytest.skip.Exception, pytest.xfail.Exception)}
"""What a body raises by `pytest.skip()` and `pytest.xfail()`: that is of the test, and no finding."""
OF_KEPT = frozenset({"kept", "variant", "engine", "near"})
REPEATED = "__pytest_repeat_step_number"  # as pytest-repeat names its parameter

Program = Callable[..., object] | str


class Exploring:
    """One test.  Args: item: as pytest has it."""

    def __init__(self, item: pytest.Function) -> None:
        self.item = item
        option = item.config.getoption
        self.replayed: str | None = option("--mmrace-replay")
        self.schedules: int | None = option("--mmrace-schedules")
        self.seed: int | None = option("--mmrace-seed")
        self.engine: str | None = option("--mmrace-engine")
        self.kept: bool = not option("--mmrace-no-db")
        self.reports: str | None = option("--mmrace-report-dir")

    # -- what is asked ----------------------------------------------------------------------------------------------

    def marked(self, marker: pytest.Mark) -> bool | None:
        """Do what a marker says; True if the test's own body is done with that."""
        with _told():
            given = _checked(marker)
            if "kept" in given:
                self.follow(given.pop("kept"), **given)
                return None
            scenario = given.pop("scenario", None)
            if scenario is not None:
                self.explore(scenario, **given)
                return None
            self._explore(_body(self.item), self.item.obj, given)
            return True

    def explore(self, program: Program, **options: Any) -> Explored:
        """Explore as `mmrace.explore` does, and fail the test unless all passed.

        Args: program, options: as there; the number of schedules, seed and engine are those of the command line, if it
        says any.  Schedules that failed in this test before are tried first.
        """
        __tracebackhide__ = True
        with _told():
            return self._explore(program, program, options)

    def _explore(self, program: Program, named: Program, options: Mapping[str, Any]) -> Explored:
        """Explore a program.  Args: named: whose name the kept schedules go by."""
        variant, engine = options.get("variant", ""), self.engine or options.get("engine")
        with heard():
            if self.replayed is not None:
                return self._only(self.replayed, program, variant)
            database = Database(self.item.config.rootpath, f"{self._key()}\n{_name(named)}")
            if self.kept:
                self._again(database, program, variant, engine)
            with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
                found = explore(program, until_found=True, folder=scratch, **self._options(options))
                if found.verdict == "FAIL":
                    makers = resolved("explore", program, loads=bool(options.get("load"))).makers
                    self._keep_and_fail(database, found, makers)
        if found.verdict != "PASS":
            _fail(failure.unknown_text(found.because, self._command()))
        scope = f"exhaustive, all {found.classes} classes" if found.exhaustive else f"over {found.schedules} schedules"
        self._say(f"PASS {scope}")
        return found

    def follow(self, file: str, *, variant: str = "", engine: str | None = None, near: int = NEAR) -> None:
        """Follow a kept schedule, and so many near it; fail the test unless all passed.

        Args: file: beside the test's own.  variant: a planted bug; none is the correct protocol.
        """
        path = self.item.path.parent / file
        if self.replayed is not None:
            path, near = Path(self.replayed), 0
        with heard():
            done = replay(path, variant=variant, engine=self.engine or engine, near=near)
            self._judge(path, done)

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of an exploration: of the command line, or else of the test."""
        schedules = options.get("schedules")
        if not options.get("exhaustive"):
            schedules = schedules if self.schedules is None else self.schedules
            schedules = SCHEDULES if schedules is None and options.get("seconds") is None else schedules
        return {
            **options,
            "schedules": schedules,
            "seed": self._seed(options.get("seed", 1)),
            "engine": self.engine or options.get("engine", "fiber"),
        }

    def _seed(self, otherwise: int = 1) -> int:
        """Return the seed; another one each time that pytest-repeat repeats the test."""
        seed = otherwise if self.seed is None else self.seed
        step = self._repeated()
        return derive(seed, "repeat", step) if step else seed

    # -- what was kept ----------------------------------------------------------------------------------------------

    def _again(self, database: Database, program: Program, variant: str, engine: str | None) -> None:
        """Try the schedules that failed before; fail the test if one does still."""
        for path in database.kept():
            try:
                done = replay(path, program=program, variant=variant, engine=engine)
            except UsageError as error:  # its parameters are none of the program's any more, say
                dropped = database.passed(path)
                self._say(f"{KEPT} {path.stem} cannot be tried: {error}{'; dropped' * dropped}")
                continue
            if done.verdict == "FAIL":
                database.failed(path)
                self._judge(path, done)
            dropped = database.passed(path)
            because = f" ({done.because})" if done.because else ""
            self._say(f"{KEPT} {path.stem}: {done.verdict}{because}, {_followed(done)}{'; dropped' * dropped}")

    def _only(self, file: str, program: Program, variant: str) -> Explored:
        """Play one schedule, and nothing else."""
        done = replay(file, program=program, variant=variant, engine=self.engine)
        self._judge(Path(file), done)
        return Explored("PASS", "", (), 1, 1, False, {})

    def _judge(self, path: Path, done: Replayed) -> None:
        """Fail the test unless a replay passed."""
        name = self._shown(path)
        tried = f"schedule {name}, kept because it failed, {_followed(done)}"
        if done.near:
            tried += f"; {done.near} near it"
        if done.verdict == "FAIL":
            found = done.findings[0]
            where = f"found by {tried}" + ("" if done.same else "; it was kept for another finding")
            self._fail_by(found, done.record, [where], f"--mmrace-replay={name}")
        if done.verdict != "PASS":
            _fail(failure.unknown_text(f"{done.because}; {tried}", self._command()))
        self._say(f"PASS {tried}")

    def _keep_and_fail(self, database: Database, found: Explored, makers: Makers) -> NoReturn:
        """Keep the schedule of an exploration's first finding, made small, and fail the test.

        Args: makers: of the program.
        """
        finding = found.findings[0] if found.findings else failure.UNEXPLAINED
        if finding.oracle == "exception" and finding.rule in OUTCOMES:
            raise OUTCOMES[finding.rule](str(finding.facts.get("text", "")))
        file = found.records.get(finding.signature)
        record = None if file is None else Record.read(file)
        lines, replays = [f"found by schedule {found.schedules}"], ""
        if record is not None and can_follow(record):
            made = _minimal(record, makers, finding)
            if made is None:
                schedule = KeptSchedule.of_record(record, follow.spec_of(record, makers), finding)
            else:
                schedule, finding, record = KeptSchedule.of_minimal(made), made.finding, made.record
                lines += [shrunk_line(made.shrunk), *(f"  {line}" for line in schedule_lines(made))]
                lines += [f"must not be swapped: {causal_line(ordering)}" for ordering in made.causal]
            if self.kept:
                kept = database.keep(schedule)
                lines += [f"NOT KEPT: {kept}"] * isinstance(kept, str)
                replays = "" if isinstance(kept, str) else f"--mmrace-replay={self._shown(kept)}"
        self._fail_by(finding, record, lines, replays)

    def _fail_by(self, finding: Finding, record: Record | None, lines: list[str], replays: str) -> NoReturn:
        """Fail the test by a finding; leave it where reports go.  Args: replays: the option that has it again."""
        command = self._command(replays)
        if self.reports is not None:
            lines.append(failure.report(Path(self.reports), self._key(), finding, record, command))
        _fail(failure.text(finding, record, lines, command))

    # -- what is said -----------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self.item.user_properties.append((PROPERTY, text))

    def _command(self, replays: str = "") -> str:
        """Return the command that has the failure again: one kept schedule, or all that was asked."""
        words = ["pytest", self._key()]
        if replays:
            return shlex.join([*words, replays])
        seed = self._seed() if self._repeated() else self.seed
        for name, value in (("seed", seed), ("schedules", self.schedules), ("engine", self.engine)):
            words += [f"--mmrace-{name}={value}"] * (value is not None)
        return shlex.join([*words, *["--mmrace-no-db"] * (not self.kept)])

    def _shown(self, path: Path) -> str:
        """Return a path as it is shortest from where pytest was started."""
        here = self.item.config.invocation_params.dir
        return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)

    def _repeated(self) -> int | None:
        """Return which time this is that pytest-repeat repeats the test, from 0; None without it."""
        callspec = getattr(self.item, "callspec", None)
        step = None if callspec is None else callspec.params.get(REPEATED)
        return step if isinstance(step, int) else None

    def _key(self) -> str:
        """Name the test, one name for all that pytest-repeat makes of it."""
        step = self._repeated()
        if step is None:
            return self.item.nodeid
        return re.sub(rf"-?\b{step + 1}-\d+(?=\]|-)", "", self.item.nodeid).replace("[]", "")


def _body(item: pytest.Function) -> Program:
    """Return a test's own function with its fixtures: what it has defaults for are the parameters of the program."""
    fixtures = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    body = partial(item.obj, **fixtures)
    signature = inspect.signature(body)
    left = [parameter for name, parameter in signature.parameters.items() if name not in fixtures]
    vars(body)["__signature__"] = signature.replace(parameters=left)
    return body


@contextmanager
def _told() -> Iterator[None]:
    """Fail the test by what mmrace says, instead of by a traceback through mmrace."""
    __tracebackhide__ = True
    try:
        yield
    except MmraceError as error:
        _fail(f"mmrace: {error}")
    except Interrupted:  # which pytest would call by its own name
        raise KeyboardInterrupt from None


def _fail(text: str) -> NoReturn:
    __tracebackhide__ = True
    raise pytest.fail.Exception(text, pytrace=False) from None


def _checked(marker: pytest.Mark) -> dict[str, Any]:
    """Return the arguments of a marker.  Raises UsageError."""
    where = "@pytest.mark.mmrace"
    if marker.args:
        raise UsageError(expected="arguments by name", got=marker.args[0], where=where, try_="scenario=, or schedules=")
    given = dict(marker.kwargs)
    for name in given:
        if name not in ARGUMENTS:
            raise unknown("an argument", name, ARGUMENTS, where=where)
    if "kept" in given and not given.keys() <= OF_KEPT:
        other = ", ".join(sorted(given.keys() - OF_KEPT))
        raise UsageError(expected=f"kept= with {', '.join(sorted(OF_KEPT))}", got=other, where=where)
    if "near" in given and "kept" not in given:
        raise UsageError(expected="kept= beside near=", got="near= alone", where=where, try_='kept="FILE.json"')
    return given


def _name(program: Program) -> str:
    return program if isinstance(program, str) else getattr(program, "__qualname__", type(program).__name__)


def _followed(done: Replayed) -> str:
    if done.followed is None:
        return "followed strictly"
    met, of = done.followed
    return f"followed {met} of {of} turning points" if of else "the default schedule"


def _minimal(record: Record, makers: Makers, finding: Finding) -> Minimal | None:
    """Make a schedule small; None if its run has not the finding again."""
    try:
        return minimise(record, makers, finding.signature, Budget(MINIMISE_RUNS, MINIMISE_SECONDS))
    except MmraceError:
        return None
