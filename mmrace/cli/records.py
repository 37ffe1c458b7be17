"""`mmrace replay`, `show`, `trail` and `diff`: what reads records."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import click

from mmrace import installed
from mmrace.cli import converting, sources, terminal
from mmrace.cli import options as shared
from mmrace.cli.sources import Wanted
from mmrace.report import diff as report_diff
from mmrace.report import events, single
from mmrace.report import trail as report_trail
from mmrace.report.mermaid import diagram
from mmrace.runs.source import Source
from mmrace.runtime import places
from mmrace.runtime.errors import EXIT_OF, UsageError
from mmrace.runtime.places import Place
from mmrace.runtime.record import Record
from mmrace.runtime.selection import Selection, findings_of, steps_named
from mmrace.search.pool import cores
from mmrace.story import difference, highlights
from mmrace.story import trail as story_trail

LOADS = "A Python file that the run was made of and that is not where it was, or one that adds a judge or a strategy."


@click.command(short_help="Follow the record of a controlled run strictly.")
@sources.file
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
@shared.convert
@click.option("--record", "out", type=click.Path(dir_okay=False), help="Write the run made under control to this file.")
@sources.break_at
def replay(
    file: str, load: tuple[str, ...], convert: float | None, out: str | None, break_at: int | Place | None
) -> None:
    """Follow FILE strictly, op by op, and judge it again.

    FILE is a record, a minimal file, or the folder of a finding. Where the model is not the one that made a minimal
    file, that is followed by its schedule, as far as its turning points are still there. A STEP is the number of an
    event, as `mmrace show` counts them, or its name, TASK/SITE/TIMES.

    What free threads did cannot be followed strictly: it is done again under control, in the order of their record
    (--convert, --record); that ends in FAIL if the failure came again, and in UNKNOWN if not.
    """
    source = sources.opened(file)
    recorded = source.record
    console = terminal.console()
    single.tell_executed(recorded.header, console)
    cores.pin("gate")
    if recorded.header.get("engine") == "free":
        if break_at is not None:
            raise _unstoppable(file)
        sys.exit(converting.replay_free(source, load, convert, out))
    converting.refuse_under_control(out)
    breaking = sources.stopping_at(_step_of(recorded, break_at), console)
    why = ""
    if source.file is None or breaking is not None:  # a step has its number in a strict replay only
        result = installed.replay(recorded, source.path, load, breaking)
    else:
        result, why = installed.replay_minimal(source.file, source.path, load)
    if why:
        single.show_guided(result, source.signature, why, console)
    else:
        signatures = [finding["signature"] for finding in recorded.verdict.get("findings", [])]
        single.show_replay(result, signatures, console)
    sys.exit(EXIT_OF[result.verdict])


def _unstoppable(file: str) -> UsageError:
    """Return the error for a record of free threads that is to be followed up to a step."""
    controlled = f"{os.path.splitext(file)[0]}.controlled.jsonl"
    again = shlex.join(["mmrace", "replay", file, "--record", controlled])
    return UsageError(
        expected="the record of a run under control, which can be followed to a step of it",
        got="one of free threads",
        where="--break-at",
        try_=f"{again}, which does the same under control; then --break-at with that record",
    )


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
@click.option("--mermaid", is_flag=True, help="Print a sequence diagram of at most 40 events instead.")
def show(file: str, mermaid: bool, **wanted: Any) -> None:
    """Print what FILE says: what was run, how it ended, what was found; then events, a column for each task.

    FILE is a record, a minimal file, or the folder of a finding. Unless told where to look, it shows the events around
    the finding. A STEP is the number of an event, or a name, TASK/SITE/TIMES: writer/update:x/2 is what the task writer
    did there the second time.
    """
    source = sources.opened(file)
    selection = Wanted(wanted).of(source.record)
    if mermaid:
        terminal.show_lines(_diagram(source, selection))
        return
    events.show_record(source.record, selection, terminal.console(), source.signature, source.path)


def _diagram(source: Source, selection: Selection) -> list[str]:
    """Return the diagram of the events that are wanted; unless somebody says which, of those that tell the story."""
    record = source.record if selection.asks else source.minimal.record if source.minimal else source.record
    named = steps_named(record, source.signature)
    if selection.asks:
        found = highlights.of_steps(record, events.chosen(record, selection, named), named)
    else:
        found = highlights.highlights(record, named, source.minimal)
    findings = findings_of(record, source.signature)
    title = f"{findings[0].get('title', '')} [{findings[0]['signature']}]" if findings else ""
    return diagram(record, found, title)


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
    files, or folders of findings. Events are listed around the parting, unless told otherwise. Of two programs it says
    so first. The exit code is 0 whatever differs.
    """
    records = sources.opened(a).record, sources.opened(b).record
    found = difference.compare(*records)
    selections = Wanted(wanted).of(records[0]), Wanted(wanted).of_either(records[1], records[0])
    report_diff.show_diff(records, (a, b), found, selections, terminal.console())
