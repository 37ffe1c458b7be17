"""FILE, and the events of it that are wanted: what every command that reads a record takes."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import click

from mmrace.cli import terminal
from mmrace.cli.options import options
from mmrace.report.single import stop_lines
from mmrace.report.terminal import Screen, say
from mmrace.runs import debugging
from mmrace.runs.source import Source, open_source
from mmrace.runtime import places
from mmrace.runtime.breaking import BreakAt, Leave, Stop
from mmrace.runtime.errors import UsageError
from mmrace.runtime.places import Place
from mmrace.runtime.record import Record
from mmrace.runtime.selection import LAST, Selection

QUIET_SECONDS = 1.0
"""How long a FIFO may be silent before it is told that it is waited for."""

file = click.argument("file", type=click.Path())


def step(ctx: click.Context, param: click.Parameter, value: str | None) -> int | Place | None:
    """Take a step by its number, as `mmrace show` counts, or by its name."""
    return None if value is None else places.parse(value, where=f"--{param.opts[0].lstrip('-')}")


selecting = options(
    click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only events of tasks so named: 'io.*'."),
    click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only ops of a kind, or notes: read, note."),
    click.option("--object", "objects", multiple=True, metavar="PART", help="Only events of objects so named."),
    click.option("--around", callback=step, metavar="STEP", help="The events around this one, a number or a name."),
    click.option("--from", "first", callback=step, metavar="STEP", help="The events from this one on."),
    click.option(
        "--last", type=click.IntRange(1), help=f"So many, else {LAST}; without --around and --from from the end."
    ),
)
"""The grammar of `runtime/selection.py`, in every command that lists events."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a record somebody wants to see, before there is a record to find named steps in."""

    options: dict[str, Any]

    def of(self, record: Record) -> Selection:
        """Return the selection of a record's events.  Raises UsageError for a step that it lacks."""
        return self.of_either(record, record)

    def of_either(self, record: Record, other: Record) -> Selection:
        """Return it for a record that may lack a step by name, which then is where it is in another one."""
        found = dict(self.options)
        for name, option in (("around", "--around"), ("first", "--from")):
            if found[name] is None:
                continue
            try:
                found[name] = places.find(record, found[name], where=option)
            except UsageError:
                if other is record:
                    raise
                found[name] = min(places.find(other, found[name], where=option), max(len(record.events) - 1, 0))
        return Selection(**found)


break_at = click.option(
    "--break-at", callback=step, metavar="STEP", help="Stop in the debugger before this step, in its task's thread."
)


def stopping_at(step: int | Place | None, console: Screen) -> BreakAt | None:
    """Return what stops a run at a step, says so, and calls the debugger; None if no step is given."""
    if step is None:
        return None

    def ask(stop: Stop, frame: FrameType, leave: Leave) -> None:
        for line in stop_lines(stop):
            say(console, line)
        console.file.flush()
        debugging.ask(stop, frame, leave)

    return BreakAt(step, ask)


def check_stopped(breaking: BreakAt | None, step: object) -> None:
    """Raise UsageError for a run that never came to the step at which it was to stop."""
    if breaking is not None and breaking.stop is None:
        raise UsageError(
            expected="a step of this run", got=str(step), where="--break-at", try_="one that `mmrace show` has of it"
        )


def opened(path: str) -> Source:
    """Read a FILE, and say so if that waits for somebody who writes it.  Raises UsageError."""
    with _told_if_it_waits(path):
        return open_source(path)


@contextmanager
def _told_if_it_waits(path: str) -> Iterator[None]:
    """Say of a FIFO that nothing comes from it, if so: to read it waits for somebody who writes it."""
    descriptor: int | None = None
    with suppress(OSError, ValueError):  # whoever reads it says what is wrong
        if stat.S_ISFIFO(os.stat(path).st_mode):
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor is None:
        yield
        return
    try:
        if not select.select([descriptor], [], [], QUIET_SECONDS)[0]:
            terminal.complain(f"mmrace: waiting for somebody who writes a record into the FIFO {path}")
        yield
    finally:
        os.close(descriptor)  # not before it was read: a writer that has come by now must not lose its reader
