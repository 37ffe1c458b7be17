"""The table of the series as a picture: SVG, drawn by matplotlib, which is there with `pip install mmrace[plot]`.

A row of the table is a row of panels: success, refusals by reason, blocked ticks by place, elapsed ticks.
Invariant: the same table gives the same file, byte for byte; matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmrace.measure.blocked import PLACES
from mmrace.measure.counting import BLOCKED, ELAPSED, MOVED, REFUSED, SUCCESS
from mmrace.measure.published import PUBLISHED
from mmrace.measure.result import Cell, TableResult
from mmrace.runtime.errors import UsageError

WIDTH_IN, HEIGHT_IN = 15.0, 3.1  # inches; the height is of one row
_GREYS = ("#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#8c8c8c", "#ccb974")


def draw(result: TableResult, path: Path) -> None:
    """Draw a table into a file.  Raises UsageError if matplotlib is not there, OSError."""
    figure_of = _matplotlib()
    rows = len(result.rows)
    figure, panels = figure_of(nrows=rows, ncols=4, figsize=(WIDTH_IN, HEIGHT_IN * rows), squeeze=False)
    for number, row in enumerate(result.rows):
        cells = [result.cell(row, era) for era in result.eras]
        success, moved, blocked, elapsed = panels[number]
        _spread(success, result, cells, SUCCESS, f"{row}\nhuge pages had, %")
        _published(success, result, row)
        reasons = sorted({name for name in result.quantities if name.startswith(f"{REFUSED}: ")})
        _stacked(moved, result, cells, [MOVED, *reasons], "pages moved, and refused by reason")
        _stacked(blocked, result, cells, [f"{BLOCKED}: {place}" for place in PLACES], "blocked ticks by place")
        _spread(elapsed, result, cells, ELAPSED, "elapsed ticks")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "mmrace compaction-table"})


def check() -> None:
    """Raise UsageError if matplotlib is not there: before anything is run for a picture."""
    _matplotlib()


def _matplotlib() -> Any:
    """Return what makes a figure with panels.  Raises UsageError."""
    try:
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            expected="matplotlib, which draws the picture",
            got=str(error),
            where="--svg",
            try_="pip install 'mmrace[plot]'; without --svg the table is printed all the same",
        ) from error
    mpl.rcParams["svg.hashsalt"] = "mmrace"
    mpl.rcParams["svg.fonttype"] = "none"

    def figure_of(*, nrows: int, ncols: int, figsize: tuple[float, float], squeeze: bool) -> Any:
        figure = Figure(figsize=figsize)
        return figure, figure.subplots(nrows, ncols, squeeze=squeeze)

    return figure_of


def _spread(panel: Any, result: TableResult, cells: list[Cell], quantity: str, title: str) -> None:
    """Draw the values of each era as a box, with each run as a point."""
    values = [cell.values(quantity) for cell in cells]
    panel.boxplot([row or [0.0] for row in values], showfliers=False, widths=0.5)
    for place, row in enumerate(values, start=1):
        panel.plot([place] * len(row), row, ".", color="#888888", markersize=3)
    panel.set_title(title, fontsize=9)
    _eras(panel, result, start=1)


def _published(panel: Any, result: TableResult, row: str) -> None:
    known = PUBLISHED.get(row)
    if known is None:
        return
    for place, era in enumerate(result.eras, start=1):
        value = known.success_of(era)
        if value is not None:
            panel.plot([place], [value], "x", color="#c44e52", markersize=6)
    panel.set_ylim(bottom=0)


def _stacked(panel: Any, result: TableResult, cells: list[Cell], quantities: list[str], title: str) -> None:
    """Draw the means of several quantities, one on the other."""
    bottoms = [0.0] * len(cells)
    for number, quantity in enumerate(quantities):
        heights = [sum(cell.values(quantity)) / max(1, len(cell.counts)) for cell in cells]
        if not any(heights):
            continue
        label = quantity.partition(": ")[2] or quantity
        panel.bar(range(len(cells)), heights, 0.6, bottoms, color=_GREYS[number % len(_GREYS)], label=label)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    panel.set_title(title, fontsize=9)
    if any(bottoms):
        panel.legend(fontsize=6)
    _eras(panel, result, start=0)


def _eras(panel: Any, result: TableResult, *, start: int) -> None:
    panel.set_xticks([start + i for i in range(len(result.eras))], result.eras, rotation=30, ha="right", fontsize=7)
    panel.tick_params(axis="y", labelsize=7)
