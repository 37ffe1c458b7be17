"""`mmrace report-night`: what a night has brought, from its store alone."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from mmrace import installed
from mmrace.cli import options as shared
from mmrace.cli import store as stores
from mmrace.cli import terminal
from mmrace.report.terminal import conclude, say
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return unix seconds for a day or a moment as ISO 8601 has it, UTC unless it says otherwise."""
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError as error:
        raise UsageError(
            expected="a day or a moment, as ISO 8601 has it",
            got=value,
            where="--since",
            try_="--since 2026-11-30, or --since '2026-11-30 21:00' (UTC), or ...T21:00+01:00",
        ) from error
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


@click.command("report-night", short_help="What a night has brought: a summary, or a page.")
@stores.store
@click.option(
    "--html", "page", metavar="FILE", type=click.Path(dir_okay=False), help="Write a page that needs nothing."
)
@click.option("--campaign", metavar="ID", default="", help="This campaign alone.")
@click.option("--since", metavar="TIME", callback=moment, help="All that was run since then: 2026-11-30, '... 21:00'.")
def report_night(folder: str, page: str | None, campaign: str, since: float | None) -> None:
    """Tell what a night has brought: verdict, findings with their stories, coverage, canaries, marks, workers.

    The night is the newest campaign of the store, with those that began within twelve hours before it. The store alone
    is read, and nothing is written to it; while a campaign runs, this tells how far it is. The page is one file, with
    no network and no script; with matplotlib (mmrace[plot]) it has charts. The exit code is the night's: 0 PASS,
    1 FAIL, 5 UNKNOWN.
    """
    from mmrace.report.night import gathered, summary  # noqa: PLC0415
    from mmrace.report.night.page import page_of  # noqa: PLC0415
    from mmrace.report.night.verdict import exit_code, verdict_of  # noqa: PLC0415

    if campaign and since is not None:
        raise UsageError(expected="--campaign or --since", got="both", try_="one of them")
    with stores.asked(folder) as index:
        night = gathered.gather(index, Path(folder), installed.book_of, campaign=campaign, since=since, now=time.time())
    console, verdict = terminal.console(), verdict_of(night)
    if page is None:
        summary.show(night, verdict, console)
    else:
        with shared.writing("page", "--html", page):
            files.write_whole(page, (page_of(night),))
        say(console, f"page: {page}")
        conclude(console, verdict.word, f"  {verdict.sentence}")
    sys.exit(exit_code(verdict))
