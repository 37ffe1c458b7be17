"""After an exploration: replay the record of each finding, and look for the deadlocks that were only predicted.

Invariant: each saved record is replayed from disk `REPLAYS` times; a replay that does not repeat its finding is
counted, and never fails the exploration.  Not here: how a deadlock is looked for (`realise.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mmrace.runs.follow import repeats
from mmrace.runs.profile import promote_text
from mmrace.runs.program import Makers
from mmrace.runs.replay import REPLAYS
from mmrace.runs.store import FindingStore
from mmrace.runtime.record import Record
from mmrace.search.explore import realise
from mmrace.search.explore.result import Exploration
from mmrace.search.totals import Hit


def prove(result: Exploration, store: FindingStore, makers: Makers, hit: Callable[[Hit], None]) -> None:
    """Put into `result` what replays and searches for deadlocks gave.  Args: hit: takes what they newly found."""
    for signature, found in list(result.hits.items()):
        cycle = realise.cycle_of(found.finding)
        if cycle:
            met = realise.already_met(found.finding, [other.finding for other in result.hits.values()])
            result.realised[signature] = met or _realise(result, store, makers, cycle, hit)
    again: dict[str, Counter[str]] = {}  # by folder: one run can have several findings
    for signature, found in result.hits.items():
        folder = found.saved.folder
        record = Path(folder, "record.jsonl")
        if folder and record.exists():
            if folder not in again:
                again[folder] = repeats(partial(Record.read, str(record)), makers)
            result.replayed[signature] = again[folder][signature], REPLAYS


def _realise(result: Exploration, store: FindingStore, makers: Makers, cycle: str, hit: Callable[[Hit], None]) -> str:
    """Return the signature of the deadlock that a search met, "" if it met none."""
    ask = result.ask if result.promoted is None else replace(result.ask, promote=promote_text(result.promoted))
    met = realise.search(ask, makers, cycle)
    if met is None:
        return ""
    finding = next(finding for finding in met.findings if realise.is_deadlock(finding))
    if finding.signature not in result.hits:
        hit(Hit(finding, met.spec, "main", 0, store.save(met)[finding.signature]))
    return finding.signature
