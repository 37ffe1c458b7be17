"""Which campaigns of a store are the night that somebody asks for.

Invariant: the store alone decides.  The clock of whoever asks is asked about one thing only: whether that of a campaign
was ahead of it, for then its times hide no other campaign of the night.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mmrace.report.numbers import HOUR_S, many
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.cells import began
from mmrace.search.ledger.index import Campaign, Index, Where

NIGHT_HOURS = 12
"""Campaigns that began within so many hours before the newest one are of the same night: those that it goes on with."""
NAMED_MAX = 5
AHEAD_SECONDS = 600.0  # clocks of machines that nobody looks after differ by minutes; that hides nothing of a night


@dataclass(frozen=True, slots=True)
class Choice:
    """The campaigns of a night, the oldest first.

    Args: where: which runs are theirs.  said: how they were chosen.  ahead: how many of them began later than now: by
    whose clocks the night was not chosen.
    """

    campaigns: tuple[Campaign, ...]
    where: Where
    said: str
    ahead: int = 0


def choose(index: Index, *, campaign: str = "", since: float | None = None, now: float = math.inf) -> Choice:
    """Return the night that is asked for; the newest one by default.  Args: now: unix seconds.  Raises UsageError."""
    known = index.campaigns()
    if campaign:
        found = [one for one in known if one.campaign == campaign]
        if not found:
            raise UsageError(
                expected="a campaign of this store", got=campaign, where="--campaign", try_=f"one of {_names(known)}"
            )
        return Choice(tuple(found), {"campaign": campaign}, f"campaign {campaign} alone")
    if since is not None:
        found = [one for one in known if _last(one, index) >= since]
        return Choice(tuple(found), {"since": since}, f"what was run since then, by {many(len(found), 'campaign')}")
    if not known:
        return Choice((), {}, "it has no campaign")
    begins = [when for when in map(began_at, known) if when <= now + AHEAD_SECONDS]
    ahead = len(known) - len(begins) if begins else 0  # of all: it is the clock of whoever asks that is wrong
    newest = max(begins or map(began_at, known))
    first = min(when for when in map(began_at, known) if when >= newest - NIGHT_HOURS * HOUR_S)
    found = [one for one in known if _last(one, index) >= first]
    said = f"the newest campaign, and those that began within {NIGHT_HOURS} hours before it"
    return Choice(tuple(found), {"since": first}, said, ahead)


def began_at(campaign: Campaign) -> float:
    """Return when a campaign began, to the second; what has lost its first line says so by its name."""
    return began(campaign.campaign) or float(int(campaign.begun.when if campaign.begun else 0.0))


def _last(campaign: Campaign, index: Index) -> float:
    """Return when a campaign was last heard of; one that runs may be heard of yet."""
    if campaign.running:
        return float("inf")
    ended = campaign.ended.when if campaign.ended else 0.0
    return max(began_at(campaign), ended, index.last(campaign.campaign))


def _names(known: Sequence[Campaign]) -> str:
    names = [one.campaign for one in known[-NAMED_MAX:]]
    return ", ".join(names) or "none: it is empty"
