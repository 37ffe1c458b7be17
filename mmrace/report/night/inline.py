"""Figures of matplotlib as SVG that stands in a page, in the page's own colours.

Invariant: the same figure gives the same text; it names nothing outside itself, and its colours are those of the page
(`var(--...)`), so that it is light or dark as that is.  matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmrace.report.night.times import when
from mmrace.report.numbers import HOUR_S
from mmrace.runtime.visible import one_line

WIDTH_IN = 8.6
INK, FAINT = "#010101", "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304", "#030305", "#030306")
BAD, GOOD = "#040401", "#040402"
COLOURS = {INK: "--ink", FAINT: "--faint", BAD: "--bad", GOOD: "--good"} | {
    colour: f"--series{number}" for number, colour in enumerate(SERIES)
}
"""Colours that stand for those of the page, and are drawn by nobody."""
DAY_S = 86400.0
STEPS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, *(HOUR_S * hours for hours in (1, 2, 4, 12, 24, 7 * 24, 30 * 24)))
"""Seconds between two labels of an axis of time."""
STEPS_MAX = 9  # in the width of a page

_HEADER = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_NAMESPACE = re.compile(r' xmlns(?::\w+)?="[^"]*"')
_GROUP = re.compile(r'<g id="[A-Za-z][\w.]*_\d+">')
_COLOUR = re.compile("|".join(COLOURS))
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_SIZE = re.compile(r' width="[\d.]+pt"| height="[\d.]+pt"')
_PLACES = re.compile(r' (?:d|x|y|points|transform)="[^"]*"')
_DIGITS = re.compile(r"(?<=\d\.\d\d)\d+")


@contextmanager
def settings() -> Iterator[None]:
    """Draw as matplotlib does by itself, whatever the settings of whoever runs it: the same facts, the same page."""
    import matplotlib as mpl  # noqa: PLC0415

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a name in another script: the reader's browser has it
        mpl.rcdefaults()
        mpl.rcParams.update({"font.size": 9, "svg.hashsalt": "mmrace", "svg.fonttype": "none"})
        yield


def figure(rows: int, height: float, **how: Any) -> tuple[Any, Any]:
    """Return a figure and its panels, one below the other."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415

    made = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    panels = made.subplots(rows, 1, squeeze=False, **how)[:, 0]
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
    return made, panels


def svg(figure: Any) -> str:
    """Return a figure as SVG that can stand in a page: no header, no names from elsewhere, the page's colours."""
    drawn = io.StringIO()
    figure.patch.set_alpha(0.0)
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = _COMMENT.sub("", _HEADER.sub("", drawn.getvalue(), count=1))
    text = _SIZE.sub("", _GROUP.sub("<g>", _NAMESPACE.sub("", text)), count=2)
    text = _PLACES.sub(lambda found: _DIGITS.sub("", found[0]), text)
    text = _COLOUR.sub(lambda found: f"var({COLOURS[found[0]]})", text)
    return re.sub(r">\s+<", "><", text).strip()


def title(panel: Any, text: str) -> None:
    """Write what a panel shows above it, at the left."""
    panel.set_title(plain(text), loc="left", color=INK, fontsize=9.5)


def legend(panel: Any) -> None:
    """Write what a panel's colours mean above it, at the right; nothing if they have no names."""
    if panel.get_legend_handles_labels()[0]:
        above = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 4, "borderaxespad": 0.0}
        panel.legend(fontsize=8, frameon=False, labelcolor=INK, **above)


def plain(text: str) -> str:
    """Return a text that is safe to show, in which matplotlib finds no formula, and which no legend leaves out."""
    shown = one_line(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def clock(panel: Any, first: float, last: float) -> None:
    """Label an axis of time: in seconds, hours of the day, or days, as long as it is."""
    from matplotlib.ticker import FixedLocator, FuncFormatter  # noqa: PLC0415

    span = max(last - first, 1.0)
    step = next((step for step in STEPS if span / step <= STEPS_MAX), span / 6)
    at = [first // step * step + i * step for i in range(int(span / step) + 2)]
    shape = "%d %b" if step >= DAY_S else "%d %b %H:%M" if span > DAY_S else "%H:%M" if step >= 60 else "%H:%M:%S"
    panel.xaxis.set_major_locator(FixedLocator([one for one in at if first <= one <= last] or [first]))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda at, _: when(at, shape)))
    panel.set_xlim(first - span * 0.01, last + span * 0.01)
