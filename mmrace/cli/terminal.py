"""Where text for people goes."""

from __future__ import annotations

import sys

from rich.console import Console

PLAIN_WIDTH = 120  # where there is no terminal to ask


def console() -> Console:
    """Return a console on stdout."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width)


def log(message: str) -> None:
    """Write a line of the log to stderr."""
    sys.stderr.write(message)  # looked up each time: a live display puts itself in between
