"""What all reports share: how a line, a table, a verdict and a command look, and lines of progress.

Invariant: what comes from a run (names, titles, reasons) is printed as it is, never read as markup; a line is never
broken, so that its commands can be copied.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.search.totals import Hit

HITS_SHOWN_MAX = 20
TROUBLES_SHOWN_MAX = 5
LINE_SECONDS = 5.0
STYLES = {
    "PASS": "bold green",
    "FAIL": "bold red",
    "UNKNOWN": "bold yellow",
    "held": "green",
    "true": "green",
    "false as worded": "bold magenta",
    "BROKEN": "bold red",
}
"""Word of a verdict -> its style."""
OTHER_STYLE = "yellow"

Result = TypeVar("Result")


def say(console: Console, text: str) -> None:
    """Print a line as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def style(verdict: str, text: str = "") -> str:
    """Return markup for a text, the verdict's own word by default, in the style of a verdict."""
    return f"[{STYLES.get(verdict, OTHER_STYLE)}]{escape(text or verdict)}[/]"


def conclude(console: Console, verdict: str, text: str = "") -> None:
    """Print the last line of a report: the verdict, and what it rests on."""
    console.print(f"{style(verdict)}{escape(text)}", highlight=False, soft_wrap=True)


def interrupted(number: int) -> str:
    """Say what ended it early.  Args: number: of the signal."""
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"


def table(title: str, *columns: str, numbers: bool = False) -> Table:
    """Make an empty table.  Args: numbers: set all columns but the first to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if numbers and i else "left", overflow="fold")
    return made


def finding_line(hit: Hit) -> str:
    """Name a finding."""
    return f"FINDING {hit.finding.signature}  {hit.finding.title}"


class Lines(Generic[Result]):
    """Progress as plain lines, for logs and pipes: one every few seconds, and each finding at once.

    Args: line: writes a result on one line.  quiet: findings only.
    """

    def __init__(
        self,
        console: Console,
        line: Callable[[Result], str],
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.line, self.quiet, self.clock = console, line, quiet, clock
        self._next = clock() + LINE_SECONDS

    def progress(self, result: Result) -> None:
        """Print a line if the last one is old enough."""
        if not self.quiet and self.clock() >= self._next:
            self._next = self.clock() + LINE_SECONDS
            say(self.console, self.line(result))

    def found(self, hit: Hit) -> None:
        """Print the finding at once."""
        say(self.console, finding_line(hit))
