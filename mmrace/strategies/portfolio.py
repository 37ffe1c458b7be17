"""The portfolio: no strategy wins everywhere, so schedules take turns.

Invariant: schedule i is one of the member `member(i)`, whoever makes it; the planner samples it as if that member had
been asked for.  The default of a campaign.
"""

from __future__ import annotations

MEMBERS = ("pos", "surw", "pct", "random", "urw", "random-delays")
"""Texts as on the command line.  POS first: it reaches most classes, unless many similar short tasks meet; SURW, URW
and random walk have other worst cases; PCT and delays find what needs one task held back for long."""


NAME = "portfolio"


def resolve(text: str, index: int) -> str:
    """Return the text of the strategy that makes schedule `index`: a member's if `text` is the portfolio, or `text`."""
    return member(index) if text == NAME else text


def member(index: int) -> str:
    """Return the text of the strategy of schedule `index` (>= 0)."""
    return MEMBERS[index % len(MEMBERS)]
