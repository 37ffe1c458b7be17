"""Campaigns over stand-ins with a ledger, in this process; one that is killed leaves what a killed process would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmrace.search.campaign import resuming
from mmrace.search.campaign.driver import Campaign
from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.standing import Standing
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.catalogue import Catalogue
from mmrace.search.ledger.entry import Batch
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.segment import Line, read_from, segments_in
from mmrace.search.pool.contract import RunFunction
from mmrace.search.pool.inline import InlinePool
from mmrace.search.totals import Hit


class Killed(BaseException):
    """The process is gone, and runs nothing of what it would still do."""


class Here(InlinePool):
    """Makes runs in this process."""

    converting = 0


class Stored(Campaign):
    """A campaign whose runs are made in this process."""

    def pool(self) -> Here:
        return Here(self.making)


class Ending:
    """Watches a campaign, and ends it after so many runs: by Ctrl-C, or as if it were killed."""

    def __init__(self, after: int | None = None, how: type[BaseException] = KeyboardInterrupt) -> None:
        self.after, self.how = after, how

    def progress(self, result: CampaignResult) -> None:
        made = result.total().runs + sum(trial.tried for trial in result.trials)
        if self.after is not None and made >= self.after:
            self.after = None
            raise self.how

    def found(self, hit: Hit) -> None: ...

    def canary(self, trial: CanaryTrial) -> None: ...


def stored(
    store: Path,
    known: Catalogue,
    request: Request,
    run: RunFunction,
    ending: Ending | None = None,
    standing: Standing | None = None,
) -> CampaignResult | None:
    """Run a campaign on a store; None if it was killed."""
    ledger = Ledger.open(store, index=request.shard is None)
    try:
        request = request if standing else complete(known, request)
        campaign = Stored(request, known, run, store, ending or Ending(), ledger=ledger, standing=standing)
        result = campaign.run()
    except Killed:
        ledger._writer._waiting.clear()  # what waits in a process is gone with it
        ledger.close()
        return None
    ledger.close()
    return result


def resumed(
    store: Path, known: Catalogue, run: RunFunction, ending: Ending | None = None, shard: tuple[int, int] | None = None
) -> CampaignResult | None:
    """Go on with the last campaign of a store that was interrupted."""
    with Ledger.open(store, index=shard is None) as ledger:
        row, begun = resuming.last_interrupted(ledger, shard)
        request = resuming.request_of(begun, str(store))
        standing = resuming.standing_of(ledger, row, begun)
    return stored(store, known, replace(request, jobs=1), run, ending, standing)


def batches(store: Path) -> list[Batch]:
    """Return all batches that a store's segments have, repeated ones too."""
    lines = [line for path in segments_in(store / LEDGER) for line in read_from(path)]
    return [line.entry for line in lines if isinstance(line, Line) and isinstance(line.entry, Batch)]


def turns(store: Path, campaign: str | None = None) -> list[tuple[str, int]]:
    """Return each turn that a store's segments have, as often as they have it; of one campaign, if that is named."""
    of = [batch for batch in batches(store) if campaign in (None, batch.campaign)]
    return [(batch.sequence, turn) for batch in of for turn in range(batch.first, batch.stop)]


def index_of(store: Path) -> Index:
    """Return what the ledger of a store says."""
    return Index.read_only(store)
