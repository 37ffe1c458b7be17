"""FILE, and the events of it that are wanted: what every command that reads a record takes."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import click

from mmrace.cli import terminal
from mmrace.cli.options import options
from mmrace.runs.source import Source, open_source
from mmrace.runtime import places
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
        found = dict(self.options)
        for name, option in (("around", "--around"), ("first", "--from")):
            if found[name] is not None:
                found[name] = places.find(record, found[name], where=option)
        return Selection(**found)


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
