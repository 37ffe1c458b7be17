"""`mmrace replay` and `mmrace show`: what reads a record."""

from __future__ import annotations

import sys
from typing import Any

import click

from mmrace import installed
from mmrace.cli import sources, terminal
from mmrace.cli.sources import Wanted
from mmrace.report import events, single
from mmrace.runtime.errors import EXIT_OF
from mmrace.search.pool import cores

LOADS = "A Python file that the run was made of and that is not where it was, or one that adds a judge or a strategy."


@click.command(short_help="Follow the record of a controlled run strictly.")
@sources.file
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
def replay(file: str, load: tuple[str, ...]) -> None:
    """Follow FILE strictly, op by op, and judge it again.

    FILE is a record, a minimal file, or the folder of a finding. Where the model is not the one that made a minimal
    file, that is followed by its schedule, as far as its turning points are still there.
    """
    source = sources.opened(file)
    recorded = source.record
    console = terminal.console()
    single.tell_executed(recorded.header, console)
    cores.pin("gate")
    why = ""
    if source.file is None:
        result = installed.replay(recorded, source.path, load)
    else:
        result, why = installed.replay_minimal(source.file, source.path, load)
    if why:
        single.show_guided(result, source.signature, why, console)
    else:
        signatures = [finding["signature"] for finding in recorded.verdict.get("findings", [])]
        single.show_replay(result, signatures, console)
    sys.exit(EXIT_OF[result.verdict])


@click.command(short_help="What a record says: what was run and found, and events.")
@sources.file
@sources.selecting
def show(file: str, **wanted: Any) -> None:
    """Print what FILE says: what was run, how it ended, what was found; then events, a column for each task.

    FILE is a record, a minimal file, or the folder of a finding. Unless told where to look, it shows the events around
    the finding. A STEP is the number of an event, or a name, TASK/SITE/TIMES: writer/update:x/2 is what the task writer
    did there the second time.
    """
    source = sources.opened(file)
    events.show_record(source.record, Wanted(wanted).of(source.record), terminal.console(), source.signature)
