"""`mmrace prove`: how sure the failure is after each step of a minimal schedule, and from where on it is certain."""

from __future__ import annotations

import sys

import click

from mmrace import installed
from mmrace.cli import options as shared
from mmrace.cli import sources, terminal
from mmrace.cli.records import LOADS
from mmrace.report import proof as proof_report
from mmrace.report.terminal import say
from mmrace.runs import stops
from mmrace.runs.minimal import MINIMAL, Minimal
from mmrace.runs.source import Source
from mmrace.runtime import files
from mmrace.runtime.errors import EXIT_PASS, EXIT_UNKNOWN, UsageError
from mmrace.search.minimise.trials import Budget
from mmrace.search.pool import cores
from mmrace.search.prove.prove import SAMPLES

SECONDS = "30s"


@click.command(short_help="From where on a failure is certain, and what would have prevented it.")
@sources.file
@click.option("--out", type=click.Path(dir_okay=False), help="Where to write it; default: the minimal file itself.")
@click.option(
    "--budget", "seconds", metavar="TIME", callback=shared.duration, default=SECONDS, show_default=True, help="At most."
)
@click.option("--runs", type=click.IntRange(1), help="At most so many runs, however long they take.")
@click.option(
    "--samples", type=click.IntRange(1), default=SAMPLES, show_default=True, help="Runs drawn from each point."
)
@click.option("--load", multiple=True, metavar="FILE", help=LOADS)
def prove(
    file: str, out: str | None, seconds: float | None, runs: int | None, samples: int, load: tuple[str, ...]
) -> None:
    """Prove why the run of FILE fails: a minimal file, or the folder of a finding that has one.

    Told is, for each point of the schedule, how many of the runs that go on from there still have this finding; the
    step from which on all of them do; and for each two ops that must not be swapped, what comes of swapping them.
    "Proved" is what a walk over every class of interleavings shows, and for the step also a run that leaves the
    schedule one earlier and has it not: such a run may still fail in another way. The proof is written into the file.

    Exit code: 0 if the point of no return is proved, 5 if not.
    """
    source = sources.opened(file)
    minimal = _minimal(source)
    target = out or (str(source.folder / MINIMAL) if source.folder is not None else source.path)
    with shared.writing("proof", "--out", target):
        files.check_writable(target)
    cores.pin("gate")
    given = click.get_current_context().get_parameter_source("seconds") is not click.core.ParameterSource.DEFAULT
    budget = Budget(runs, seconds if given or runs is None else None)
    with stops.held():  # what is proved by then is written
        made = installed.prove(minimal, target, budget, samples, load)
    with shared.writing("proof", "--out", target):
        made.write(target)
    console = terminal.console()
    say(console, f"{made.finding.title} [{made.signature}]")
    for line in proof_report.proof_lines(made):
        say(console, line)
    say(console, f"proved in: {target}")
    proved = made.proof is not None and made.proof.no_return is not None and made.proof.no_return.proved
    sys.exit(EXIT_PASS if proved else EXIT_UNKNOWN)


def _minimal(source: Source) -> Minimal:
    """Return the minimal file that is to be proved.  Raises UsageError."""
    if source.minimal is None and not source.record.verdict.get("findings"):
        raise UsageError(
            expected="a minimal file of a run that failed",
            got="a record without a finding, of which there is nothing to prove",
            where=source.path,
            try_="the record of a run that failed: mmrace minimise makes its minimal file",
        )
    if source.minimal is None:
        raise UsageError(
            expected="a minimal file, or a folder that has one",
            got="a record alone",
            where=str(source.folder or source.path),
            try_=f"mmrace minimise {source.folder or source.path}",
        )
    return source.minimal
