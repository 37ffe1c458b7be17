"""`mmrace history`: what a store remembers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmrace import installed
from mmrace.cli import store, terminal
from mmrace.report.terminal import say
from mmrace.runtime.errors import UsageError
from mmrace.search.catalogue import pick

if TYPE_CHECKING:
    from mmrace.report.store.marks import Marks
    from mmrace.search.ledger.index import Index
    from mmrace.search.ledger.life import Life
    from mmrace.search.ledger.watching import Progress

LAST = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be told beside the campaigns, or instead of them."""

    findings: bool
    finding: str | None
    canaries: bool
    marks: bool

    @property
    def anything(self) -> bool:
        """Whether anything is."""
        return self.findings or self.finding is not None or self.canaries or self.marks


@click.command(short_help="What a store remembers: campaigns, findings, canaries.")
@store.store
@click.option("--findings", is_flag=True, help="The life of each finding.")
@click.option("--finding", metavar="SIGNATURE", help="One finding, and its rate over time.")
@click.option("--canaries", is_flag=True, help="Whether each campaign found its planted bugs, and how soon.")
@click.option("--marks", is_flag=True, help="Which rare branches were never reached.")
@click.option("--last", type=click.IntRange(1), default=LAST, show_default=True, help="So many campaigns.")
@store.as_json
def history(folder: str, last: int, as_json: str | None, **options: Any) -> None:
    """Tell what a store remembers: its campaigns as a table, or what is asked for.

    \b
    A finding is   new        if the newest campaign was the first to have it,
                   known      if an earlier one had it (or "known in 3.3", if it
                              is expected of its program),
                   unseen     if so many runs of a later revision do not have it
                              that it would have shown at its former rate,
                   came back  if it was seen again after that.
    Rates are of the runs of its program, with their 95 % interval (Wilson).
    --json has all of it, findings with their rate over time.
    """
    asked = Asked(**options)
    with store.asked(folder) as index:
        from mmrace.search.ledger.watching import Watcher  # noqa: PLC0415

        rows = index.campaigns()
        watcher = Watcher(index, time.time())
        shown = [watcher.progress(row) for row in rows[-last:]]
        if as_json is not None:
            store.write_json(as_json, _data(folder, index, shown, asked))
            return
        _print(folder, index, shown, asked, len(rows))
        damage = [str(damage) for damage in index.damage]
    from mmrace.report.store.status import damage_lines  # noqa: PLC0415

    for line in damage_lines(damage):
        say(terminal.console(), line)


def _print(folder: str, index: Index, rows: list[Progress], asked: Asked, of: int) -> None:
    from mmrace.report.store import canaries, findings, marks  # noqa: PLC0415
    from mmrace.report.store import history as text  # noqa: PLC0415
    from mmrace.search.ledger.watching import first_met_in  # noqa: PLC0415

    console = terminal.console()
    lives, kept = index.lives(), _kept(folder)
    if asked.findings:
        findings.show(lives, kept, console)
    if asked.finding is not None:
        over_time = findings.OverTime(index)
        for life in _of(asked.finding, lives):
            findings.show_one(life, over_time.points(life), kept, console)
    if asked.canaries:
        canaries.show(rows, index.trials(), console)
    if asked.marks:
        marks.show(_marks(index), console)
    if not asked.anything:
        known = {life.signature for life in lives if life.met.known}
        first = first_met_in(life.met for life in lives)
        text.show(rows, known, first, console, before=of - len(rows))


def _data(folder: str, index: Index, rows: list[Progress], asked: Asked) -> dict[str, Any]:
    from mmrace.report.store import findings, marks  # noqa: PLC0415
    from mmrace.report.store import history as text  # noqa: PLC0415

    lives = index.lives()
    chosen = _of(asked.finding, lives) if asked.finding is not None else lives
    over_time = findings.OverTime(index)
    told = [findings.data(life, over_time.points(life)) for life in chosen]
    damage = [str(damage) for damage in index.damage]
    return text.data(folder, rows, findings=told, marks=marks.data(_marks(index)), damage=damage)


def _kept(folder: str) -> set[str]:
    """Return the folders of findings that a store has."""
    try:
        return set(os.listdir(Path(folder, "findings")))
    except OSError:
        return set()


def _of(signature: str, lives: list[Life]) -> list[Life]:
    """Return the lives of a finding, of each program one.  Raises UsageError if nobody met it."""
    found = [life for life in lives if life.signature == signature]
    if not found:
        if not lives:
            raise UsageError(expected="a finding of this store", got=signature, where="--finding", try_="--store DIR")
        pick("finding", signature, [life.signature for life in lives])
    return found


def _marks(index: Index) -> Marks:
    """Return what was reached, of what the campaigns expected, or else of what is installed."""
    from mmrace.report.store.marks import Marks, expected_in  # noqa: PLC0415
    from mmrace.search.ledger.watching import counted  # noqa: PLC0415

    total, revisions = counted(index), index.revisions()
    newest = counted(index, revision=revisions[-1]) if revisions else total
    expected = expected_in(row.begun.request for row in index.campaigns() if row.begun)
    if not expected:
        known = installed.catalogue()
        programs = {sequence.program for sequence in index.sequences()} & set(known.scenarios)
        expected = frozenset(known.expected_marks(sorted(programs)))
    return Marks(
        total.runs,
        dict(total.marks),
        expected,
        revisions[-1] if revisions else "",
        newest.runs,
        frozenset(mark for mark, times in newest.marks.items() if times),
    )
