"""`mmrace merge`: what other stores have, into one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mmrace.cli import store, terminal
from mmrace.report.numbers import many
from mmrace.runtime.errors import EXIT_USAGE, UsageError


@click.command(short_help="Take what other stores have into one.")
@click.argument("stores", nargs=-1, required=True, metavar="DIR...")
@store.written
def merge(stores: tuple[str, ...], folder: str) -> None:
    """Take what the stores DIR... have into the store of --store, which need not be there.

    They stay as they are, and may still be in use: merge them again later.  What several have in common is counted
    once, in whatever order they are merged, and however often.  What cannot be taken is told, the rest is taken all
    the same, and the exit code is 2: keep that store.
    """
    from mmrace.search.ledger.merging import merge as merge_stores  # noqa: PLC0415  # SQLite

    sources = [store.existing(name, where="") for name in stores]
    into = Path(folder)
    for source in sources:
        if into.exists() and source.samefile(into):
            raise UsageError(
                expected="stores beside that of --store", got=str(source), where="mmrace merge", try_="only the others"
            )
    done = merge_stores(into, sources)
    for told in done.told:
        terminal.complain(f"mmrace: {told}")
    parts = [f"{many(done.segments, 'segment')} of the ledger"]
    if done.longer:
        parts.append(f"{done.longer} that have grown")
    parts.append(many(done.findings, "finding"))
    click.echo(f"{folder}: taken in {', '.join(parts)}")
    if done.told:
        sys.exit(EXIT_USAGE)
