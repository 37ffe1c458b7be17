"""`mmrace compaction-table`: the table of the series, asked of the model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mmrace.cli import options as shared
from mmrace.cli import terminal
from mmrace.measure.driver import TableRun
from mmrace.measure.load import CHANGES, ERAS, ROWS, Row
from mmrace.measure.order import BEFORE, LIGHT, TRYLOCK
from mmrace.measure.result import TableResult
from mmrace.report import compaction, picture
from mmrace.report.terminal import Lines
from mmrace.runs import stops
from mmrace.runtime import files

SEEDS = 20
SENSITIVITY_SEEDS = 5
SENSITIVITY_ERAS = (BEFORE, TRYLOCK, LIGHT)
"""Those that the sentences on the order compare."""


@click.command("compaction-table", short_help="Huge pages and stalls under one load, era by era.")
@click.option("--seeds", type=click.IntRange(1), default=SEEDS, show_default=True, help="Runs of each cell.")
@click.option("--row", "names", multiple=True, type=click.Choice([row.name for row in ROWS]), help="Only these rows.")
@click.option("--sensitivity", is_flag=True, help="Again with load, storage and memory halved and doubled, few seeds.")
@click.option("--svg", type=click.Path(dir_okay=False), help="Draw the table into this file (needs mmrace[plot]).")
@click.option("--json", "as_json", type=click.Path(dir_okay=False), help="Write each run's counts into this file.")
@shared.seed
@shared.many
def compaction_table(
    seeds: int,
    names: tuple[str, ...],
    sensitivity: bool,
    svg: str | None,
    as_json: str | None,
    seed: int,
    seconds: float | None,
    jobs: int | None,
    quiet: bool,
    folder: str,
) -> None:
    """Ask the model for the table of the series: huge pages had and not, pages moved and refused, blocked ticks.

    One load (mmrace/measure/load.py has it, with its reasons), at a machine's own pace (strategy timed), in each era.
    A tick is an op of a CPU, and no time: only shares and orders are compared with what was published.
    """
    console = terminal.console()
    rows = [row for row in ROWS if not names or row.name in names]
    if svg:
        picture.check()
    lines = Lines(console, compaction.line, quiet=quiet)

    def made(rows: list[Row], eras: tuple[str, ...], seeds: int) -> TableResult:
        table = TableRun(
            rows,
            eras,
            seeds=seeds,
            seed=seed,
            folder=Path(folder),
            jobs=jobs or 0,
            seconds=seconds,
            tell=lines.progress,
        )
        return table.run()

    with stops.held():
        result = made(rows, ERAS, seeds)
        changed = []
        for change in CHANGES if sensitivity else ():
            if result.interrupted or result.troubles:
                break
            few = min(seeds, SENSITIVITY_SEEDS)
            changed.append((change.name, made([change.applied(row) for row in rows], SENSITIVITY_ERAS, few)))
        compaction.show(result, console, changed)
        if as_json:
            plain = {"table": result.plain(), "changed": {name: other.plain() for name, other in changed}}
            files.write_whole(as_json, [json.dumps(plain, indent=1), "\n"])
        if svg:
            picture.draw(result, Path(svg))
    sys.exit(result.exit_code)
