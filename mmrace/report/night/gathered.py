"""The facts of a night, gathered from the index of a store and the folders of its findings.

Invariant: the store alone is asked, so that the page can be made again wherever it lies; sums over runs come from
the ledger, and are never counted twice there.  Not here: what the facts amount to (`verdict.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmrace.report.night import happened, lived
from mmrace.report.night.chosen import Choice, began_at, choose
from mmrace.report.night.estimates import classes_of
from mmrace.report.night.facts import (
    Before,
    Counted,
    Expected,
    Moment,
    Night,
    Program,
    Ranges,
    Refused,
)
from mmrace.report.night.lived import Hits, Owner
from mmrace.report.night.stories import BookOf
from mmrace.search.ledger import index as ledger
from mmrace.search.ledger.cells import FINENESS, LONGEST_SECONDS
from mmrace.search.ledger.entry import Sequence
from mmrace.search.ledger.index import Index, Where
from mmrace.search.ledger.sums import Sums
from mmrace.search.totals import Tally

MOMENTS = 96  # stretches into which a night is cut, at most
STRETCHES = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds that such a stretch may have."""
RANGES_MAX = 300  # sequences that are listed
COUNTERS_MAX = 200
BEFORE_MAX = 14  # campaigns before the night that are listed: a fortnight
REFUSED, TRIED = ".refused.", ".tried"
"""What counters are named that count refusals by reason, and the one that they are a part of."""


Each = list[tuple[Sequence, Sums]]


def gather(
    index: Index,
    store: Path,
    book_of: BookOf,
    *,
    campaign: str = "",
    since: float | None = None,
    now: float = math.inf,
) -> Night:
    """Return the facts of a night.  Args: store: as it was named.  campaign, since, now: see `choose`.

    Raises UsageError.
    """
    choice = choose(index, campaign=campaign, since=since, now=now)
    each = index.each(**choice.where) if choice.campaigns else []
    by_role = {role: [(of, sums) for of, sums in each if of.role == role] for role in ("main", "twin", "canary")}
    total = _summed(by_role["main"])
    proper = _summed([*by_role["main"], *by_role["twin"]])
    workers = happened.workers_of(index, choice)
    moments, hits = _moments(index, choice, {(_owner(of), of.engine) for of, _ in by_role["main"]})
    campaigns = tuple(happened.campaign_of(one) for one in choice.campaigns)
    since_when = min((began_at(one) for one in choice.campaigns), default=None)
    if since is not None and since_when is not None:
        since_when = max(since, since_when)
    ranges = _ranges(index, each)
    others = [one for one in index.campaigns() if one.campaign not in {mine.campaign for mine in choice.campaigns}]
    return Night(
        store=str(store),
        chosen=choice.said,
        since=since_when,
        until=happened.until(choice, moments, workers),
        campaigns=campaigns,
        ahead=choice.ahead,
        total=_counted(total),
        twins=_counted(_summed(by_role["twin"])),
        planted=_counted(_summed(by_role["canary"])),
        programs=tuple(_programs(by_role["main"])),
        unjudged=tuple((Counter(proper.unknown) + Counter(proper.alone)).most_common()),
        classes=classes_of(total.sketch),
        moments=moments,
        findings=lived.findings(
            index, lived.words_of(index, choice), _of_owner(each), hits, since_when or 0.0, store, book_of
        ),
        expected=tuple(Expected(row, proper.known.get(row, 0), of) for row, of in sorted(proper.expected.items())),
        canaries=tuple(happened.canaries(index, {one.campaign for one in choice.campaigns})),
        marks=happened.marks_of(choice, proper),
        refused=tuple(_refused(proper.counters)),
        counters=tuple(_counters(proper.counters))[:COUNTERS_MAX],
        ranges=ranges[:RANGES_MAX],
        ranges_dropped=max(0, len(ranges) - RANGES_MAX),
        workers=workers,
        damage=tuple(map(str, index.damage)),
        earlier=len(others),
        before=tuple(_before(index, one) for one in reversed(others[-BEFORE_MAX:])),
    )


def _summed(each: Each) -> Sums:
    total = Sums()
    for _, sums in each:
        total.add(sums)
    return total


def _counted(sums: Sums) -> Counted:
    tally = sums.tally()
    verdicts = tally.verdicts
    return Counted(
        runs=sums.runs,
        ops=sums.ops,
        seconds=sums.seconds,
        passed=verdicts["PASS"],
        failed=verdicts["FAIL"],
        unknown=verdicts["UNKNOWN"],
        unjudged=tally.unjudged,
        given_up=sums.given_up,
    )


def _before(index: Index, one: ledger.Campaign) -> Before:
    trials = [trial for trial in index.trials() if trial.campaign == one.campaign]
    return Before(
        happened.campaign_of(one),
        _counted(index.sums(campaign=one.campaign, role="main")),
        len(trials),
        sum(trial.found_after is not None for trial in trials),
    )


def _owner(of: Sequence) -> Owner:
    return of.program, of.variant, of.era


