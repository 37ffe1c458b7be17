"""Where text for people goes."""

from __future__ import annotations

import sys

from mmrace.report.terminal import Screen
from mmrace.runtime.visible import visible

PLAIN_WIDTH = 120  # where there is no terminal to ask


def console() -> Screen:
    """Return a console on stdout."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Screen(width=width, emoji=False)


def log(message: str) -> None:
    """Write a line of the log to stderr."""
    sys.stderr.write(visible(message))  # looked up each time: a live display puts itself in between
