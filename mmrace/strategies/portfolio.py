"""Strategy `portfolio`: no strategy wins everywhere, so schedules take turns over several, the best one most often.

Ten of sixteen schedules are SURW's, which shows most bugs of small programs more often than the rest do; those that are
good where it is not share the turns between.  So the default's chance to show a bug is more than half of the best one's
where that is SURW.  POS and random walk have no turn: half of SURW's schedules let tasks go on by random priorities, as
POS does, and a turn of theirs would cost more bugs than it showed (`stress/bench/samplers.py`).

Invariant: schedule i is one of the member `member(i)`, whoever makes it, and is sampled as if that member had been
asked for.  The default of a campaign.
"""

from __future__ import annotations

from collections import Counter

from mmrace.strategies.contract import Registered

NAME = "portfolio"
TURNS = (
    *("surw", "urw", "surw", "random-delays", "surw", "surw", "pct", "surw"),
    *("random-delays", "surw", "urw", "surw", "surw", "surw", "surw", "random-delays"),
)
"""Texts as on the command line, by turn.  Delays and PCT find what needs one task held back for long; URW what needs
many short turns in a long program, as most planted bugs of the kernel model do."""
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
