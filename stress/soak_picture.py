"""The picture of a soak, an SVG: memory, threads and open files of each process, living objects, disk, and runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from stress.growth import binned
from stress.soak_report import MIB, Soaked, memory
from stress.watched import Seen

SIZE_IN = (11.0, 11.0)
POINTS = 240


def draw(soaked: Soaked, path: Path) -> None:
    """Draw it into a file.  Raises OSError."""
    mpl.rcParams["svg.hashsalt"] = "mmrace"
    mpl.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=SIZE_IN)
    (own, living), (threads, files), (disk, runs) = figure.subplots(3, 2)
    _rows(own, soaked, memory, "own memory, MiB")
    _lives(living, soaked)
    _rows(threads, soaked, lambda seen: seen.threads, "threads")
    _rows(files, soaked, lambda seen: seen.fds, "open files")
    _disk(disk, soaked)
    _rate(runs, soaked)
    own.legend(fontsize=7)
    warm = max((soaked.warmed(name)[0].seconds for name in soaked.rows), default=0.0)
    for panel in (own, living, threads, files, disk, runs):
        panel.axvspan(0, warm / 60, color="#eeeeee")
        panel.set_xlabel("minutes", fontsize=7)
        panel.tick_params(labelsize=7)
    figure.suptitle(f"soak of {soaked.revision}, {soaked.seconds / 60:.0f} min (grey: not all warm yet)", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "mmrace soak"})


def _rows(panel: Any, soaked: Soaked, of: Callable[[Seen], float], title: str) -> None:
    for name, row in soaked.rows.items():
        points = binned([(point.seconds / 60, of(point.seen)) for point in row], POINTS)
        panel.plot(*zip(*points, strict=True), linewidth=1, label=name)
    panel.set_title(title, fontsize=9)
    panel.set_ylim(bottom=0)


def _lives(panel: Any, soaked: Soaked) -> None:
    for name, life in soaked.lives.items():
        points = binned([(one.seconds / 60, one.blocks / 1000) for one in life], POINTS)
        panel.plot(*zip(*points, strict=True), linewidth=1, label=name)
    panel.set_title("living objects, thousands of blocks", fontsize=9)
    if soaked.lives:
        panel.legend(fontsize=7)
    panel.set_ylim(bottom=0)


def _disk(panel: Any, soaked: Soaked) -> None:
    minutes = [sample.seconds / 60 for sample in soaked.samples]
    for name in ("ledger", "findings"):
        panel.plot(minutes, [getattr(sample, name) / MIB for sample in soaked.samples], linewidth=1, label=name)
    panel.set_title("on disk, MiB", fontsize=9)
    panel.legend(fontsize=7)
    panel.set_ylim(bottom=0)


def _rate(panel: Any, soaked: Soaked) -> None:
    told = binned([(sample.seconds / 60, float(sample.runs)) for sample in soaked.samples])  # every few seconds only
    rates = [(when, (runs - before) / ((when - then) * 60)) for (then, before), (when, runs) in pairwise(told)]
    if rates:
        panel.plot(*zip(*rates, strict=True), linewidth=1)
    panel.set_title("runs per second", fontsize=9)
    panel.set_ylim(bottom=0)
