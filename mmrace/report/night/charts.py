"""The charts of a page, drawn by matplotlib as SVG that stands in the page: `pip install mmrace[plot]`.

Invariant: the same facts give the same text.  Where matplotlib is not there, there are no charts, and the page says so;
what they show stands in its tables, too.  Not here: how a figure becomes a part of a page (`inline.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmrace.report.night import inline
from mmrace.report.night.facts import Canary, Classes, Felt, Finding, Moment, Night, Worker
from mmrace.report.night.inline import BAD, FAINT, GOOD, SERIES
from mmrace.report.numbers import HOUR_S, KIB

LINES_MAX = 12  # workers in a chart: more lines than that are a tangle
POINTS_MAX = 160  # of a line
ROWS_MAX = 60  # canaries in a chart
FINDINGS_MAX = 20


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
    with inline.settings():
        for name, make in makers:
            if chart := make(night):
                drawn[name] = chart
    return drawn


def _thinned(values: Sequence[Any], most: int = POINTS_MAX) -> list[Any]:
    """Return at most so many of them, evenly, the last one always."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _runs(moments: Sequence[Moment]) -> str:
    """Draw how many runs there were in each stretch of the night, by engine."""
    if len(moments) < 2:
        return ""
    figure, (panel,) = inline.figure(1, 1.9)
    ends = [moment.when for moment in moments]
    width = moments[0].seconds
    bottoms = [0.0] * len(moments)
    for number, engine in enumerate(sorted({engine for moment in moments for engine in moment.runs})):
        heights = [float(moment.runs.get(engine, 0)) for moment in moments]
        centres = [end - width / 2 for end in ends]
        panel.bar(
            centres, heights, width * 0.9, bottoms, color=SERIES[number % len(SERIES)], label=inline.plain(engine)
        )
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    panel.yaxis.get_major_locator().set_params(integer=True)
    inline.title(panel, f"runs in each {_stretch(width)}, by engine (UTC)")
    inline.clock(panel, ends[0] - width, ends[-1])
    inline.legend(panel)
    return inline.svg(figure)


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
    figure, (met, new) = inline.figure(2, 3.6, sharex=True)
    when = [at for at, _ in known]
    met.plot(when, [classes.met for _, classes in known], color=SERIES[0], linewidth=1.6, label="classes met")
    _band(met, [(at, classes.total) for at, classes in known], SERIES[1], "at least so many there are (Chao)")
    inline.title(met, "classes of interleavings, from the begin of the night (UTC)")
    most = max(max(classes.met, classes.total.value if classes.total else 0.0) for _, classes in known)
    met.set_ylim(0, 1.4 * most)  # an interval that is wider says that little is known, and would flatten the rest
    inline.legend(met)
    _band(new, [(at, _percent(classes)) for at, classes in known], SERIES[2], "")
    inline.title(new, "chance that the next run shows a new class, % (Good-Turing, with its 95 % interval)")
    new.set_ylim(bottom=0)
    inline.clock(new, when[0], when[-1])
    return inline.svg(figure)


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
    panel.set_yticks(range(len(names)), [inline.plain(name) for name in names], fontsize=8)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="x", color=FAINT, linewidth=0.4, alpha=0.4)


def _findings(findings: Sequence[Finding]) -> str:
    """Draw when each finding was seen, over the whole history of the store."""
    shown = [finding for finding in findings if finding.seen and (finding.came or not finding.known)][:FINDINGS_MAX]
    moments = [when for finding in shown for when, _ in finding.seen]
    if not moments or max(moments) - min(moments) < 1.0:
        return ""
    figure, (panel,) = inline.figure(1, 0.9 + 0.22 * len(shown))
    most = max(hits for finding in shown for _, hits in finding.seen)
    for row, finding in enumerate(shown):
        points = _thinned(finding.seen)
        sizes = [8 + 70 * hits / most for _, hits in points]
        colour = BAD if finding.fails else SERIES[5]
        panel.scatter([at for at, _ in points], [row] * len(points), s=sizes, color=colour, alpha=0.75, linewidths=0)
    names = Counter(finding.signature for finding in shown)
    _rows(panel, [f"{one.signature} {one.program}" if names[one.signature] > 1 else one.signature for one in shown])
    more = f", the first {len(shown)} of them" if len(shown) < len(findings) else ""
    inline.title(panel, f"when each finding was seen{more} (UTC); larger: in more runs; red: it fails this night")
    inline.clock(panel, min(moments), max(moments))
    return inline.svg(figure)


def _canaries(canaries: Sequence[Canary]) -> str:
    """Draw after what part of its cap each canary was found; of each night before, fainter."""
    shown = [canary for canary in canaries if canary.tonight][:ROWS_MAX]
    if not shown:
        return ""
    figure, (panel,) = inline.figure(1, 0.9 + 0.2 * len(shown))
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
    inline.title(panel, "found after what part of its cap of runs (grey: nights before; cross: missed)")
    return inline.svg(figure)


def _percents(panel: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    panel.xaxis.set_major_locator(LogLocator(10))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda part, _: f"{100 * part:g} %"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlim(right=1.3)


def _workers(workers: Sequence[Worker]) -> str:
    """Draw memory, living objects, threads left behind and open files of each worker over the night."""
    shown = [worker for worker in workers if len(worker.samples) > 1]
    shown = sorted(shown, key=lambda worker: -len(worker.samples))[:LINES_MAX]
    if not shown:
        return ""
    rows: tuple[tuple[str, Callable[[Felt], float]], ...] = (
        (f"memory, MiB, a line for each of {len(shown)} workers", lambda felt: felt.rss / KIB / KIB),
        ("living objects, thousands of blocks", _living),
        ("threads left behind", lambda felt: felt.stray),
        ("open files", lambda felt: felt.files),
    )
    figure, panels = inline.figure(len(rows), 5.6, sharex=True)
    for panel, (title, of) in zip(panels, rows, strict=True):
        for number, worker in enumerate(sorted(shown, key=lambda worker: (worker.campaign, worker.name))):
            points = _thinned([felt for felt in worker.samples if of is not _living or felt.living])  # older: none
            values = [of(point) for point in points]
            panel.plot([point.when for point in points], values, color=SERIES[number % len(SERIES)], linewidth=1.0)
        inline.title(panel, title)
        panel.set_ylim(0, max(1.0, panel.get_ylim()[1]))
        panel.yaxis.get_major_locator().set_params(integer=True)
    moments = _ends(shown)
    inline.clock(panels[-1], *moments)
    return inline.svg(figure)


def _living(felt: Felt) -> float:
    return felt.living / 1000


def _ends(workers: Iterable[Worker]) -> tuple[float, float]:
    moments = [sample.when for worker in workers for sample in worker.samples]
    return min(moments), max(moments)
