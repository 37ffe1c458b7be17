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
from mmrace.runtime.errors import UsageError
from mmrace.search.options import Options


def refused(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> None:
    """Refuse what would change the programs.  Raises UsageError."""
    if value:
        raise UsageError(
            expected=f"no --{param.name}: claims are sentences on the protocol that was merged, and are judged on it, "
            "on programs and schedules of their own",
            got=value[0],
            where="claims",
            try_="mmrace explore SCENARIO --load FILE --variant NAME, which judges what a planted bug breaks",
        )


@click.command(short_help="What the mail of 2011 claimed, with evidence.")
@click.argument("names", nargs=-1, metavar="[CLAIM]...")
@click.option("--schedules", type=click.IntRange(1), help="How many of each program, instead of its own number.")
@click.option("--load", multiple=True, hidden=True, expose_value=False, callback=refused)
@click.option("--variant", multiple=True, hidden=True, expose_value=False, callback=refused)
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
