"""`mmrace claims`: what the mail of 2011 said, put to the test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mmrace.claims import judges
from mmrace.claims import mail as letter
from mmrace.claims.across import Across, select_eras
from mmrace.claims.driver import ClaimsRun
from mmrace.claims.result import ClaimsResult
from mmrace.cli import options as shared
from mmrace.cli import terminal
from mmrace.report import claims as claims_report
from mmrace.report import claims_eras
from mmrace.report.terminal import Lines
from mmrace.runs import stops
from mmrace.runtime import files
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
@click.option(
    "--era",
    "eras",
    multiple=True,
    metavar="ERA",
    help="Ask the kernel model as it was in this era too (several times: of each; `all`: of every one), in one table.",
)
@click.option("--json", "written", metavar="FILE", help="With --era: write what came of it to FILE, as JSON.")
@click.option(
    "--mail", is_flag=True, help="Run nothing: print the mail sentence by sentence, with what was found of each."
)
@click.option("--load", multiple=True, hidden=True, expose_value=False, callback=refused)
@click.option("--variant", multiple=True, hidden=True, expose_value=False, callback=refused)
@shared.seed
@shared.many
def claims(
    names: tuple[str, ...],
    schedules: int | None,
    eras: tuple[str, ...],
    written: str | None,
    mail: bool,
    seed: int,
    seconds: float | None,
    jobs: int | None,
    quiet: bool,
    folder: str,
) -> None:
    """Put the claims of exclusion, C0 to C20, to the test; print what schedules say of each.

    C15 to C20 are before and after: with `--era all` every era plays the same programs, and the table tells which
    verdicts change between eras, and what shows it. The exit code goes by what the source of each era says.
    """
    if mail:
        sys.stdout.write(letter.written(letter.load()))
        return
    chosen = judges.select(names)
    if written and not eras:
        raise UsageError(expected="--era with --json", got=written, where="claims", try_="mmrace claims --era all")
    console = terminal.console()
    wanted = select_eras(eras)
    options = Options(seed=seed, runs=schedules, seconds=seconds and seconds / max(1, len(wanted)), jobs=jobs or 0)
    lines = Lines(console, claims_report.line, quiet=quiet)
    with stops.held():
        if not wanted:
            result = ClaimsRun(chosen, Path(folder), options, tell=lines.progress).run()
            claims_report.show(result, console, quiet=quiet)
            sys.exit(result.exit_code)
        across = Across(_each(wanted, chosen, Path(folder), options, lines))
        claims_eras.show(across, console, quiet=quiet)
        if written:
            _write(across, written)
    sys.exit(across.exit_code)


def _each(
    eras: tuple[str, ...], chosen: tuple[judges.Claim, ...], folder: Path, options: Options, lines: Lines[ClaimsResult]
) -> dict[str, ClaimsResult]:
    """Ask one era after the other; Ctrl-C ends with those that were asked by then."""
    results: dict[str, ClaimsResult] = {}
    for era in eras:
        results[era] = ClaimsRun(chosen, folder / "eras" / era, options, era=era, tell=lines.progress).run()
        if results[era].interrupted:
            break
    return results


def _write(across: Across, path: str) -> None:
    """Write what came of all eras.  Raises UsageError if that cannot be done."""
    with shared.writing("claims", "--json", path):
        files.write_whole(path, [json.dumps(across.plain(), indent=1), "\n"])