# -- programs --------------------------------------------------------------------------------------------------------


def _programs(each: Each) -> Iterator[Program]:
    """Yield what was run of each program under each engine; what a program lacks stands at its first one."""
    rows: dict[Owner, dict[str, Sums]] = {}
    for of, sums in each:
        rows.setdefault(_owner(of), {}).setdefault(of.engine, Sums()).add(sums)
    for owner, engines in sorted(rows.items()):
        doubts = tuple(_doubts(engines.values()))
        for engine, sums in sorted(engines.items()):
            yield Program(*owner, engine, _counted(sums), classes_of(sums.sketch), doubts)
            doubts = ()


def _doubts(parts: Iterable[Sums]) -> Iterator[str]:
    """Yield why the runs of a program prove nothing."""
    tally, given_up = Tally(), 0
    for sums in parts:
        tally.merge(sums.tally())
        given_up += sums.given_up
    yield from tally.doubts(given_up)


def _of_owner(each: Each) -> dict[Owner, tuple[int, Counter[str]]]:
    """Return of each owner how many runs should have passed, and in how many of them each finding was seen."""
    found: dict[Owner, tuple[int, Counter[str]]] = {}
    for of, sums in each:
        if of.role != "canary":
            runs, hits = found.get(_owner(of), (0, Counter()))
            found[_owner(of)] = runs + sums.runs, hits + Counter(sums.hits)
    return found


def _moments(index: Index, choice: Choice, kinds: set[tuple[Owner, str]]) -> tuple[tuple[Moment, ...], Hits]:
    """Return the night in stretches, and when in it each finding was seen.  Args: kinds: owners with engines."""
    series = {}
    for owner, engine in sorted(kinds):
        program, variant, era = owner
        where: Where = {**choice.where, "role": "main", "engine": engine}
        where |= {"program": program, "variant": variant, "era": era}
        series[owner, engine] = index.series(1.0, **where)  # finely: how long the night was is known only then
    times = [when for rows in series.values() for when, _ in rows]
    if not times:
        return (), {}
    stretch = _stretch(max(times) - min(times))
    runs: dict[float, Counter[str]] = {}
    sketches: dict[float, Sums] = {}
    hits: Hits = {}
    for (owner, engine), rows in series.items():
        for when, part in rows:
            end = (when // stretch + 1) * stretch
            runs.setdefault(end, Counter())[engine] += part.runs
            sketches.setdefault(end, Sums()).add(Sums(sketch=part.sketch))
            for signature, seen in part.hits.items():
                hits.setdefault((owner, signature), Counter())[end] += seen
    moments = []
    so_far = Sums()
    for end in sorted(sketches):
        so_far.add(sketches[end])
        moments.append(Moment(end, stretch, dict(sorted(runs[end].items())), classes_of(so_far.sketch)))
    return tuple(moments), hits


def _stretch(span: float) -> int:
    """Return how long the stretches of a night are: no shorter than the cells at its end, or some are empty."""
    cell = min(LONGEST_SECONDS, (1 << int(span).bit_length()) // FINENESS)
    return next((length for length in STRETCHES if length >= cell and span / length < MOMENTS), STRETCHES[-1])


# -- counters and ranges ---------------------------------------------------------------------------------------------


def _refused(counters: dict[str, int]) -> Iterator[Refused]:
    by_what: dict[str, Counter[str]] = {}
    for name, times in counters.items():
        what, refused, reason = name.partition(REFUSED)
        if refused:
            by_what.setdefault(what, Counter())[reason] += times
    for what, reasons in sorted(by_what.items()):
        ordered = sorted(reasons.items(), key=lambda row: (-row[1], row[0]))
        yield Refused(what, tuple(ordered), counters.get(what + TRIED))


def _counters(counters: dict[str, int]) -> Iterator[tuple[str, int]]:
    return ((name, times) for name, times in sorted(counters.items()) if REFUSED not in name)


def _ranges(index: Index, each: Each) -> tuple[Ranges, ...]:
    """Return the turns of the sequences to which the night added, those with the most runs first."""
    order = {"main": 0, "canary": 1, "twin": 2}
    ordered = sorted(each, key=lambda row: (order[row[0].role], -row[1].runs, row[0].program, row[0].key))
    return tuple(
        Ranges(
            key=of.key,
            program=of.program + "".join(f", {part}" for part in (of.variant, of.era, of.workload) if part),
            role=f"{of.role} of {of.trial}" if of.trial else of.role,
            engine=of.engine,
            how=", ".join(part for part in (of.strategy if of.engine != "free" else of.noise, *_given(of)) if part),
            seed=of.seed,
            turns=tuple(index.covered(of)) if place < RANGES_MAX else (),
            revision=of.made_of,
        )
        for place, (of, _) in enumerate(ordered)
    )


def _given(of: Sequence) -> list[str]:
    return [*(f"{key}={value}" for key, value in of.params), *(f"without {name}" for name in of.without)]
