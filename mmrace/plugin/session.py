"""What a test asks of mmrace: first what is kept of it, then the exploration; and what becomes of a failure.

A test fails unless its verdict is PASS: UNKNOWN fails it, too, since it says that nothing was shown.  Invariant: for
the same test, options and kept schedules the same schedules are played, whichever worker of pytest-xdist has it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mmrace.api.exploring import Explored, Interrupted, explore
from mmrace.api.program import resolved
from mmrace.api.replaying import Replayed, replay
from mmrace.oracles.general import data_race
from mmrace.plugin import KEPT, PROPERTY, failure, of_another
from mmrace.plugin.alarm import heard
from mmrace.plugin.asked import Asked, Program, body_of, checked, name_of
from mmrace.plugin.database import Database
from mmrace.report.minimal import schedule_lines, shrunk_line
from mmrace.runs import follow
from mmrace.runs.functions import KIND
from mmrace.runs.minimal import Minimal
from mmrace.runs.program import Makers
from mmrace.runs.schedule import KeptSchedule
from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.runtime.record import Record
from mmrace.search.around import NEAR
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget
from mmrace.strategies.guided import can_follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmrace.oracles.general.judgement import Finding

MINIMISE_RUNS, MINIMISE_SECONDS = 150, 5.0
"""How much a schedule that failed is made smaller: runs of a function take a blink, those of a scenario seconds."""
BEYOND_MAX = 100
"""Schedules that are played where the first that failed shows a data race alone, which nearly every schedule does: what
comes of the race, an assert say, shows in some of the others."""


class Exploring:
    """One test.  Args: item: as pytest has it."""

    def __init__(self, item: pytest.Function) -> None:
        self.item = item
        self.asked = Asked(item)
        self._played = False  # the file of --mmrace-replay
        self._refused: UsageError | None = None

    # -- what is asked ----------------------------------------------------------------------------------------------

    def marked(self, marker: pytest.Mark) -> bool | None:
        """Do what a marker says; True if the test's own body is done with that."""
        with _told():
            given = checked(marker)
            scenario = given.pop("scenario", None)
            if scenario is not None:
                self._explore(scenario, scenario, given)
                return None
            self._explore(body_of(self.item), self.item.obj, given)
            return True

    def explore(self, program: Program, **options: Any) -> Explored:
        """Explore as `mmrace.explore` does, and fail the test unless all passed.

        Args: program, options: as there; the number of schedules, seed and engine are those of the command line, if it
        says any.  Schedules that failed in this test before are tried first.
        """
        __tracebackhide__ = True
        with _told():
            return self._explore(program, program, options, one_of_several=True)

    def check_played(self) -> None:
        """Fail the test if it explored programs, and the only file to be played is of none of them."""
        __tracebackhide__ = True
        if self._refused is not None and not self._played:
            _fail(f"mmrace: {self._refused}")

    def _explore(
        self, program: Program, named: Program, options: Mapping[str, Any], *, one_of_several: bool = False
    ) -> Explored:
        """Explore a program.

        Args: named: whose name the kept schedules go by.  one_of_several: a file to be played may be of another one.
        """
        state: dict[str, Any] = {"variant": options.get("variant", ""), "era": options.get("era", "")}
        engine = self.asked.engine or options.get("engine")
        with heard():
            if self.asked.replayed is not None and self._is_of(self.asked.replayed, program, one_of_several):
                return self._only(self.asked.replayed, program, state)
            database = Database(self.item.config.rootpath, f"{self.asked.key}\n{name_of(named)}")
            if self.asked.kept:
                self._again(database, program, state, engine)
            with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
                asked = self.asked.options(options)
                found = explore(program, until_found=True, folder=scratch, **asked)
                if found.verdict == "FAIL":
                    target = resolved("explore", program, loads=bool(options.get("load")))
                    more = found
                    if target.kind == KIND and all(finding.oracle == data_race.NAME for finding in found.findings):
                        more = explore(program, folder=scratch, **{**asked, "schedules": _beyond(asked["schedules"])})
                    self._keep_and_fail(database, found, more, target.makers)
        if found.verdict != "PASS":
            _fail(failure.unknown_text(found.because, self.asked.command()))
        scope = f"exhaustive, all {found.classes} classes" if found.exhaustive else f"over {found.schedules} schedules"
        self._say(f"PASS {scope}")
        return found

    def follow(
        self, file: str, *, variant: str = "", era: str | None = None, engine: str | None = None, near: int = NEAR
    ) -> Replayed:
        """Follow a kept schedule, and so many near it; fail the test unless all passed.

        Args: file: beside the test's own.  variant: a planted bug; "": the correct protocol.  era: in place
        of the file's.  engine: fiber or gate.
        """
        __tracebackhide__ = True
        kept = path = self.item.path.parent / file
        if self.asked.replayed is not None:
            path, near = Path(self.asked.replayed), 0
        with _told(), heard():
            if self.asked.replayed is not None:
                of_another.refuse_beside(self.asked.replayed, kept)
            done = replay(path, variant=variant, era=era, engine=self.asked.engine or engine, near=near)
            self._judge(path, done)
        return done

    # -- what was kept ----------------------------------------------------------------------------------------------

    def _again(self, database: Database, program: Program, state: Mapping[str, Any], engine: str | None) -> None:
        """Try the schedules that failed before; fail the test if one does still."""
        for path in database.kept():
            try:
                done = replay(path, program=program, engine=engine, **state)
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

    def _is_of(self, file: str, program: Program, one_of_several: bool) -> bool:
        """Say whether a file is of a program.  Raises UsageError if it has to be."""
        try:
            of_another.refuse(file, program)
        except UsageError as error:
            if not one_of_several:
                raise
            self._refused = error
            return False
        return True

    def _only(self, file: str, program: Program, state: Mapping[str, Any]) -> Explored:
        """Play one schedule, and nothing else."""
        self._played = True
        done = replay(file, program=program, engine=self.asked.engine, **state)
        self._judge(Path(file), done)
        return Explored("PASS", "", (), 1, 1, False, {})

    def _judge(self, path: Path, done: Replayed) -> None:
        """Fail the test unless a replay passed."""
        name = self.asked.shown(path)
        tried = f"schedule {name}, kept because it failed, {_followed(done)}"
        if done.near:
            tried += f"; {done.near} near it"
        if done.file:
            tried += f"; the program is in {self.asked.shown(Path(os.path.abspath(done.file)))}"
        if done.verdict == "FAIL":
            found, *others = done.findings if done.same else failure.ordered(done.findings)
            where = f"found by {tried}" + ("" if done.same else "; it was kept for another finding")
            self._fail_by(found, done.record, [where, *failure.others_lines(others)], f"--mmrace-replay={name}")
        if done.verdict != "PASS":
            _fail(failure.unknown_text(f"{done.because}; {tried}", self.asked.command()))
        above = done.file and not self._expected(path, Path(done.file))
        self._say(f"{KEPT} PASS, {tried}: a folder above it" if above else f"PASS {tried}")

    @staticmethod
    def _expected(schedule: Path, file: Path) -> bool:
        """Say whether a program is where one looks for it: at its schedule or below, or below the current folder."""
        whole = Path(os.path.abspath(file))
        return any(whole.is_relative_to(folder) for folder in (Path.cwd(), schedule.resolve().parent))

    def _keep_and_fail(self, database: Database, first: Explored, found: Explored, makers: Makers) -> NoReturn:
        """Keep the schedule of an exploration's first finding, made small, and fail the test.

        Args: first: of the exploration, what it came to at its first finding.  makers: of the program.
        """
        finding, *others = failure.ordered(found.findings or first.findings) or [failure.UNEXPLAINED]
        if failure.is_outcome(finding):
            raise failure.OUTCOMES[finding.rule](str(finding.facts.get("text", "")))
        file = found.records.get(finding.signature)
        record = None if file is None else Record.read(file)
        made: Minimal | None = None
        lines, replays = [f"found by schedule {first.schedules}"], ""
        if found is not first and finding.signature not in {one.signature for one in first.findings}:
            lines = [f"found in {found.schedules} schedules; schedule {first.schedules} was the first to fail"]
        if record is not None and can_follow(record):
            made = _minimal(record, makers, finding)
            if made is None:
                schedule = KeptSchedule.of_record(record, follow.spec_of(record, makers), finding)
            else:
                schedule, finding, record = KeptSchedule.of_minimal(made), made.finding, made.record
                lines += [shrunk_line(made.shrunk), *(f"  {line}" for line in schedule_lines(made))]
            if self.asked.kept:
                kept = database.keep(schedule)
                lines += [f"NOT KEPT: {kept}"] * isinstance(kept, str)
                replays = "" if isinstance(kept, str) else f"--mmrace-replay={self.asked.shown(kept)}"
        self._fail_by(finding, record, [*lines, *failure.others_lines(others)], replays, made)

    def _fail_by(
        self, finding: Finding, record: Record | None, lines: list[str], replays: str, made: Minimal | None = None
    ) -> NoReturn:
        """Fail the test by a finding; leave it where reports go.

        Args: replays: the option that has it again.  made: its minimal file.
        """
        command = self.asked.command(replays)
        told = failure.text(finding, record, lines, command, made)
        if self.asked.reports is not None:
            lines.append(failure.report(Path(self.asked.reports), self.asked.key, finding, record, told))
            told = failure.text(finding, record, lines, command, made)
        _fail(told)

    # -- what is said -----------------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self.item.user_properties.append((PROPERTY, text))


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


def _beyond(schedules: int | None) -> int:
    return BEYOND_MAX if schedules is None else min(schedules, BEYOND_MAX)


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
