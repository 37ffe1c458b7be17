"""What all reports share: how a line, a table, a verdict and a command look, and lines of progress.

Invariant: what comes from a run or a file (names, titles, reasons) is never read as markup, and what a terminal would
obey in it is shown instead (`Screen`); a command is never broken, so that it can be copied, nor is any line that goes
to a file or a pipe; a terminal breaks the others between words.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mmrace.report.finding import known_as
from mmrace.report.numbers import count, runs
from mmrace.runs.spec import RunSpec
from mmrace.runtime.visible import visible
from mmrace.search.totals import Hit, Hits, Tally

COMMAND = "mmrace "
"""What the lines have that somebody may paste."""
WRONG_CALL = "the call is wrong, see trouble"
HITS_SHOWN_MAX = 20
KNOWN_SHOWN = 3  # of the findings of one known fault: they are many faces of one thing
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
    """Print lines as they are; a person's terminal gets long ones in several, but for those with a command."""
    for line in text.split("\n"):
        whole = COMMAND in line or not console.is_terminal
        console.print(line, markup=False, highlight=False, soft_wrap=whole)


def style(verdict: str, text: str = "") -> str:
    """Return markup for a text, the verdict's own word by default, in the style of a verdict."""
    return f"[{STYLES.get(verdict, OTHER_STYLE)}]{escape(text or verdict)}[/]"


def conclude(console: Console, verdict: str, text: str = "") -> None:
    """Print the last line of a report: the verdict, and what it rests on."""
    console.print(f"{style(verdict)}{escape(text)}", highlight=False, soft_wrap=not console.is_terminal)


def interrupted(number: int) -> str:
    """Say what ended it early.  Args: number: of the signal."""
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"


def once(texts: Iterable[str]) -> list[str]:
    """Return each text once, in order, and say how often it came if that is more."""
    return [text if times == 1 else f"{text} ({times} times)" for text, times in Counter(texts).items()]


def without_text(without: Iterable[str]) -> str:
    """Say which judges were switched off, after the rest of a last line; "" if none was."""
    names = ", ".join(without)
    return f"; judges switched off: {names}" if names else ""


def say_lost(console: Console, losses: Mapping[str, int], given_up: Iterable[RunSpec]) -> None:
    """Say how workers were lost, and which runs none of them survived; nothing if none was."""
    if losses:
        hows = "; ".join(f"{how} ({times})" for how, times in losses.items())
        say(console, f"workers lost: {sum(losses.values())}, their runs were made again: {hows}")
    for spec in given_up:
        say(console, f"given up, no worker survived it: {spec.command()}")


def table(title: str, *columns: str, numbers: bool = False) -> Table:
    """Make an empty table.  Args: numbers: set all columns but the first to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if numbers and i else "left", overflow="fold")
    return made


def known_lines(known: Hits, tally: Tally) -> list[str]:
    """Tell of the findings that were expected: by where they are written down, in how many runs, and the first ones."""
    lines = []
    for row, times in sorted(tally.known.items()):
        lines.append(f"{known_as(row)}, seen in {count(times)} of {runs(tally.expected[row])}; it fails nothing")
        hits = [hit for hit in known.values() if hit.known == row]
        for hit in hits[:KNOWN_SHOWN]:
            kept = f", kept in {hit.saved.folder}" if hit.saved.folder else ""
            lines.append(f"  {hit.finding.oracle}: {hit.finding.title} [{hit.finding.signature}]{kept}")
            lines.append(f"    repeat: {hit.command}")
        if len(hits) > KNOWN_SHOWN:
            lines.append(f"  and {count(len(hits) - KNOWN_SHOWN)} more findings of it")
    for row, times in tally.seldom_tried().items():
        lines.append(f"{row} is expected, and was not seen: {runs(times)} are too few to tell")
    return lines


def finding_line(hit: Hit) -> str:
    """Name a finding."""
    return f"FINDING {hit.finding.signature}  {hit.finding.title}"


class Screen(Console):
    """The console that all reports are printed on: its text has no control characters but those of its own styles."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Make text of a string, with or without markup, that is visible before anybody measures it.

        Nothing is highlighted: the patterns for it take minutes on a long name.
        """
        return super().render_str(visible(text), **{**how, "highlight": False, "highlighter": None})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as any console does, all text made visible, wherever it comes from."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


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
