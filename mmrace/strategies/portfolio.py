"""Strategy `portfolio`: no strategy wins everywhere, so schedules take turns over several.

Invariant: schedule i is one of the member `member(i)`, whoever makes it, and is sampled as if that member had been
asked for.  The default of a campaign.
"""

from __future__ import annotations

from mmrace.strategies.contract import Registered

NAME = "portfolio"
MEMBERS = ("pos", "surw", "pct", "random", "urw", "random-delays")
"""Texts as on the command line.  POS first: it reaches most classes, unless many similar short tasks meet; SURW, URW
and random walk have other worst cases; PCT and delays find what needs one task held back for long."""


def member(index: int) -> str:
    """Return the text of the strategy of schedule `index` (>= 0)."""
    return MEMBERS[index % len(MEMBERS)]


class Portfolio:
    """The `Mix` of the members."""

    def member(self, index: int) -> str:
        """Return the text of the strategy of schedule `index`."""
        return member(index)


STRATEGY = Registered(NAME, f"the default: {', '.join(MEMBERS)} in turn", lambda _: Portfolio(), kind="mix")
