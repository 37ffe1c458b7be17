"""`mmrace replay`, `show`, `trail` and `diff`: what reads records."""

from __future__ import annotations

import sys
from typing import Any

import click

from mmrace import installed
from mmrace.cli import sources, terminal
from mmrace.cli.sources import Wanted
from mmrace.report import diff as report_diff
from mmrace.report import events, single
from mmrace.report import trail as report_trail
from mmrace.runtime import places
from mmrace.runtime.errors import EXIT_OF, UsageError
from mmrace.runtime.places import Place
from mmrace.runtime.record import Record
from mmrace.search.pool import cores
from mmrace.story import difference
from mmrace.story import trail as story_trail

LOADS = "A Python file that the run was made of and that is not where it was, or one that adds a judge or a strategy."


@click.command(short_help="Follow the record of a controlled run strictly.")
@sources.file
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
@sources.break_at
def replay(file: str, load: tuple[str, ...], break_at: int | Place | None) -> None:
    """Follow FILE strictly, op by op, and judge it again.

    FILE is a record, a minimal file, or the folder of a finding. Where the model is not the one that made a minimal
    file, that is followed by its schedule, as far as its turning points are still there. A STEP is the number of an
    event, as `mmrace show` counts them, or its name, TASK/SITE/TIMES.
    """
    source = sources.opened(file)
    recorded = source.record
    console = terminal.console()
    single.tell_executed(recorded.header, console)
    cores.pin("gate")
    breaking = sources.stopping_at(_step_of(recorded, break_at), console)
    why = ""
    if source.file is None or breaking is not None:
        result = installed.replay(recorded, source.path, load, breaking)
    else:
        result, why = installed.replay_minimal(source.file, source.path, load)
    if why:
        single.show_guided(result, source.signature, why, console)
    else:
        signatures = [finding["signature"] for finding in recorded.verdict.get("findings", [])]
        single.show_replay(result, signatures, console)
    sys.exit(EXIT_OF[result.verdict])


def _step_of(record: Record, step: int | Place | None) -> int | None:
    """Return the number of a step of a record.  Raises UsageError if it has no such step."""
    if step is None:
        return None
    number = places.find(record, step, where="--break-at")
    if number >= len(record.events):
        raise UsageError(expected=f"an event, 0 to {len(record.events) - 1}", got=number, where="--break-at")
    return number


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


@click.command(short_help="Where two records part, why, and whether it makes a difference.")
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@sources.selecting
def diff(a: str, b: str, **wanted: Any) -> None:
    """Print where the records of A and B part and why: by a choice of the scheduler, a drawn value, or the program.

    Then, what came of it: which conflicting steps came the other way round, which tasks and objects have another
    history; or that the two are one class, only independent steps being in another order. A and B are records, minimal
    files, or folders of findings. Events are listed around the parting, unless told otherwise.
    """
    records = sources.opened(a).record, sources.opened(b).record
    found = difference.compare(*records)
    selections = Wanted(wanted).of(records[0]), Wanted(wanted).of_either(records[1], records[0])
    report_diff.show_diff(records, (a, b), found, selections, terminal.console())
