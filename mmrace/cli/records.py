"""`mmrace replay`, `show` and `trail`: what reads a record."""

from __future__ import annotations

import sys
from typing import Any

import click

from mmrace import installed
from mmrace.cli import sources, terminal
from mmrace.cli.sources import Wanted
from mmrace.report import events, single
from mmrace.report import trail as report_trail
from mmrace.runtime.errors import EXIT_OF
from mmrace.search.pool import cores
from mmrace.story import trail as story_trail

LOADS = "A Python file that the run was made of and that is not where it was, or one that adds a judge or a strategy."


@click.command(short_help="Follow the record of a controlled run strictly.")
@sources.file
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
def replay(file: str, load: tuple[str, ...]) -> None:
    """Follow FILE strictly, op by op, and judge it again.

    FILE is a record, a minimal file, or the folder of a finding.
    """
    source = sources.opened(file)
    recorded = source.record
    console = terminal.console()
    single.tell_executed(recorded.header, console)
    cores.pin("gate")
    result = installed.replay(recorded, source.path, load)
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


@click.command(short_help="One object's life in a record: every op on it, who held it, its references.")
@click.argument("name", metavar="OBJECT")
@sources.file
@sources.selecting
def trail(name: str, file: str, **wanted: Any) -> None:
    """Print the life of OBJECT in FILE, from birth to end: every op on it, old and new, who held it and who kept it.

    OBJECT is named as the record names it: page:0, bh:main:1, a task; or a part of one: page:0.flags. FILE is a record,
    a minimal file, or the folder of a finding.
    """
    record = sources.opened(file).record
    report_trail.show_trail(record, story_trail.trail_of(record, name), Wanted(wanted).of(record), terminal.console())
