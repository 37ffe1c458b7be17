"""`mmrace replay` and `mmrace show`: what reads a record."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from mmrace import installed
from mmrace.cli import terminal
from mmrace.report import events, single
from mmrace.runs import kept
from mmrace.runs.kept import RECORD, TEXT
from mmrace.runtime.errors import EXIT_OF, UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.selection import LAST, Selection
from mmrace.search.pool import cores

LOADS = "A Python file that the run was made of and that is not where it was, or one that adds a judge or a strategy."

QUIET_SECONDS = 1.0
"""How long a FIFO may be silent before it is told that it is waited for."""
BELOW = (".", "findings", ".mmrace/findings")
"""Where the findings of a folder may be."""
BELOW_MAX = 3  # of them that are named


@click.command(short_help="Follow the record of a controlled run strictly.")
@click.argument("record", type=click.Path())
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
def replay(record: str, load: tuple[str, ...]) -> None:
    """Follow RECORD, a file or the folder of a finding, strictly, op by op, and judge it again."""
    record = record_file(record)
    with _told_if_it_waits(record):
        recorded = Record.read(record, stream=True)
    console = terminal.console()
    single.tell_executed(recorded.header, console)
    cores.pin("gate")
    result = installed.replay(recorded, record, load)
    signatures = [finding["signature"] for finding in recorded.verdict.get("findings", [])]
    single.show_replay(result, signatures, console)
    sys.exit(EXIT_OF[result.verdict])


@click.command(short_help="What a record says: what was run and found, and events.")
@click.argument("record", type=click.Path())
@click.option("--task", "tasks", multiple=True, metavar="NAME", help="Only events of tasks so named: writer, 'io.*'.")
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Only ops of a kind, or notes: test_and_set, note."
)
@click.option("--object", "objects", multiple=True, metavar="PART", help="Only events of objects so named.")
@click.option("--around", type=click.IntRange(0), metavar="EVENT", help="The events around this one.")
@click.option("--from", "first", type=click.IntRange(0), metavar="EVENT", help="The events from this one on.")
@click.option("--last", type=click.IntRange(1), help=f"So many, else {LAST}; without --around and --from from the end.")
def show(record: str, **selection: Any) -> None:
    """Print what RECORD says: what was run, how it ended, what was found; then events, a column for each task.

    RECORD is a file, or the folder of a finding. Unless told where to look, it shows the events around the finding.
    """
    file = record_file(record)
    with _told_if_it_waits(file):
        recorded = Record.read(file, stream=True)
    found = kept.read(Path(file).parent)  # of several findings, the one whose folder it is
    signature = found.signature if found is not None else ""
    events.show_record(recorded, Selection(**selection), terminal.console(), signature)


@contextmanager
def _told_if_it_waits(record: str) -> Iterator[None]:
    """Say of a FIFO that nothing comes from it, if so: to read it waits for somebody who writes it."""
    descriptor: int | None = None
    with suppress(OSError, ValueError):  # whoever reads it says what is wrong
        if stat.S_ISFIFO(os.stat(record).st_mode):
            descriptor = os.open(record, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor is None:
        yield
        return
    try:
        if not select.select([descriptor], [], [], QUIET_SECONDS)[0]:
            terminal.complain(f"mmrace: waiting for somebody who writes a record into the FIFO {record}")
        yield
    finally:
        os.close(descriptor)  # not before it was read: a writer that has come by now must not lose its reader


def record_file(record: str) -> str:
    """Return the file of a record that is named by itself, or by the folder of its finding.  Raises UsageError."""
    if not os.path.isdir(record):
        return record
    file = os.path.join(record, RECORD)
    if not os.path.isfile(file):
        below = [str(path.parent) for where in BELOW for path in Path(record).glob(f"{where}/*/{RECORD}")]
        try_ = f"one of the findings below it: {', '.join(below[:BELOW_MAX])}" if below else "a record's own file"
        if os.path.isfile(os.path.join(record, TEXT)):
            try_ = f"{TEXT} in it: its worker died, or the record was too large to be kept"
        raise UsageError(
            expected="a record, or the folder of a finding that has one",
            got=f"{record}, which has no {RECORD}",
            where="RECORD",
            try_=try_,
        )
    return file
