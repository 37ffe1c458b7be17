"""`mmrace prune`: make a store smaller."""

from __future__ import annotations

import click

from mmrace.cli import store, terminal
from mmrace.report.numbers import count, many, size


@click.command(short_help="Make a store smaller; no count is lost.")
@store.store
@click.option("--keep", required=True, type=click.IntRange(0), help="So many findings keep their folder, the newest.")
def prune(folder: str, keep: int) -> None:
    """Remove the folders of all findings but the newest, and make one file of the ledger's old ones.

    The ledger still has what was run, and each finding in words with the command that repeats it; what goes is the
    records.  Nothing of a campaign that runs is touched.
    """
    from mmrace.search.ledger.prune import prune as prune_store  # noqa: PLC0415  # SQLite

    done = prune_store(store.existing(folder), keep)
    for told in done.told:
        terminal.complain(f"mmrace: {told}")
    click.echo(
        f"{folder}: {many(done.findings, 'finding')} removed, {count(done.kept)} kept; "
        f"{many(done.segments, 'segment')} of the ledger, now {count(done.left)}; {size(done.freed)} freed"
    )
