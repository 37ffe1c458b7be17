"""Bounded attempts: a page that nobody else holds or touches must become migratable within so many tries.

The part of the liveness oracle that looks at migrations.  A series is `ATTEMPTS_MAX` ends
with -EAGAIN in a row by one task on one page.  It is a failure if, in all that time, no other task did an op
on the page or on its buffers, and at its end none holds a lock or a reference there and no I/O is in flight.
Invariant: a permanent holder (a journal head, a pagevec) excuses every refusal, for then -EAGAIN is the right
answer; a leak does not: a reference of no declared name, or one that ought to be dropped and whose holder is gone.
Not checked: refusals other than -EAGAIN.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.oracles.general.ledger import Ledgers
from mmrace.runtime.kinds import CLEAR, EXIT, KIND_MASK, NOTE, SET, SHIFT, TEST_AND_CLEAR, TEST_AND_SET, WRITE
from mmrace.runtime.record import Record

ATTEMPTS_MAX = 10  # passes of migrate_pages in 3.3
ACCOUNTED = frozenset({"slot", "private", "isolation"})  # what a migration expects to find on a page
OWN = frozenset({"lookup", "migrate"})  # what a migrator drops before its attempt ends
COUNTS = ("_count", "b_count")
LOCK_BITS = frozenset({"PG_locked", "PG_writeback", "BH_Lock"})


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


def idle(record: Record, series: Series) -> list[str] | None:
    """Return the leaked references there, each as "name by task", if the page was idle; None if it was not.

    It was if nobody but the migrating task touched it or its buffers, or held them with a right to.
    """
    objects = {series.page} | buffers_of(record, series.page, series.last)
    lanes = {lane: (field, sub) for lane, (_, owner, field, sub) in record.table.items() if owner in objects}
    for task, op, _, _ in record.events[series.first : series.last]:
        if op != NOTE and task != series.task and op >> SHIFT in lanes:
            return None
    held = {lane for lane, (_, sub) in lanes.items() if sub in LOCK_BITS}
    # all under the page's name: when the page is freed, nothing of its buffers counts any more
    counts = {lane: series.page for lane, (field, _) in lanes.items() if field in COUNTS}
    return _leaked(record, series, held, Ledgers(record, counts))


def buffers_of(record: Record, page: str, end: int) -> set[str]:
    """Return the buffers whose page this was at any time before step `end`."""
    b_page = record.lanes("BufferHead", "b_page")
    return {
        b_page[op >> SHIFT]
        for _, op, _, new in record.events[:end]
        if op != NOTE and op & KIND_MASK == WRITE and op >> SHIFT in b_page and record.name(new) == page
    }


def _leaked(record: Record, series: Series, bits: set[int], ledgers: Ledgers) -> list[str] | None:
    """Return the leaks among what others hold, None if any holds something with a right to."""
    taken: dict[int, int] = {}
    gone: set[int] = set()
    for event in record.events[: series.last]:
        ledgers.take(event)
        task, op, _, _ = event
        if op == NOTE:
            continue
        kind = op & KIND_MASK
        if kind == EXIT:
            gone.add(task)
        elif op >> SHIFT not in bits:
            continue
        elif kind in (TEST_AND_SET, SET):
            taken.setdefault(op >> SHIFT, task)
        elif kind in (CLEAR, TEST_AND_CLEAR):
            taken.pop(op >> SHIFT, None)
    if any(task != series.task for task in taken.values()):
        return None
    tables = record.tables
    dropped = {*tables.transient, *tables.foreign}
    leaks: list[str] = []
    for ledger in ledgers.by_lane.values():
        for ref, holders in ledger.holders.items():
            for holder in holders:
                if ref in ACCOUNTED or (holder == series.task and ref in OWN):
                    continue
                lasts = ref in tables.lasting or not tables.lasting
                if lasts or (ref in dropped and holder not in gone):
                    return None
                leaks.append(f"{ref} by {record.task_name(holder) if holder >= 0 else 'nobody known'}")
    return leaks
