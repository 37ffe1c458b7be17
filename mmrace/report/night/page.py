"""The page of a night: one file of HTML that needs nothing else, no network, no script.

Invariant: the same facts give the same bytes; each text from a store is escaped by the templates, and what would steer
or hide in it is shown (`runtime/visible.py`).  Not here: facts (`facts.py`), charts (`charts.py`), words and looks
(`templates/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mmrace.report import numbers
from mmrace.report.night import charts, shown
from mmrace.report.night.facts import Night
from mmrace.report.night.times import when
from mmrace.report.night.verdict import state_text, verdict_of
from mmrace.runtime.visible import visible

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = "templates"
PAGE = "page.html"


def page_of(night: Night, drawn: Mapping[str, str] | None = None) -> str:
    """Return the page of a night.  Args: drawn: its charts; by default all, if there is matplotlib."""
    if drawn is None:
        drawn = charts.charts_of(night) if charts.available() else {}
    environment = _environment()
    verdict = verdict_of(night)
    return environment.get_template(PAGE).render(
        night=night,
        verdict=verdict,
        tiles=shown.tiles(night, verdict.word),
        charts=drawn,
        drawable=charts.available(),
        shown=shown,
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    made = Environment(
        loader=PackageLoader("mmrace.report.night", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "count": numbers.count,
        "many": numbers.many,
        "runs": numbers.runs,
        "duration": numbers.duration,
        "share": numbers.share,
        "size": numbers.size,
        "rate": numbers.rate,
        "chance": numbers.chance,
        "when": when,
        "state": state_text,
        "estimate": shown.estimate,
        "percent": shown.percent,
    }
    made.filters.update(filters)
    return made


def _finalize(value: Any) -> Any:
    """Make a text visible before it is escaped; what is markup already has been."""
    return visible(value) if type(value) is str else value
