"""`mmrace export-ledger`: the batches of a store as a table for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mmrace.cli import options as shared
from mmrace.cli import store
from mmrace.report.numbers import many, runs
from mmrace.runtime.errors import UsageError

if TYPE_CHECKING:
    from mmrace.search.ledger.entry import Batch, Sequence
    from mmrace.search.ledger.index import Index


@click.command("export-ledger", short_help="The batches of a store as a Parquet file.")
@store.store
@click.option(
    "--parquet", required=True, type=click.Path(dir_okay=False), help="Into this file (needs mmrace[parquet])."
)
def export_ledger(folder: str, parquet: str) -> None:
    """Write the batches of a store that count into a Parquet file, a row each.

    \b
    A row has what was run     sequence (its key), revision, program, params,
                               variant, era, engine, strategy, noise, seed, role
                               (main, canary, twin), trial, ...
              which of it      first, stop, campaign, when
              what came of it  runs, passed, failed, unknown, ops, seconds,
                               hits, marks, counters (by name), classes of
                               interleavings and how many were met once, twice
    What was run twice is in it once, as in every sum of mmrace.
    """
    from mmrace.report.store import parquet as table  # noqa: PLC0415

    table.check()
    with store.asked(folder) as index, shared.writing("Parquet", "--parquet", parquet):
        written = table.write(parquet, _batches(index))
    click.echo(f"{parquet}: {many(written.batches, 'batch', 'batches')}, {runs(written.runs)}")


def _batches(index: Index) -> Iterator[tuple[Sequence | None, Batch]]:
    """Yield the batches that count.  Raises UsageError if somebody prunes the store meanwhile."""
    try:
        yield from index.batches()
    except (OSError, ValueError) as error:
        raise UsageError(
            expected="a ledger that nobody prunes meanwhile", got=str(error), where=str(index.folder), try_="it again"
        ) from error
