"""A campaign while it runs: a live table on a terminal that can redraw, a plain line every few seconds elsewhere.

Invariant: both show the same numbers; neither slows the campaign (four refreshes a second, or a line in five seconds).
"""

from __future__ import annotations

from types import TracebackType

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from mmrace.report.campaign import refusals
from mmrace.report.numbers import count, duration, runs
from mmrace.report.terminal import Lines, finding_line, say, style
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.totals import Hit

REFRESHES_PER_SECOND = 4


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo nothing."""

    def progress(self, result: CampaignResult) -> None:
        """Show nothing."""

    def found(self, hit: Hit) -> None:
        """Show nothing."""

    def canary(self, trial: CanaryTrial) -> None:
        """Show nothing."""


class CampaignLines(Lines[CampaignResult], Silent):
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, line)

    def canary(self, trial: CanaryTrial) -> None:
        """Print the canary at once."""
        say(self.console, canary_line(trial))


class Display(Silent):
    """A table that is redrawn in place; findings and canaries scroll above it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True)

    def __enter__(self) -> Display:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def progress(self, result: CampaignResult) -> None:
        """Redraw."""
        table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for key, value in facts(result):
            table.add_row(key, escape(value))
        self.live.update(table)

    def found(self, hit: Hit) -> None:
        """Print above the table."""
        word, _, rest = finding_line(hit).partition("  ")
        self.console.print(f"{style('FAIL', word)}  {escape(rest)}", highlight=False)

    def canary(self, trial: CanaryTrial) -> None:
        """Print above the table."""
        self.console.print(escape(canary_line(trial)), highlight=False)


def facts(result: CampaignResult) -> list[tuple[str, str]]:
    """Return the figures of progress, by name."""
    total = result.total()
    rate = total.ops / result.seconds if result.seconds else 0.0
    asked = result.request
    limit = f" of {duration(asked.seconds)}" if asked.seconds is not None else f" of {count(asked.runs or 0)} runs"
    found = sum(trial.found_after is not None for trial in result.trials)
    rows = [
        ("time", duration(result.seconds) + limit),
        ("runs", count(total.runs)),
        ("ops", f"{count(total.ops)}, {count(rate)}/s"),
    ]
    if not result.only_functions:
        tried, moved, marks = (
            total.counters["migrations.tried"],
            total.counters["migrations.moved"],
            result.marks_reached(),
        )
        rows += [
            ("migrations", f"tried {count(tried)}, moved {count(moved)}"),
            ("refused", refusals(total)),
            ("marks", f"{marks} of {marks + len(result.marks_missed())}"),
        ]
    if result.trials:
        rows.append(("canaries", f"{found} of {len(result.trials)}"))
    rows.append(("findings", count(len(result.hits) + result.hits.dropped)))
    if result.converting:
        rows.append(("converting", f"{count(result.converting)} of free threads, again under control"))
    return rows


def line(result: CampaignResult) -> str:
    """Write progress on one line."""
    return "; ".join(f"{key} {value}" for key, value in facts(result))


def canary_line(trial: CanaryTrial) -> str:
    """Write what became of a planted bug."""
    name, oracle = trial.canary.name, trial.canary.oracle
    if trial.missed:
        return f"canary {name} MISSED: {trial.tried} runs, no finding of oracle {oracle}"
    return f"canary {name} found by {oracle} after {runs(trial.found_after or 0)}, cap {trial.cap_runs}"


def observer(console: Console, *, quiet: bool) -> Silent:
    """Return the observer that suits the console."""
    if quiet:
        return Silent()
    redraws = console.is_terminal and not console.is_dumb_terminal
    return Display(console) if redraws else CampaignLines(console)
