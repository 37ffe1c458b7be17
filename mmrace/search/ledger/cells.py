"""Cells of time: how finely sums over time are kept.

A cell is a second in the first minute of a campaign, and longer the longer that lasts, up to five minutes: a curve of a
minute and one of a night have some hundred points each.  Invariant: the cell of a batch is a function of the batch.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from functools import lru_cache

LONGEST_SECONDS = 300
FINENESS = 32  # cells while a campaign's age doubles, at least half of that
_DATE = "%Y%m%dT%H%M%S"


def campaign_id(when: float) -> str:
    """Return a new name for a campaign that begins at a time; it sorts by that."""
    return f"{datetime.fromtimestamp(when, UTC).strftime(_DATE)}-{secrets.token_hex(4)}"


@lru_cache
def began(campaign: str) -> float:
    """Return when a campaign began, in unix seconds; 0 if its name does not say that."""
    try:
        return datetime.strptime(campaign.partition("-")[0], _DATE).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def cell_of(campaign: str, when: float) -> float:
    """Return when the cell of a batch begins."""
    start = began(campaign)
    age = max(0, int(when - start))
    length = min(LONGEST_SECONDS, max(1, (1 << age.bit_length()) // FINENESS))
    return start + age // length * length
