"""The lives of the findings of a store: when each was seen, how often, and how often over time.

Invariant: a rate stands with the runs that it is of and its 95 % interval; "not seen since" with how many runs did not
show it, and what that leaves.  Not here: what a life is (`search/ledger/life.py`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns import print_table
from mmrace.report.finding import known_as
from mmrace.report.numbers import between, chance, count, moment, runs
from mmrace.report.store.history import MINUTES
from mmrace.report.store.status import STATES
from mmrace.report.terminal import say, table
from mmrace.runs.proof import interval
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.life import Life
from mmrace.search.ledger.sums import Sums
from mmrace.search.ledger.watching import COUNTED

SPANS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)
"""Seconds: from a minute to a month, what people count time in."""
POINTS_MAX = 14  # of a rate over time: a fortnight of nights


class Point(NamedTuple):
    """How often a finding was met in a span of time.

    Args: when: its begin, in unix seconds.  runs: of its program, with those that no worker survived.
    """

    when: float
    hits: int
    runs: int

    @property
    def rate(self) -> float:
        """In which share of the runs; 0 if there was none.  A run has a hit for each worker that it took with it."""
        return min(self.hits, self.runs) / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where its rate lies, 95 %."""
        return interval(self.hits, self.runs)


def span_of(seconds: float) -> int:
    """Return a span of time of which not too many make so long a time."""
    longest = SPANS[-1] * math.ceil(seconds / SPANS[-1] / POINTS_MAX)
    return next((span for span in SPANS if seconds / span <= POINTS_MAX), longest)


class OverTime:
    """Says how often findings were met over time; asks the ledger once for each program."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._series: dict[tuple[str, str, str], list[tuple[float, Sums]]] = {}

    def points(self, life: Life) -> list[Point]:
        """Return how often a finding was met over time, from its program's first run to the last."""
        met = life.met
        owner = met.program, met.variant, met.era
        fine = self._series.get(owner)
        if fine is None:
            fine = []
            for role in COUNTED:
                fine += self.index.series(1.0, program=met.program, variant=met.variant, era=met.era, role=role)
            self._series[owner] = fine
        if not fine:
            return []
        whens = [when for when, _ in fine]
        span = span_of(max(whens) - min(whens) + 1)
        made: dict[float, Point] = {}
        for when, sums in fine:
            begin = when // span * span
            old = made.get(begin, Point(begin, 0, 0))
            hits, of = old.hits + sums.hits.get(life.signature, 0), old.runs + sums.runs + sums.given_up
            made[begin] = Point(begin, hits, of)
        return [made[begin] for begin in sorted(made)]


def show(lives: Sequence[Life], kept: Collection[str], console: Console) -> None:
    """Print the lives as a table.  Args: kept: folders of findings that are there."""
    if not lives:
        say(console, "no finding yet")
        return
    columns = ("finding", "state", "program", "rule", "first seen", "last seen", "seen in", "rate, 95 %")
    shown = table("findings", *columns)
    for life in lives:
        shown.add_row(*map(escape, _row(life)))
    print_table(console, shown)
    for life in lives:
        if life.state == "unseen":
            say(console, f"{life.signature}: {unseen_text(life)}")
    for life in lives:
        for line in _words(life, kept):
            say(console, line)


def _row(life: Life) -> tuple[str, ...]:
    met = life.met
    state = known_as(met.known) if met.known else STATES[life.state]
    rate = f"{chance(life.rate)} ({between(life.low, life.high)})" if life.runs else "-"
    seen = f"{count(life.hits)} of {runs(life.runs)}" if life.runs else "-"
    rule = f"{met.oracle}: {met.rule}" if met.oracle else "-"
    first, last = (moment(when)[:MINUTES] for when in (life.first_when, life.last_when))
    return life.signature, state, program_text(life), rule, first, last, seen, rate


def program_text(life: Life) -> str:
    """Name the program of a finding, with its variant and era."""
    return "/".join(filter(None, (life.met.program, life.met.variant, life.met.era)))


def unseen_text(life: Life) -> str:
    """Say since when a finding has not been seen, and what rate that leaves."""
    most = interval(0, life.unseen_runs)[1]
    return (
        f"not seen since revision {life.unseen_since}, in {runs(life.unseen_runs)}: "
        f"its rate is at most {chance(most)} now, was {between(life.low, life.high)}"
    )


def _words(life: Life, kept: Collection[str]) -> Iterator[str]:
    if life.met.title or life.met.command:
        yield f"FINDING {life.signature}  {life.met.title}"
        yield from _again(life, kept)


def _again(life: Life, kept: Collection[str]) -> Iterator[str]:
    """Say where the run of a finding is, unless it was pruned, and how to have another one."""
    if life.met.folder in kept:
        yield f"  findings/{life.met.folder}"
    if life.met.command:
        yield f"  repeat: {life.met.command}"


def show_one(life: Life, over_time: Sequence[Point], kept: Collection[str], console: Console) -> None:
    """Print one finding's life, and its rate over time.  Args: kept: folders of findings that are there."""
    met = life.met
    state = known_as(met.known) if met.known else STATES[life.state]
    say(console, f"FINDING {life.signature}  {met.title}")
    say(console, f"  {state}; {program_text(life)}; {met.oracle}: {met.rule}")
    say(console, f"  first seen {moment(life.first_when)} UTC by revision {life.first_revision or '(not told)'}")
    say(console, f"  last seen {moment(life.last_when)} UTC by revision {life.last_revision or '(not told)'}")
    if life.state == "unseen":
        say(console, f"  {unseen_text(life)}")
    for line in _again(life, kept):
        say(console, line)
    shown = table("over time", "from (UTC)", "runs", "seen in", "rate", "95 %", numbers=True)
    for point in over_time:
        rate = chance(point.rate) if point.runs else "-"
        shown.add_row(moment(point.when), count(point.runs), count(point.hits), rate, between(*point.interval))
    if over_time:
        print_table(console, shown)


def data(life: Life, over_time: Iterable[Point]) -> dict[str, Any]:
    """Return a life as plain data."""
    met = life.met
    return {
        "signature": life.signature,
        "state": life.state,
        "known": met.known,
        "oracle": met.oracle,
        "rule": met.rule,
        "title": met.title,
        "program": met.program,
        "variant": met.variant,
        "era": met.era,
        "folder": met.folder,
        "command": met.command,
        "first_seen": life.first_when,
        "first_revision": life.first_revision,
        "last_seen": life.last_when,
        "last_revision": life.last_revision,
        "unseen_since": life.unseen_since,
        "unseen_runs": life.unseen_runs,
        "hits": life.hits,
        "runs": life.runs,
        "rate": life.rate,
        "rate_95": [life.low, life.high],
        "over_time": [
            {"when": point.when, "hits": point.hits, "runs": point.runs, "rate_95": list(point.interval)}
            for point in over_time
        ],
    }
