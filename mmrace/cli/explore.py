"""`mmrace explore`: many schedules of one program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mmrace import installed
from mmrace.cli import far, terminal
from mmrace.cli import options as shared
from mmrace.report import explore as explore_report
from mmrace.report.finding import summary_text
from mmrace.runs import stops
from mmrace.runtime.errors import UsageError
from mmrace.search.campaign.request import Request, complete
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.pool import cores
from mmrace.search.pool.fleet import Fleet
from mmrace.strategies import registry

EXPLORE_SECONDS = 10.0


@click.command(short_help="Many schedules of one program, judged.")
@click.argument("program")
@click.option("--strategy", metavar="NAME[:KEY=VALUE,...]", help="Default portfolio, or dpor; see `mmrace list`.")
@click.option("--schedules", "runs", type=click.IntRange(1), help="How many schedules; default: 10s of them.")
@click.option("--exhaustive", is_flag=True, help="Walk the whole tree; UNKNOWN if that was cut short.")
@click.option("--until-found", is_flag=True, help="Stop at the first finding.")
@click.option("--until", default="", metavar="SIGNATURE", help="Stop at the finding of this signature.")
@shared.seed
@click.option(
    "--engine", type=shared.controlled, default="fiber", show_default=True, help="Greenlets, or real threads."
)
@click.option("--promote", default="racing", show_default=True, help="Plain fields to switch at: all, racing, a list.")
@shared.program
@shared.many
@far.far
@shared.minimising
def explore(
    program: str,
    strategy: str | None,
    exhaustive: bool,
    jobs: int | None,
    dask: Fleet | None,
    dask_tls: tuple[str, str, str] | None,
    params: tuple[str, ...],
    quiet: bool,
    folder: str,
    minimise: float,
    **options: Any,
) -> None:
    """Explore the interleavings of PROGRAM, one task at a time: judge each run, count their classes.

    PROGRAM is a scenario, or FILE.py:main, a function on mmrace.runtime. Most strategies draw schedules, in worker
    processes, until the time is up. The systematic ones (dpor, preemption, delay, enumerate) walk the tree of all
    schedules in this process, and know when nothing is left.

    \b
    mmrace explore async-vs-commit --for 60s
    mmrace explore async-vs-commit --variant double-put --until-found
    mmrace explore migrate-vs-reclaim --strategy preemption:bound=1
    mmrace explore migrate-vs-reclaim --param without=migrator --exhaustive
    mmrace explore my_program.py:main --exhaustive
    """
    text = strategy or ("dpor" if exhaustive else "portfolio")
    registry.check(text, systematic=True)
    systematic = registry.is_systematic(text)
    workers = far.of(dask, dask_tls, jobs)
    if systematic and workers.pool is not None:
        raise UsageError(
            expected="a strategy that draws schedules: a walk is made in this process",
            got=text,
            where="--dask",
            try_="no --dask",
        )
    if systematic:
        _refuse_promote(text, options["promote"])
    if not exhaustive and options["runs"] is None and options["seconds"] is None:
        options["seconds"] = EXPLORE_SECONDS
    known = shared.known([program], options)
    named = {key: options[key] for key in shared.OF_PROGRAM}
    typed = complete(known, Request((program,), runs=1, **named), params)
    entry = known.scenarios[program]
    ask = Ask(
        program,
        maker=entry.maker,
        digest=entry.digest,
        exhaustive=exhaustive,
        strategy=text,
        jobs=workers.jobs or (1 if systematic else len(cores.cores())),
        **{**options, "params": typed.params, "era": typed.era},
    )
    console = terminal.console()
    observer = explore_report.WalkLines(console, explore_report.line, quiet=quiet)
    explorer = Explorer(
        ask, installed.MAKERS, Path(folder), observer, text=summary_text, pool=workers.pool, pace=workers.pace
    )
    if systematic:
        cores.pin(options["engine"])
    with stops.held():
        result = explorer.run()
        shared.minimise_found(result, minimise)
        explore_report.show(result, console, known.canaries.get(ask.variant), quiet=quiet)
    sys.exit(result.exit_code)


def _refuse_promote(strategy: str, promote: str) -> None:
    """Raise UsageError if the call names switch points for a walk, which switches at every plain access."""
    given = click.get_current_context().get_parameter_source("promote") is ParameterSource.COMMANDLINE
    if given and promote != "all":
        raise UsageError(
            expected=f"no --promote with {strategy}, which switches at every plain access",
            got=promote,
            where="--promote",
            try_="a strategy that draws schedules, such as --strategy portfolio",
        )
