"""Where a campaign stands: which turns of its sequences are its own, and what it did before it was interrupted.

A campaign without a seed of its own goes on, in each sequence, at the first turn that the store has not; one with a
seed begins at the first turn of all, whatever the store has.  A shard has a part of all turns to itself, and so has a
campaign that begins while others run on the same store.
Invariant: what a campaign counted is not run again by it.  Not here: what it is asked (`request.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmrace.search.campaign.request import Request
from mmrace.search.campaign.sequences import At
from mmrace.search.ledger.entry import Met, Sequence, Trial
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.ranges import Covered
from mmrace.search.ledger.sums import Sums
from mmrace.search.totals import Whose

SHARD_TURNS = 1 << 40
"""A shard's part of a sequence: more runs than a machine makes in a life."""
SHARDS_MAX = 1 << 20
LANE_TURNS = 1 << 36
"""The part of that which one of several campaigns on a store has that run at once: years of runs."""
LANES = SHARD_TURNS // LANE_TURNS


@dataclass(slots=True)
class Standing:
    """Where a campaign stands.

    Attributes: campaign: its id, "" without a ledger.  first: the turn with which its part of each sequence begins.
    seconds: how long it has lasted.  sums: sequence's key -> what came of the runs that it made.  own: the same ->
    their turns, of a campaign that begins anew whatever the store has.  before: how many campaigns the store
    had when it began, as far as they matter to it.  firsts: planted bug -> the turn of its first
    run.  trials: the same -> what came of it.  mets: what it found, in its own words.
    begun: when, in unix seconds.  losses: of workers.
    """

    campaign: str = ""
    first: int = 0
    seconds: float = 0.0
    sums: Mapping[str, Sums] = field(default_factory=dict)
    own: Mapping[str, Covered] = field(default_factory=dict)
    before: int = 0
    firsts: Mapping[str, int] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    mets: Mapping[Whose, Met] = field(default_factory=dict)
    begun: float = 0.0
    losses: Counter[str] = field(default_factory=Counter)

    @property
    def runs(self) -> int:
        """How many runs it has counted."""
        return sum(sums.runs for sums in self.sums.values())

    def of(self, sequence: Sequence) -> Sums:
        """Return what came of the runs of a sequence."""
        return self.sums.get(sequence.key, Sums())

    def at(self, request: Request, ledger: Ledger | None, sequence: Sequence) -> At:
        """Return where a sequence stands."""
        if ledger is None:
            return At(self.first)
        sums = self.of(sequence)
        covered = self.own.get(sequence.key) if request.anew else ledger.covered(sequence)
        return At(self.first, covered, sums.runs + sums.given_up)

    def first_of_trial(self, name: str, request: Request, ledger: Ledger | None, sequence: Sequence) -> int:
        """Return the turn with which the trial of a planted bug begins: behind all that were tried."""
        if name in self.firsts:
            return self.firsts[name]
        if ledger is None or request.anew:
            return self.first
        behind = self.first + LANE_TURNS
        return max((stop for _, stop in ledger.covered(sequence) if self.first < stop <= behind), default=self.first)


def of_new(request: Request, ledger: Ledger | None) -> Standing:
    """Return where a new campaign stands: in the part of its shard, or beside others that run just now."""
    shard = request.shard[0] - 1 if request.shard is not None else 0
    if ledger is None or request.shard is not None or request.anew:
        return Standing(first=shard * SHARD_TURNS)
    return Standing(first=free_part(ledger, 0), before=len(ledger.index().campaigns()))


def free_part(ledger: Ledger, wanted: int) -> int:
    """Return the first turn of a part that no campaign has that runs just now: the wanted one, if it is free."""
    taken: set[int] = set()
    for row in ledger.index().campaigns():
        first = row.begun.request.get("first", 0) if row.running and row.begun is not None else None
        if isinstance(first, int):
            taken.add(first // LANE_TURNS)
    own = wanted // LANE_TURNS
    free = next((lane for lane in (own, *range(LANES)) if lane not in taken), own)
    return free * LANE_TURNS
