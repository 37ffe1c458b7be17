"""The life of a finding over the campaigns of a store: new, known, unseen since, came back.

Invariant: "unseen" is said only of a finding that so many runs of a later revision would have shown: their upper bound
for its rate lies below the lower bound that it had.  Runs of another kind than those that had it (engine, workload,
parameters, judges left out: `Sequence.kind`) say nothing.  Not here: whether anybody mended it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

from mmrace.runs.proof import interval
from mmrace.search.ledger.entry import Met
from mmrace.search.totals import Whose

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
    """The runs of one revision that could have shown a finding.  first, last: when a run had it; None if none had."""

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
        rate=min(hits, runs) / runs if runs else 0.0,
        low=low,
        high=high,
    )


def _unseen(quiet: int, low: float) -> bool:
    return quiet > 0 and interval(0, quiet)[1] < low


# -- from the tables ------------------------------------------------------------------------------------------------

_OWNER = "s.program, s.variant, s.era"
_COUNTS = "s.role IN ('main', 'twin')"
_HITS = (
    f"SELECT h.signature, {_OWNER}, s.kind, s.made, sum(h.times), min(h.at), max(h.at), min(c.name) FROM hit h "
    f"JOIN sequence s ON s.id = h.sequence JOIN campaign c ON c.id = h.campaign WHERE {_COUNTS} "
    f"GROUP BY h.signature, {_OWNER}, s.kind, s.made"
)
_RUNS = (
    f"SELECT {_OWNER}, s.kind, s.made, sum(p.made), min(p.since) FROM part p JOIN sequence s ON s.id = p.sequence "
    f"WHERE {_COUNTS} AND p.since >= 0 GROUP BY {_OWNER}, s.kind, s.made"
)
_Owner: TypeAlias = tuple[str, str, str]


@dataclass(slots=True)
class _Seen:
    """Where a finding was met.  kinds: of runs.  by: revision -> its times, first and last."""

    campaign: str
    kinds: set[str]
    by: dict[str, tuple[int, float, float]]


def lives(rows: Callable[[str], list[Row]]) -> list[Life]:
    """Return the lives of all findings of the protocol, the latest seen first.  Args: rows: answers a query."""
    newest = rows("SELECT max(name) FROM campaign")[0][0] or ""
    words = {(met.signature, (met.program, met.variant, met.era)): met for met in mets(rows) if met.role != "canary"}
    made: dict[_Owner, list[tuple[str, str, int, float]]] = {}
    for *owner, kind, revision, runs, since in rows(_RUNS):
        made.setdefault((owner[0], owner[1], owner[2]), []).append((kind, revision, runs, since))
    seen: dict[tuple[str, _Owner], _Seen] = {}
    for signature, program, variant, era, kind, revision, times, first, last, campaign in rows(_HITS):
        key = signature, (program, variant, era)
        where = seen.setdefault(key, _Seen(campaign, set(), {}))
        where.campaign = min(where.campaign, campaign)
        where.kinds.add(kind)
        old = where.by.get(revision, (0, first, last))
        where.by[revision] = old[0] + times, min(old[1], first), max(old[2], last)
        words.setdefault(key, Met(signature, program=program, variant=variant, era=era, when=first, campaign=campaign))
    found = []
    for key, met in words.items():
        where = seen.get(key, _Seen(met.campaign, set(), {}))
        known = bool(met.known) or where.campaign < newest
        found.append(life_of(met, _stretches(made.get(key[1], []), where), known))
    return sorted(found, key=lambda life: (-life.last_when, life.signature, life.met.program))


def mets(rows: Callable[..., list[Row]], campaign: str | None = None) -> list[Met]:
    """Return every finding in the words of its first time; whether it is known, as of the last one.

    Args: campaign: whose words; None: of all.
    """
    found: dict[Whose, tuple[Met, float, str]] = {}
    for name, last, known, entry in rows("SELECT campaign, last, known, entry FROM met ORDER BY at, entry"):
        if campaign is None or campaign == name:
            met = msgspec.json.decode(entry, type=Met)
            first, newest, says = found.get(met.whose, (met, last, known))
            found[met.whose] = first, *max((newest, says), (last, known))
    for met, _, known in found.values():
        met.known = known
    return [met for met, _, _ in found.values()]


def _stretches(made: list[tuple[str, str, int, float]], where: _Seen) -> list[Stretch]:
    """Return the runs that could have shown a finding: of the kinds that did, by revision, in the order of time."""
    stretches: dict[str, Stretch] = {}
    for kind, revision, runs, since in made:
        if kind in where.kinds:
            old = stretches.get(revision, Stretch(revision, since, 0))
            stretches[revision] = old._replace(since=min(old.since, since), runs=old.runs + runs)
    found = [
        stretch._replace(hits=hit[0], first=hit[1], last=hit[2]) if (hit := where.by.get(revision)) else stretch
        for revision, stretch in stretches.items()
    ]
    return sorted(found, key=lambda stretch: (stretch.since, stretch.revision))
