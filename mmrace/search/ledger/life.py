"""The life of a finding over the campaigns of a store: new, known, unseen since, came back.

Invariant: "unseen" is said only of a finding that so many runs of a later revision would have shown: their upper bound
for its rate lies below the lower bound that it had.  Not here: whether anybody mended it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

from mmrace.runs.proof import interval
from mmrace.search.ledger.entry import Met

if TYPE_CHECKING:
    from mmrace.search.ledger.database import Row

State: TypeAlias = Literal["new", "known", "unseen", "came-back"]


@dataclass(frozen=True, slots=True)
class Life:
    """The life of a finding of one program.

    Args: state: "new" if the newest campaign was the first to have it; "known" if it is expected of its program, or an
    earlier campaign had it.  first, last: unix seconds, and of what (`Sequence.made_of`).  unseen_since: the first
    revision of those without it.  unseen_runs: how many runs these have made.  hits, runs: in the revisions from the
    first to the last that had it.  rate, low, high: of these, 95 percent.
    """

    signature: str
    met: Met
    state: State
    first_when: float
    first_revision: str
    last_when: float
    last_revision: str
    unseen_since: str
    unseen_runs: int
    hits: int
    runs: int
    rate: float
    low: float
    high: float


class Stretch(NamedTuple):
    """The runs of one revision of a program.  first, last: when a run had the finding; None if none had."""

    revision: str
    since: float
    runs: int
    hits: int = 0
    first: float | None = None
    last: float | None = None


def life_of(met: Met, stretches: list[Stretch], known: bool) -> Life:
    """Return a finding's life.  Args: stretches: in the order of time.  known: written down, or seen before."""
    hits = runs = quiet = 0
    quiet_since, back = "", False
    first: tuple[float, str] | None = None
    last = (met.when, "")
    low = 0.0
    for stretch in stretches:
        if stretch.hits and stretch.first is not None and stretch.last is not None:
            if first is None:
                first = stretch.first, stretch.revision
            back = back or _unseen(quiet, low)
            hits, runs = hits + stretch.hits, runs + quiet + stretch.runs
            quiet, quiet_since, last = 0, "", (stretch.last, stretch.revision)
            low, _ = interval(hits, runs)
        elif first is not None:
            quiet += stretch.runs
            quiet_since = quiet_since or stretch.revision
    state: State = "unseen" if _unseen(quiet, low) else "came-back" if back else "known" if known else "new"
    low, high = interval(hits, runs)
    return Life(
        signature=met.signature,
        met=met,
        state=state,
        first_when=first[0] if first else met.when,
        first_revision=first[1] if first else "",
        last_when=last[0],
        last_revision=last[1],
        unseen_since=quiet_since if state == "unseen" else "",
        unseen_runs=quiet,
        hits=hits,
        runs=runs,
        rate=hits / runs if runs else 0.0,
        low=low,
        high=high,
    )


def _unseen(quiet: int, low: float) -> bool:
    return quiet > 0 and interval(0, quiet)[1] < low


# -- from the tables ------------------------------------------------------------------------------------------------

_OWNER = "s.program, s.variant, s.era"
_COUNTS = "s.role IN ('main', 'twin')"
_HITS = (
    f"SELECT h.signature, {_OWNER}, s.made, sum(h.times), min(h.at), max(h.at), min(c.name) FROM hit h "
    f"JOIN sequence s ON s.id = h.sequence JOIN campaign c ON c.id = h.campaign WHERE {_COUNTS} "
    f"GROUP BY h.signature, {_OWNER}, s.made"
)
_RUNS = (
    f"SELECT {_OWNER}, s.made, sum(p.runs), min(p.since) FROM part p JOIN sequence s ON s.id = p.sequence "
    f"WHERE {_COUNTS} AND p.since >= 0 GROUP BY {_OWNER}, s.made ORDER BY min(p.since), s.made"
)
_Owner: TypeAlias = tuple[str, str, str]


def lives(rows: Callable[[str], list[Row]]) -> list[Life]:
    """Return the lives of all findings of the protocol, the latest seen first.  Args: rows: answers a query."""
    newest = rows("SELECT max(name) FROM campaign")[0][0] or ""
    mets = {
        (signature, (program, variant, era)): msgspec.json.decode(entry, type=Met)
        for signature, program, variant, era, entry in rows("SELECT signature, program, variant, era, entry FROM met")
    }
    mets = {key: met for key, met in mets.items() if met.role != "canary"}
    made: dict[_Owner, list[Stretch]] = {}
    for program, variant, era, revision, runs, since in rows(_RUNS):
        made.setdefault((program, variant, era), []).append(Stretch(revision, since, runs))
    seen: dict[tuple[str, _Owner], dict[str, tuple[int, float, float]]] = {}
    first_in: dict[tuple[str, _Owner], str] = {}
    for signature, program, variant, era, revision, times, first, last, campaign in rows(_HITS):
        key = signature, (program, variant, era)
        seen.setdefault(key, {})[revision] = times, first, last
        first_in[key] = min(first_in.get(key, campaign), campaign)
        mets.setdefault(key, Met(signature, program=program, variant=variant, era=era, when=first, campaign=campaign))
    found = []
    for key, met in mets.items():
        hits = seen.get(key, {})
        stretches = [
            stretch._replace(hits=hit[0], first=hit[1], last=hit[2]) if (hit := hits.get(stretch.revision)) else stretch
            for stretch in made.get(key[1], [])
        ]
        known = bool(met.known) or first_in.get(key, met.campaign) < newest
        found.append(life_of(met, stretches, known))
    return sorted(found, key=lambda life: (-life.last_when, life.signature, life.met.program))
