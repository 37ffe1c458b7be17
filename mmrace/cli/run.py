"""`mmrace run`: one run."""

from __future__ import annotations

import sys
from typing import Any

import click

from mmrace import installed
from mmrace.cli import converting, sources, terminal
from mmrace.cli import options as shared
from mmrace.report import single
from mmrace.runs import debugging
from mmrace.runs.declared_fields import check_promoted
from mmrace.runs.follow import with_sites
from mmrace.runs.judge import judges_of
from mmrace.runs.spec import RunSpec
from mmrace.runtime import files
from mmrace.runtime.errors import EXIT_OF, UsageError
from mmrace.runtime.places import Place
from mmrace.search.campaign.request import Request, complete
from mmrace.search.explore.ask import check_judges
from mmrace.search.pool import cores
from mmrace.strategies import registry


@click.command(short_help="One run, and its verdict.")
@click.argument("program")
@shared.seed
@click.option("--noise", default="off", show_default=True, help="Noise profile, under free.")
@click.option("--engine", type=shared.engine, default="free", show_default=True)
@click.option("--strategy", default="random", show_default=True, help="Who goes next under gate and fiber.")
@click.option("--promote", default="all", show_default=True, help="Plain fields to switch at: all, racing, a list.")
@click.option("--record", "record_file", type=click.Path(dir_okay=False), help="Write the record to this file.")
@sources.break_at
@shared.convert
@shared.program
def run(
    program: str,
    params: tuple[str, ...],
    record_file: str | None,
    break_at: int | Place | None,
    convert: float | None,
    **options: Any,
) -> None:
    """Do one run of PROGRAM, a scenario or FILE.py:main, and print its verdict.

    If it fails under engine free, and its record is written, it is made again under control, in the order of that
    record: FILE.jsonl has FILE.controlled.jsonl beside it then.

    STEP is the number of an event, as `mmrace show` counts those of this run, or its name there, TASK/SITE/TIMES. It
    needs --engine gate: there the others stand still. `sys.breakpointhook` and PYTHONBREAKPOINT are respected.
    """
    if break_at is not None:
        debugging.check_engine(options["engine"], "--break-at")
    shared.refuse_under_free(options["engine"])
    registry.check(options["strategy"])
    known = shared.known([program], options)
    request = complete(known, Request((program,), runs=1, jobs=1, **options), params)
    entry = known.scenarios[program]
    given = {**options, "params": request.params, "era": request.era}
    spec = RunSpec(program, **given, maker=entry.maker, digest=entry.digest)
    if record_file is not None:
        with shared.writing("record", "--record", record_file):
            files.check_writable(record_file)
    if spec.without or spec.engine != "free":
        made = installed.MAKERS.program(spec)
        check_judges(spec.without, judges_of(made, spec))
        if spec.engine != "free":
            check_promoted(made, spec.promote)
    cores.pin(spec.engine)
    console = terminal.console()
    breaking = sources.stopping_at(break_at, console)
    result = installed.run_one(spec, record_file is not None, breaking=breaking)
    unwritten: UsageError | None = None
    if record_file is not None and result.record is not None:
        record = with_sites(result, installed.MAKERS)
        try:
            with shared.writing("record", "--record", record_file):
                record.write(record_file)
        except UsageError as error:  # what the run showed is told all the same
            unwritten, record_file = error, None
    lines = [] if record_file is None else converting.beside(result, record_file, convert)
    single.show_run(result, console, record=record_file or "", remark="\n".join(lines))
    if unwritten is not None:
        raise unwritten
    sources.check_stopped(breaking, break_at)
    sys.exit(EXIT_OF[result.verdict])
