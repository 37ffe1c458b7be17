"""`mmrace minimise`: the smallest schedule of a finding, and the smallest program that has it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from mmrace import installed
from mmrace.cli import converting, sources, terminal
from mmrace.cli import options as shared
from mmrace.cli.records import LOADS
from mmrace.report import minimal as minimal_report
from mmrace.report import proof as proof_report
from mmrace.report.terminal import say
from mmrace.runs import stops
from mmrace.runs.minimal import MINIMAL, Minimal
from mmrace.runs.source import Source
from mmrace.runtime import files
from mmrace.runtime.errors import EXIT_NONDETERMINISM, EXIT_PASS, UsageError
from mmrace.runtime.record import Record
from mmrace.search.minimise.trials import Budget
from mmrace.search.pool import cores

SECONDS = "30s"


@click.command(short_help="The smallest schedule and program of a finding.")
@sources.file
@click.option("--out", type=click.Path(dir_okay=False), help=f"Where to write it; default: {MINIMAL} beside FILE.")
@click.option(
    "--budget", "seconds", metavar="TIME", callback=shared.duration, default=SECONDS, show_default=True, help="At most."
)
@click.option("--runs", type=click.IntRange(1), help="At most so many runs, however long they take.")
@click.option("--signature", metavar="SIGNATURE", help="Which finding, if the record has several; default: the first.")
@click.option(
    "--prove", "proving", metavar="TIME", callback=shared.duration, help="Then prove it, for so long (mmrace prove)."
)
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
def minimise(
    file: str,
    out: str | None,
    seconds: float | None,
    runs: int | None,
    signature: str | None,
    proving: float | None,
    load: tuple[str, ...],
) -> None:
    """Make the schedule of FILE's finding as small as it gets: a record, a minimal file, or the folder of a finding.

    Left out are turning points (where another task goes on than by default) and choices, then actors, rounds, pages;
    the signature stays the same. What remains is replayed, and written as one JSON file that replay and show take.
    What free threads did has no schedule: it is first made again under control, for at most as long again.
    """
    source = sources.opened(file)
    target = out or str(Path(source.path).with_name(MINIMAL))
    with shared.writing("minimal", "--out", target):
        files.check_writable(target)
    cores.pin("gate")
    wanted = signature or source.signature or _first(source)
    given = click.get_current_context().get_parameter_source("seconds") is not click.core.ParameterSource.DEFAULT
    bounded = seconds if given or runs is None else None
    record, wanted = _controlled(source, wanted, seconds, load)
    with stops.held():  # what is smallest by then is written
        made = installed.minimise(record, source.path, wanted, Budget(runs, bounded), load)
    known = _known(source)
    if known is not None and known.signature == made.signature:
        made = replace(made, rarity=known.rarity, health=known.health)
    if proving is not None and not stops.asked():
        with stops.held():
            made = installed.prove(made, source.path, Budget(seconds=proving), load=load)
    with shared.writing("minimal", "--out", target):
        made.write(target)
    console = terminal.console()
    say(console, f"{made.finding.title} [{made.signature}]")
    for line in (*minimal_report.minimal_lines(made, target), *proof_report.proof_lines(made)):
        say(console, line)
    sys.exit(EXIT_PASS if made.replayed.same == made.replayed.of else EXIT_NONDETERMINISM)


def _controlled(source: Source, signature: str, seconds: float | None, load: tuple[str, ...]) -> tuple[Record, str]:
    """Return the record whose schedule is made smaller: where it is of free threads, one of its failure under control.

    Raises UsageError if that does not come again.
    """
    found = [finding["signature"] for finding in source.record.verdict.get("findings", ())]
    if source.record.header.get("engine") != "free" or signature not in found:
        return source.record, signature
    with stops.interruptible():
        record, came = converting.controlled(source, signature, seconds, load, "make smaller")
    other = "" if came == signature else f", with another finding than [{signature}]"
    say(terminal.console(), f"a record of free threads: made again under control{other}")
    return record, came


def _known(source: Source) -> Minimal | None:
    """Return the minimal file that there was, unless it is damaged: then it is replaced."""
    try:
        return source.minimal
    except UsageError:
        return None


def _first(source: Source) -> str:
    """Return the signature of a record's first finding.  Raises UsageError."""
    for finding in source.record.verdict.get("findings", ()):
        return str(finding["signature"])
    raise UsageError(expected="a record with a finding", got="one without", where=source.path, try_="a run that failed")
