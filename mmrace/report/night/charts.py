"""The charts of a page, drawn by matplotlib as SVG that stands in the page: `pip install mmrace[plot]`.

Invariant: the same facts give the same text; it names nothing outside itself, and its colours are those of the page
(`var(--...)`), so that it is light or dark as that is.  Where matplotlib is not there, there are no charts, and the
page says so; what they show stands in its tables, too.
"""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from mmrace.report.night.facts import Canary, Classes, Finding, Moment, Night, Worker
from mmrace.report.numbers import KIB
from mmrace.runtime.visible import one_line

WIDTH_IN = 8.6
INK, FAINT = "#010101", "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304", "#030305", "#030306")
BAD, GOOD = "#040401", "#040402"
COLOURS = {INK: "--ink", FAINT: "--faint", BAD: "--bad", GOOD: "--good"} | {
    colour: f"--series{number}" for number, colour in enumerate(SERIES)
}
"""Colours that stand for those of the page, and are drawn by nobody."""
LINES_MAX = 12  # workers in a chart: more lines than that are a tangle
POINTS_MAX = 160  # of a line
ROWS_MAX = 60  # canaries in a chart
FINDINGS_MAX = 20
HOUR_S = 3600.0
DAY_S = 86400.0

_HEADER = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_NAMESPACE = re.compile(r' xmlns(?::\w+)?="[^"]*"')
_GROUP = re.compile(r'<g id="[A-Za-z][\w.]*_\d+">')
_COLOUR = re.compile("|".join(COLOURS))
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_SIZE = re.compile(r' width="[\d.]+pt"| height="[\d.]+pt"')
_PLACES = re.compile(r' (?:d|x|y|points|transform)="[^"]*"')
_DIGITS = re.compile(r"(?<=\d\.\d\d)\d+")


def available() -> bool:
    """Say whether charts can be drawn."""
    try:
        import matplotlib  # noqa: PLC0415
    except ImportError:
        return False
    return bool(matplotlib)


def charts_of(night: Night) -> dict[str, str]:
    """Return the charts of a night: name -> SVG; those of which there is nothing to show are left out."""
    drawn: dict[str, str] = {}
    makers: tuple[tuple[str, Callable[[Night], str]], ...] = (
        ("runs", lambda night: _runs(night.moments)),
        ("classes", lambda night: _classes(night.moments)),
        ("findings", lambda night: _findings(night.findings)),
        ("canaries", lambda night: _canaries(night.canaries)),
        ("workers", lambda night: _workers(night.workers)),
    )
    for name, make in makers:
        if chart := make(night):
            drawn[name] = chart
    return drawn


def _figure(rows: int, height: float, **how: Any) -> tuple[Any, Any]:
    """Return a figure and its panels, one below the other."""
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415

    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        panels = figure.subplots(rows, 1, squeeze=False, **how)[:, 0]
    for panel in panels:
        panel.set_facecolor("none")
        panel.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}"))
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            panel.spines[side].set_color(FAINT)
        panel.tick_params(colors=INK, which="both")
        panel.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.5)
        panel.set_axisbelow(True)
    return figure, panels


