"""`mmrace keep`: a finding as a regression test, with its schedule beside it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from mmrace import installed
from mmrace.api.replaying import Replayed, named_in, replay
from mmrace.cli import converting, sources, terminal
from mmrace.cli import options as shared
from mmrace.cli.records import LOADS
from mmrace.report import kept_test
from mmrace.report.terminal import say
from mmrace.runs import stops
from mmrace.runs.exercised import why_alone
from mmrace.runs.schedule import KeptSchedule, is_kept
from mmrace.runs.spec import LoadedFile
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.search.around import NEAR
from mmrace.search.minimise.trials import Budget
from mmrace.search.pool import cores

FOLDER = "tests"
SECONDS = "10s"


@click.command(short_help="A finding as a regression test for pytest.")
@sources.file
@click.option(
    "--to",
    metavar="DIR",
    help=f"Where the test goes, a folder that is made if need be; default: {FOLDER}, if there, else here.",
)
@click.option("--name", metavar="NAME", help="test_NAME.py and NAME.json; default: of the program and the rule.")
@click.option(
    "--near", type=click.IntRange(0), default=NEAR, show_default=True, help="Schedules near it that the test tries."
)
@click.option(
    "--budget", "seconds", metavar="TIME", callback=shared.duration, default=SECONDS, show_default=True,
    help="To make the schedule smaller, if that was not done.",
)  # fmt: skip
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
def keep(file: str, to: str | None, name: str | None, near: int, seconds: float | None, load: tuple[str, ...]) -> None:
    """Write a test that fails as long as FILE's finding comes back: a record, a minimal file, or a finding's folder.

    The test follows the schedule as far as the program still has it, and tries others near it. It fails with the
    finding, and as UNKNOWN if it could follow nothing. Of a planted bug it names the variant, and fails with it; take
    variant= out of the test to hold the correct protocol to the same schedule. A function of your own is looked for
    where the schedule says: from the test's folder, else from the current one, else from one above the test, and then
    the test says so. Mend it, and the test passes.
    """
    cores.pin("gate")
    folder = Path(to if to is not None else FOLDER if os.path.isdir(FOLDER) else ".")
    with stops.interruptible():
        schedule = _named(_schedule(file, seconds, load), folder)
        name = _checked(name, schedule)
        test, kept = folder / f"test_{name}.py", folder / f"{name}.json"
        for path in (test, kept):
            if path.exists():
                raise UsageError(expected="a name that is not taken", got=str(path), where="keep", try_="--name NAME")
        with shared.writing("test", "--to", str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            schedule.write(kept)
        try:
            done = _red(schedule, kept)
            replace(schedule, alone=_alone(done, kept)).write(kept)
            with shared.writing("test", "--to", str(test)):
                files.write_whole(test, [kept_test.text(schedule, name, near)])
        except BaseException:  # Ctrl-C too: a schedule without its test is of no use
            with suppress(OSError):
                kept.unlink()
            raise
    _tell(schedule, done, test, kept)


def _schedule(file: str, seconds: float | None, load: tuple[str, ...]) -> KeptSchedule:
    """Return the schedule of a FILE, made smaller unless that was done.  Raises UsageError."""
    if is_kept(file):
        return KeptSchedule.read(file)
    source = sources.opened(file)
    if source.minimal is not None:
        return KeptSchedule.of_minimal(source.minimal)
    record, signature = source.record, source.signature or _first(source.record, source.path)
    if record.header.get("engine") == "free":
        record, signature = converting.controlled(source, signature, seconds, load, "keep")
    return KeptSchedule.of_minimal(installed.minimise(record, source.path, signature, Budget(seconds=seconds), load))


def _first(record: Record, path: str) -> str:
    """Return the signature of a record's first finding.  Raises UsageError."""
    for finding in record.verdict.get("findings", ()):
        return str(finding["signature"])
    raise UsageError(expected="a record with a finding", got="one without", where=path, try_="a run that failed")


def _named(schedule: KeptSchedule, folder: Path) -> KeptSchedule:
    """Return a schedule whose files are named so that a test in that folder finds them."""
    spec = schedule.spec
    place, colon, function = spec.program.rpartition(":")
    program = f"{_found_from(place, folder)}:{function}" if colon and place.endswith(".py") else spec.program
    loads = tuple(LoadedFile(_found_from(loaded.path, folder)) for loaded in spec.load)
    return replace(schedule, spec=replace(spec, program=program, load=loads))


def _found_from(path: str, folder: Path) -> str:
    """Return a path as it is found from here and from every folder above the test; or else the whole one.

    What is beside the test goes before it, if that has the same name.
    """
    here = Path.cwd()
    file = Path(os.path.abspath(path))
    if file.is_relative_to(here) and Path(os.path.abspath(folder)).is_relative_to(here):
        name = file.relative_to(here)
        beside = folder / name
        if not beside.exists() or beside.samefile(file):
            return str(name)
    return str(file)


def _checked(name: str | None, schedule: KeptSchedule) -> str:
    """Return the name of the test.  Raises UsageError for what can be none."""
    if name is None:
        return kept_test.name_of(schedule)
    name = name.removesuffix(".py").removeprefix("test_")
    if not re.fullmatch(r"\w+", name, re.ASCII):
        raise UsageError(expected="letters, digits and _", got=name, where="--name", try_=kept_test.slug(name))
    return name


def _red(schedule: KeptSchedule, kept: Path) -> Replayed:
    """Play the schedule as the test will.  Raises UsageError unless it fails, for a test must have been seen to."""
    done = replay(kept)
    if done.verdict != "FAIL":
        raise UsageError(
            expected=f"a schedule that fails now, with {schedule.title} [{schedule.signature}]",
            got=f"{done.verdict}{f' ({done.because})' if done.because else ''}",
            where="keep",
            try_="the program as it was when that was found: a test that nobody has seen fail shows nothing",
        )
    return done


def _alone(done: Replayed, kept: Path) -> bool:
    """Say whether a run failed without anything to interleave, as the smallest programs of some bugs do."""
    spec, _, makers = named_in(str(kept))
    return done.record is not None and bool(why_alone(makers.program(spec), done.record))


def _tell(schedule: KeptSchedule, done: Replayed, test: Path, kept: Path) -> None:
    console = terminal.console()
    say(console, f"kept: {test}, and its schedule {kept}")
    finding = next((found for found in done.findings if found.signature == schedule.signature), done.findings[0])
    other = "" if done.same else "; it was kept for another finding"
    say(console, f"it fails now: {finding.title} [{finding.signature}]{other}")
    say(console, f"run it: pytest {test}")
