"""What commands share that ask a store what was run: where it is, its index, and `--json`.

Invariant: a store that cannot be written can be asked too, and nothing but its index is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmrace.cli import options as shared
from mmrace.report.campaign_data import legal
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError

if TYPE_CHECKING:
    from mmrace.search.ledger.index import Index

STDOUT = "-"

store = click.option("--store", "folder", metavar="DIR", default=shared.FOLDER, show_default=True, help="Which store.")
written = click.option(
    "--store", "folder", metavar="DIR", default=shared.FOLDER, callback=shared.folder, show_default=True,
    help="Which store.",
)  # fmt: skip
as_json = click.option(
    "--json", "as_json", metavar="[FILE]", is_flag=False, flag_value=STDOUT, type=click.Path(dir_okay=False),
    help="As JSON instead, on stdout or into a file.",
)  # fmt: skip


@contextmanager
def asked(folder: str) -> Iterator[Index]:
    """Return what the ledger of a store says.  Raises UsageError if there is no store, or it cannot be read."""
    path = existing(folder)
    try:
        index = _index(path)
    except OSError as error:
        raise UsageError(
            expected="a store that can be read", got=error.strerror or str(error), where=f"--store {folder}",
            try_="--store with a folder of your own",
        ) from error  # fmt: skip
    try:
        yield index
    finally:
        index.close()


def _index(path: Path) -> Index:
    """Return the index that the store's own host keeps in a file; elsewhere one in memory.  Raises UsageError, OSError.

    SQLite's file is for the processes of one host: over a network two of them would damage it.
    """
    from mmrace.search.ledger.database import FILE  # noqa: PLC0415  # SQLite
    from mmrace.search.ledger.index import LEDGER, Index  # noqa: PLC0415
    from mmrace.search.ledger.segment import segments_in  # noqa: PLC0415
    from mmrace.search.ledger.writer import host  # noqa: PLC0415

    ledger = path / LEDGER
    own = (ledger / FILE).exists() and any(f"-{host()}-" in segment.name for segment in segments_in(ledger))
    return Index.open(path) if own else Index.read_only(path)


def existing(folder: str, where: str = "--store") -> Path:
    """Return a store that is there.  Raises UsageError."""
    got = "nothing"
    with contextlib.suppress(OSError, ValueError):  # a name that no file system has
        if folder and os.path.isdir(folder):
            return Path(folder)
        got = "no folder" if os.path.exists(folder) else got
    raise UsageError(
        expected="a store, which `mmrace stress` makes", got=got, where=f"{where} {folder}".strip(), try_="--store DIR"
    )


def write_json(path: str, data: Mapping[str, Any]) -> None:
    """Print plain data as JSON, or write it into a file.  Raises UsageError."""
    text = json.dumps(legal(data), indent=1, allow_nan=False)
    if path == STDOUT:
        click.echo(text)
        return
    with shared.writing("JSON", "--json", path):
        files.write_whole(path, [text, "\n"])