def _svg(figure: Any) -> str:
    """Return a figure as SVG that can stand in a page: no header, no names from elsewhere, the page's colours."""
    import matplotlib as mpl  # noqa: PLC0415

    drawn = io.StringIO()
    figure.patch.set_alpha(0.0)
    with mpl.rc_context({"svg.hashsalt": "mmrace", "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a name in another script: the reader's browser has it
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = _COMMENT.sub("", _HEADER.sub("", drawn.getvalue(), count=1))
    text = _SIZE.sub("", _GROUP.sub("<g>", _NAMESPACE.sub("", text)), count=2)
    text = _PLACES.sub(lambda found: _DIGITS.sub("", found[0]), text)
    text = _COLOUR.sub(lambda found: f"var({COLOURS[found[0]]})", text)
    return re.sub(r">\s+<", "><", text).strip()


def _title(panel: Any, text: str) -> None:
    panel.set_title(_plain(text), loc="left", color=INK, fontsize=9.5)


def _legend(panel: Any) -> None:
    if panel.get_legend_handles_labels()[0]:
        above = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 4, "borderaxespad": 0.0}
        panel.legend(fontsize=8, frameon=False, labelcolor=INK, **above)


def _plain(text: str) -> str:
    """Return a text that is safe to show, in which matplotlib finds no formula, and which no legend leaves out."""
    shown = one_line(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _thinned(values: Sequence[Any], most: int = POINTS_MAX) -> list[Any]:
    """Return at most so many of them, evenly, the last one always."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


# -- time ------------------------------------------------------------------------------------------------------------


def _clock(panel: Any, first: float, last: float) -> None:
    """Label an axis of time: hours of the day, or days if it is more than two of them."""
    from matplotlib.ticker import FixedLocator, FuncFormatter  # noqa: PLC0415

    span = max(last - first, 1.0)
    steps = (60.0, 300.0, 900.0, HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 12 * HOUR_S, DAY_S, 7 * DAY_S, 30 * DAY_S)
    step = next((step for step in steps if span / step <= 9), span / 6)
    at = [first // step * step + i * step for i in range(int(span / step) + 2)]
    shape = "%d %b" if step >= DAY_S else "%d %b %H:%M" if span > DAY_S else "%H:%M"
    panel.xaxis.set_major_locator(FixedLocator([when for when in at if first <= when <= last] or [first]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda when, _: datetime.fromtimestamp(when, UTC).strftime(shape)))
    panel.set_xlim(first - span * 0.01, last + span * 0.01)


def _runs(moments: Sequence[Moment]) -> str:
    """Draw how many runs there were in each stretch of the night, by engine."""
    if len(moments) < 2:
        return ""
    figure, (panel,) = _figure(1, 1.9)
    ends = [moment.when for moment in moments]
    width = moments[0].seconds
    bottoms = [0.0] * len(moments)
    for number, engine in enumerate(sorted({engine for moment in moments for engine in moment.runs})):
        heights = [float(moment.runs.get(engine, 0)) for moment in moments]
        centres = [end - width / 2 for end in ends]
        panel.bar(centres, heights, width * 0.9, bottoms, color=SERIES[number % len(SERIES)], label=_plain(engine))
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    panel.yaxis.get_major_locator().set_params(integer=True)
    _title(panel, f"runs in each {_stretch(width)}, by engine (UTC)")
    _clock(panel, ends[0] - width, ends[-1])
    _legend(panel)
    return _svg(figure)


def _stretch(seconds: float) -> str:
    return (
        f"{seconds / HOUR_S:g} h"
        if seconds >= HOUR_S
        else f"{seconds / 60:g} min"
        if seconds >= 60
        else f"{seconds:g} s"
    )


def _classes(moments: Sequence[Moment]) -> str:
    """Draw how many classes were met, how many there are at least, and the chance of a new one."""
    known = [(moment.when, moment.classes) for moment in moments if moment.classes is not None]
    known = _thinned(known)
    if len(known) < 2:
        return ""
    figure, (met, new) = _figure(2, 3.6, sharex=True)
    when = [at for at, _ in known]
    met.plot(when, [classes.met for _, classes in known], color=SERIES[0], linewidth=1.6, label="classes met")
    _band(met, [(at, classes.total) for at, classes in known], SERIES[1], "at least so many there are (Chao)")
    _title(met, "classes of interleavings, from the begin of the night (UTC)")
    most = max(max(classes.met, classes.total.value if classes.total else 0.0) for _, classes in known)
    met.set_ylim(0, 1.4 * most)  # an interval that is wider says that little is known, and would flatten the rest
    _legend(met)
    _band(new, [(at, _percent(classes)) for at, classes in known], SERIES[2], "")
    _title(new, "chance that the next run shows a new class, % (Good-Turing, with its 95 % interval)")
    new.set_ylim(bottom=0)
    _clock(new, when[0], when[-1])
    return _svg(figure)


def _percent(classes: Classes) -> Any:
    found = classes.next_new
    return None if found is None else type(found)(100 * found.value, 100 * found.low, 100 * found.high)


def _band(panel: Any, points: Sequence[tuple[float, Any]], colour: str, label: str) -> None:
    told = [(at, found) for at, found in points if found is not None]
    if not told:
        return
    at = [when for when, _ in told]
    panel.plot(at, [found.value for _, found in told], color=colour, linewidth=1.2, label=label or None)
    lows, highs = [found.low for _, found in told], [found.high for _, found in told]
    panel.fill_between(at, lows, highs, color=colour, alpha=0.18, linewidth=0)


# -- findings, canaries, workers -------------------------------------------------------------------------------------


def _rows(panel: Any, names: Sequence[str]) -> None:
    panel.set_yticks(range(len(names)), [_plain(name) for name in names], fontsize=8)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="x", color=FAINT, linewidth=0.4, alpha=0.4)


def _findings(findings: Sequence[Finding]) -> str:
    """Draw when each finding was seen, over the whole history of the store."""
    shown = [finding for finding in findings if finding.seen and (finding.came or not finding.known)][:FINDINGS_MAX]
    moments = [when for finding in shown for when, _ in finding.seen]
    if not moments or max(moments) - min(moments) < 1.0:
        return ""
    figure, (panel,) = _figure(1, 0.9 + 0.22 * len(shown))
    most = max(hits for finding in shown for _, hits in finding.seen)
    for row, finding in enumerate(shown):
        points = _thinned(finding.seen)
        sizes = [8 + 70 * hits / most for _, hits in points]
        colour = BAD if finding.fails else SERIES[5]
        panel.scatter([at for at, _ in points], [row] * len(points), s=sizes, color=colour, alpha=0.75, linewidths=0)
    names = Counter(finding.signature for finding in shown)
    _rows(panel, [f"{one.signature} {one.program}" if names[one.signature] > 1 else one.signature for one in shown])
    more = f", the first {len(shown)} of them" if len(shown) < len(findings) else ""
    _title(panel, f"when each finding was seen{more} (UTC); larger: in more runs; red: it fails this night")
    _clock(panel, min(moments), max(moments))
    return _svg(figure)


def _canaries(canaries: Sequence[Canary]) -> str:
    """Draw after what part of its cap each canary was found; of each night before, fainter."""
    shown = [canary for canary in canaries if canary.tonight][:ROWS_MAX]
    if not shown:
        return ""
    figure, (panel,) = _figure(1, 0.9 + 0.2 * len(shown))
    for row, canary in enumerate(shown):
        for trials, colour, size in ((canary.before[-20:], FAINT, 12), (canary.tonight, GOOD, 26)):
            at = [trial.found_after / trial.cap for trial in trials if trial.found_after is not None and trial.cap]
            panel.scatter(at, [row] * len(at), s=size, color=colour, alpha=0.85, linewidths=0)
            missed = sum(trial.missed for trial in trials)
            panel.scatter([1.0] * missed, [row] * missed, s=40, color=BAD, marker="x")
    panel.set_xscale("log")
    panel.axvline(1.0, color=BAD, linewidth=0.8)
    _percents(panel)
    _rows(panel, [canary.name for canary in shown])
    _title(panel, "found after what part of its cap of runs (grey: nights before; cross: missed)")
    return _svg(figure)


def _percents(panel: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    panel.xaxis.set_major_locator(LogLocator(10))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda part, _: f"{100 * part:g} %"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlim(right=1.3)


def _workers(workers: Sequence[Worker]) -> str:
    """Draw memory, threads left behind and open files of each worker over the night."""
    shown = [worker for worker in workers if len(worker.samples) > 1]
    shown = sorted(shown, key=lambda worker: -len(worker.samples))[:LINES_MAX]
    if not shown:
        return ""
    figure, panels = _figure(3, 4.4, sharex=True)
    titles = ("memory, MiB", "threads left behind", "open files")
    for place, (panel, title) in enumerate(zip(panels, titles, strict=True), start=1):
        for number, worker in enumerate(sorted(shown, key=lambda worker: (worker.campaign, worker.name))):
            points = _thinned(worker.samples)
            values = [point[place] / (KIB * KIB if place == 1 else 1) for point in points]
            panel.plot([point[0] for point in points], values, color=SERIES[number % len(SERIES)], linewidth=1.0)
        _title(panel, f"{title}, a line for each of {len(shown)} workers" if place == 1 else title)
        panel.set_ylim(bottom=0)
        panel.yaxis.get_major_locator().set_params(integer=True)
    moments = _ends(shown)
    _clock(panels[-1], *moments)
    return _svg(figure)


def _ends(workers: Iterable[Worker]) -> tuple[float, float]:
    moments = [sample[0] for worker in workers for sample in worker.samples]
    return min(moments), max(moments)
