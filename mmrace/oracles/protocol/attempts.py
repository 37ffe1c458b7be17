"""Bounded attempts: a page that nobody else holds or touches must become migratable within so many tries.

The part of the liveness oracle that looks at migrations.  A series is `ATTEMPTS_MAX` ends
with -EAGAIN in a row by one task on one page.  It is a failure if, in all that time, no other task did an op
on the page or on its buffers, and at its end none holds a lock or a reference there and no I/O is in flight.
Invariant: a permanent holder (a journal head, a pagevec) excuses every refusal, for then -EAGAIN is the right
answer; so does the migrating task itself, if it came to the migration by an allocation from where it uses the page,
which it lets go of after that; a leak does not: a reference of no declared name, or one that ought to be dropped and
whose holder is gone, or a lock that nobody drops any more (`holders.py`).
Not checked: refusals other than -EAGAIN.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.oracles.general.ledger import Ledgers
from mmrace.oracles.protocol.holders import Held, buffers_of, locks_at, taken_at
from mmrace.runtime.kinds import EXIT, KIND_MASK, NOTE, PUT, SHIFT
from mmrace.runtime.record import Record

ATTEMPTS_MAX = 10  # passes of migrate_pages in 3.3
ACCOUNTED = frozenset({"slot", "private", "isolation"})  # what a migration expects to find on a page
OWN = frozenset({"lookup", "migrate"})  # what a migrator drops before its attempt ends
COUNTS = ("_count", "b_count")


@dataclass(slots=True, frozen=True)
class Series:
    """Refusals of one page, one after the other."""

    page: str
    task: int
    first: int
    last: int
    reasons: tuple[str, ...]


class Counter:
    """Collects series while somebody walks through the notes."""

    def __init__(self) -> None:
        self.begun: dict[int, int] = {}
        self.refused: dict[tuple[str, int], list[tuple[int, int, str]]] = {}  # (page, task) -> begin, end, reason
        self.series: list[Series] = []

    def begin(self, step: int, task: int) -> None:
        """An attempt begins."""
        self.begun[task] = step

    def end(self, step: int, task: int, page: str, rc: str, reason: str) -> None:
        """An attempt ends."""
        if rc != "-EAGAIN":
            self.refused.pop((page, task), None)
            return
        row = self.refused.setdefault((page, task), [])
        row.append((self.begun.get(task, step), step, reason))
        if len(row) >= ATTEMPTS_MAX:
            last = row[-ATTEMPTS_MAX:]
            self.series.append(Series(page, task, last[0][0], step, tuple(reason for _, _, reason in last)))


def idle(record: Record, series: Series) -> list[Held] | None:
    """Return what is leaked there, locks and references, if the page was idle; None if it was not.

    It was if nobody but the migrating task touched it or its buffers, or held them with a right to.
    """
    objects = {series.page} | buffers_of(record, series.page, series.last)
    lanes = {lane: field for lane, (_, _, field, _) in record.lanes_of(objects).items()}
    for task, op, _, _ in record.events[series.first : series.last]:
        if op != NOTE and task != series.task and op >> SHIFT in lanes:
            return None
    locks = locks_at(record, objects, series.last)
    if any(not lock.leaked and (lock.task != series.task or lock.step < series.first) for lock in locks):
        return None
    # all under the page's name: when the page is freed, nothing of its buffers counts any more
    counts = {lane: series.page for lane, field in lanes.items() if field in COUNTS}
    references = _leaked(record, series, counts)
    return None if references is None else [*locks, *references]


def _leaked(record: Record, series: Series, counts: dict[int, str]) -> list[Held] | None:
    """Return the leaks among the references that others hold, None if any is held with a right to."""
    ledgers = Ledgers(record, counts)
    gone: set[int] = set()
    for event in record.events[: series.last]:
        ledgers.take(event)
        task, op, _, _ = event
        if op != NOTE and op & KIND_MASK == EXIT:
            gone.add(task)
    tables = record.tables
    dropped = {*tables.transient, *tables.foreign}
    leaks: list[Held] = []
    for ledger in ledgers.by_lane.values():
        for ref, holders in ledger.holders.items():
            for holder in holders:
                if holder == series.task and ref in OWN and _in_the_middle(record, series, counts, ref):
                    return None
                if ref in ACCOUNTED or (holder == series.task and ref in OWN):
                    continue
                lasts = ref in tables.lasting or not tables.lasting
                if lasts or (ref in dropped and holder not in gone):
                    return None
                leaks.append(Held(ref, holder, taken_at(record, counts, ref, holder, series.last)))
    return leaks


def _in_the_middle(record: Record, series: Series, counts: dict[int, str], ref: str) -> bool:
    """Say whether the migrating task took this reference before it came to migrate, and drops it after that."""
    if taken_at(record, counts, ref, series.task, series.last) >= series.first:
        return False
    for task, op, a, _ in record.events[series.last :]:
        if op != NOTE and task == series.task and op >> SHIFT in counts and a == ref:
            return bool(op & KIND_MASK == PUT)
    return record.end.get("how") != "finished"
