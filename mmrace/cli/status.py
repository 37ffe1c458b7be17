"""`mmrace status`: what runs on a store just now."""

from __future__ import annotations

import select
import signal
import time
from typing import TYPE_CHECKING

import click

from mmrace.cli import store, terminal
from mmrace.report.terminal import say
from mmrace.runs import stops
from mmrace.runs.output import OUT
from mmrace.runtime.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from mmrace.report.store.status import Status
    from mmrace.search.ledger.index import Index

WATCH_SECONDS = 2.0


@click.command(short_help="What runs on a store, since when, how far.")
@store.store
@click.option("--watch", is_flag=True, help="Again every two seconds, until Ctrl-C.")
@store.as_json
def status(folder: str, watch: bool, as_json: str | None) -> None:
    """Tell what runs on a store: since when, how far, runs per second, findings, canaries, workers.

    A campaign that has ended early is called interrupted if its process is gone, with the command that goes on.
    Nothing is written, so any machine that sees the store may ask; one that sees it over a network may not be able to
    tell whether a campaign of another host still runs, and says when that last gave a sign of life.
    """
    if watch and as_json is not None:
        raise UsageError(expected="--watch or --json", got="both", where="mmrace status", try_="one of them")
    with store.asked(folder) as index:
        if as_json is not None:
            from mmrace.report.store import status as text  # noqa: PLC0415

            store.write_json(as_json, text.data(_status(folder, index)))
        elif watch:
            _watch(folder, index, terminal.console())
        else:
            _print(_status(folder, index), terminal.console())


def _status(folder: str, index: Index) -> Status:
    from mmrace.report.store.status import Status  # noqa: PLC0415
    from mmrace.search.ledger.watching import Watcher  # noqa: PLC0415

    return Status.of(folder, Watcher(index, time.time()))


def _print(status: Status, console: Console) -> None:
    from mmrace.report.store.status import lines  # noqa: PLC0415

    for line in lines(status):
        say(console, line)


def _watch(folder: str, index: Index, console: Console) -> None:
    """Show it again and again: in place on a terminal that can redraw, else when it has changed."""
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from mmrace.report.store.status import lines  # noqa: PLC0415

    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(Text("\n".join(lines(_status(folder, index)))), refresh=True)
                pause()
                _refresh(index)
    _print(_status(folder, index), console)
    while True:
        pause()
        if _refresh(index):
            say(console, "")
            _print(_status(folder, index), console)


def _refresh(index: Index) -> bool:
    """Take in what was written since; whether there was anything.  While somebody prunes the store nothing is."""
    try:
        return index.refresh()
    except OSError:
        return False


def pause() -> None:
    """Wait a while, or until nobody reads what is printed any more, which is a wish to stop."""
    reader = select.poll()
    reader.register(OUT, 0)
    if any(events & (select.POLLERR | select.POLLHUP) for _, events in reader.poll(WATCH_SECONDS * 1000)):
        stops.ask(signal.SIGPIPE)
    stops.check()
