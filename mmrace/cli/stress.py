"""`mmrace stress`: a campaign."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from mmrace import installed
from mmrace.cli import asked, far, terminal
from mmrace.cli import options as shared
from mmrace.cli.outputs import HELP, Outputs
from mmrace.cli.outputs import options as outputs_options
from mmrace.report import campaign as campaign_report
from mmrace.report import progress
from mmrace.report.finding import summary_text
from mmrace.report.terminal import say
from mmrace.runs import stops
from mmrace.search.campaign.driver import Campaign
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.pool.fleet import Fleet


@click.command(short_help="A campaign of many short runs.", epilog=HELP)
@click.argument("scenarios", nargs=-1)
@click.option("--runs", type=click.IntRange(1), help="How many runs, instead of how long.")
@shared.seed
@click.option("--noise", help="One noise profile instead of all in turn.")
@click.option("--engine", type=shared.engine, help="One engine instead of a mix.")
@click.option("--strategy", default="portfolio", show_default=True, help="Who goes next under gate and fiber.")
@shared.convert
@click.option("--no-canaries", is_flag=True, help="Do not look for the planted bugs first.")
@click.option("--keep-canaries", is_flag=True, help="Keep the record that caught each planted bug.")
@asked.options
@shared.program
@shared.many
@far.far
@shared.minimising
@outputs_options
def stress(
    scenarios: tuple[str, ...],
    params: tuple[str, ...],
    jobs: int | None,
    dask: Fleet | None,
    dask_tls: tuple[str, str, str] | None,
    no_canaries: bool,
    quiet: bool,
    folder: str,
    minimise: float,
    resume: bool,
    **options: Any,
) -> None:
    """Run a campaign over SCENARIOS; without any, the default campaign over all of them.

    A function on mmrace.runtime is a scenario too: FILE.py:main.  Without --seed, a campaign takes runs that the store
    has not yet.
    """
    outputs = Outputs.taken(options)
    workers = far.of(dask, dask_tls, jobs)
    call = asked.Call(scenarios, params, workers.jobs or 0, not no_canaries, options)
    console = terminal.console()
    opened = partial(Ledger.open, Path(folder), index=options["shard"] is None)
    if not resume:
        request, known = call.request()
        standing = None
    with outputs, opened() as ledger:
        if resume:
            request, known, standing = call.resumed(ledger)
        with stops.held():
            with progress.observer(console, quiet=quiet) as shown:
                campaign = Campaign(
                    request,
                    known,
                    installed.campaign_one,
                    Path(folder),
                    outputs.observer(
                        shown,
                        Path(folder),
                        ledger if request.shard is None else None,
                        standing.campaign if standing is not None else "",
                    ),
                    text=summary_text,
                    convert=shared.converter(request.convert),
                    pool=workers.pool,
                    pace=workers.pace,
                    ledger=ledger,
                    standing=standing,
                    command=shlex.join(["mmrace", *sys.argv[1:]]),
                )
                result = campaign.run()
            try:
                with outputs.going_on():
                    shared.minimise_found(result, minimise, (lambda text: None) if quiet else partial(say, console))
            finally:
                outputs.write(result)
            campaign_report.show(result, console, quiet=quiet)
            code = outputs.close(result)
    sys.exit(code)
