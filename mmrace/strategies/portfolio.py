"""Strategy `portfolio`: no strategy wins everywhere, so schedules take turns over several, the best one most often.

Every other schedule is SURW's, which shows most bugs of small programs far more often than the rest do; the turns
between are shared by those that are good where it is not.  So the default's chance to show a bug is about half of the
best one's at the least where that is SURW.  Random walk has no turn: what it shows, URW shows as often.

Invariant: schedule i is one of the member `member(i)`, whoever makes it, and is sampled as if that member had been
asked for.  The default of a campaign.
"""

from __future__ import annotations

from collections import Counter

from mmrace.strategies.contract import Registered

NAME = "portfolio"
_BETWEEN = ("urw", "pct", "urw", "random-delays", "urw", "pct", "urw", "pos")
"""URW finds what needs many short turns, in long programs above all; PCT and delays what needs one task held back for
long; POS reaches most classes."""
TURNS = tuple(text for between in _BETWEEN for text in ("surw", between))
"""Texts as on the command line, by turn."""
MEMBERS = tuple(dict.fromkeys(TURNS))


def member(index: int) -> str:
    """Return the text of the strategy of schedule `index` (>= 0)."""
    return TURNS[index % len(TURNS)]


class Portfolio:
    """The `Mix` of the members."""

    def member(self, index: int) -> str:
        """Return the text of the strategy of schedule `index`."""
        return member(index)


_SHARES = ", ".join(f"{text} {count}" for text, count in Counter(TURNS).most_common())
STRATEGY = Registered(NAME, f"the default: of {len(TURNS)} turns {_SHARES}", lambda _: Portfolio(), kind="mix")
