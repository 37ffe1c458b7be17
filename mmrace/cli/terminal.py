"""Where text for people goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from mmrace.report.terminal import Screen
from mmrace.runtime.visible import visible

PLAIN_WIDTH = 120  # where there is no terminal to ask
WIDTH_MIN = 20  # narrower than the longest names nothing can be read
HEIGHT = 25  # of what has none


def console() -> Screen:
    """Return a console on stdout, as wide as COLUMNS says; else as the terminal is, or `PLAIN_WIDTH`."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return Screen(width=max(WIDTH_MIN, int(columns)), height=HEIGHT, emoji=False)
    if sys.stdout.isatty():
        return Screen(emoji=False)
    return Screen(width=PLAIN_WIDTH, height=HEIGHT, emoji=False)


def show_lines(lines: Iterable[str]) -> None:
    """Print lines that another program is to read, as they are but for what would steer a terminal."""
    for line in lines:
        click.echo(visible(line))


def log(message: str) -> None:
    """Write a line of the log to stderr."""
    if sys.stderr is not None:
        sys.stderr.write(visible(message))  # looked up each time: a live display puts itself in between


def complain(message: str) -> None:
    """Write a line of its own to stderr."""
    click.echo(visible(message), err=True)
