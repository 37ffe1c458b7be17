"""`mmrace claims`: what the mail of 2011 said, put to the test."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mmrace.claims import judges
from mmrace.claims.driver import ClaimsRun
from mmrace.cli import options as shared
from mmrace.cli import terminal
from mmrace.report import claims as claims_report
from mmrace.report.terminal import Lines
from mmrace.runs import stops
from mmrace.search.options import Options


@click.command()
@click.argument("names", nargs=-1, metavar="[CLAIM]...")
@click.option("--schedules", type=click.IntRange(1), help="How many of each program, instead of its own number.")
@shared.seed
@shared.many
def claims(
    names: tuple[str, ...],
    schedules: int | None,
    seed: int,
    seconds: float | None,
    jobs: int | None,
    quiet: bool,
    folder: str,
) -> None:
    """Put the claims of exclusion, C0 to C14, to the test; print what schedules say of each."""
    chosen = judges.select(names)
    console = terminal.console()
    options = Options(seed=seed, runs=schedules, seconds=seconds, jobs=jobs or 0)
    lines = Lines(console, claims_report.line, quiet=quiet)
    trial = ClaimsRun(chosen, Path(folder), options, tell=lines.progress)
    with stops.held():
        result = trial.run()
        claims_report.show(result, console, quiet=quiet)
    sys.exit(result.exit_code)
