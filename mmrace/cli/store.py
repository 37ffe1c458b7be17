"""What commands share that ask a store what was run: where it is, its index, and `--json`.

Invariant: these commands write nothing into a store, so that one that cannot be written can be asked too.
"""

from __future__ import annotations

import json
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
as_json = click.option(
    "--json", "as_json", metavar="[FILE]", is_flag=False, flag_value=STDOUT, type=click.Path(dir_okay=False),
    help="As JSON instead, on stdout or into a file.",
)  # fmt: skip


@contextmanager
def asked(folder: str) -> Iterator[Index]:
    """Return what the ledger of a store says.  Raises UsageError if there is no store, or it cannot be read."""
    from mmrace.search.ledger.index import Index  # noqa: PLC0415  # SQLite

    path = existing(folder)
    try:
        index = Index.read_only(path)
    except OSError as error:
        raise UsageError(
            expected="a store that can be read", got=error.strerror or str(error), where=f"--store {folder}",
            try_="--store with a folder of your own",
        ) from error  # fmt: skip
    try:
        yield index
    finally:
        index.close()


def existing(folder: str) -> Path:
    """Return a store that is there.  Raises UsageError."""
    path = Path(folder)
    try:
        there = path.is_dir()
    except (OSError, ValueError):  # a name that no file system has
        there = False
    if not there:
        got = "a file" if path.is_file() else "nothing"
        raise UsageError(
            expected="a store, which `mmrace stress` makes", got=got, where=f"--store {folder}", try_="--store DIR"
        )
    return path


def write_json(path: str, data: Mapping[str, Any]) -> None:
    """Print plain data as JSON, or write it into a file.  Raises UsageError."""
    text = json.dumps(legal(data), indent=1, allow_nan=False)
    if path == STDOUT:
        click.echo(text)
        return
    with shared.writing("JSON", "--json", path):
        files.write_whole(path, [text, "\n"])
