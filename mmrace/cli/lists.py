"""`mmrace list`: what there is."""

from __future__ import annotations

import click

from mmrace import installed
from mmrace.cli import options as shared
from mmrace.cli import terminal
from mmrace.report import lists
from mmrace.runs.spec import LoadedFile

KINDS = f"KIND is one of {', '.join(lists.KINDS)}."


@click.command(name="list", short_help="What there is, with what it means.", epilog=KINDS)
@click.argument("kind", type=click.Choice(lists.KINDS), required=False, metavar="[KIND]")
@shared.loads
def list_(kind: str | None, load: tuple[LoadedFile, ...]) -> None:
    """List what there is of a KIND, with what it means; without KIND, of all but the marks."""
    lists.show_lists(installed.catalogue(), (kind,) if kind else lists.KINDS[:-1], terminal.console())
