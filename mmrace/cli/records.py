"""`mmrace replay` and `mmrace show`: what reads a record."""

from __future__ import annotations

import sys

import click

from mmrace import installed
from mmrace.cli import terminal
from mmrace.report import events, single
from mmrace.runtime.errors import EXIT_OF
from mmrace.runtime.record import Record
from mmrace.search.pool import cores


@click.command()
@click.argument("record", type=click.Path(dir_okay=False))
def replay(record: str) -> None:
    """Follow RECORD strictly, op by op, and judge it again."""
    recorded = Record.read(record, stream=True)
    console = terminal.console()
    single.tell_executed(recorded.header, console)
    cores.pin("gate")
    result = installed.replay(recorded, record)
    signatures = [finding["signature"] for finding in recorded.verdict.get("findings", [])]
    single.show_replay(result, signatures, console)
    sys.exit(EXIT_OF[result.verdict])


@click.command()
@click.argument("record", type=click.Path(dir_okay=False))
@click.option("--object", "objects", multiple=True, metavar="PART", help="Only events of objects so named.")
@click.option("--last", type=click.IntRange(1), default=40, show_default=True, help="So many events from the end.")
@click.option("--from", "first", type=click.IntRange(0), help="So many events from this one on instead.")
def show(record: str, objects: tuple[str, ...], last: int, first: int | None) -> None:
    """Print the events of RECORD, a column for each task."""
    events.show_events(Record.read(record, stream=True), objects, last, terminal.console(), first)
