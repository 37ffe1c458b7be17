"""Progress: background writeback writes a dirty page that nobody else is at.

A round is one walk of a flusher over a range of a file, between its notes.  Rule: a page in that range that is dirty
when a round begins is under writeback in it, or clean when it ends, unless others touched the page or its buffers
meanwhile or held a lock there; after `ROUNDS_MAX` rounds in a row in vain the page was forgotten.
Invariant: a page that somebody is at is excused for that round and no more.  Not checked: what follows an abort of the
journal; how long a write takes; that an idle page can be moved (the liveness oracle does that).
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.attempts import LOCK_BITS, buffers_of
from mmrace.runtime.kinds import (
    CLEAR,
    KIND_MASK,
    NOTE,
    SET,
    SHIFT,
    STORE,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    WRITE,
)
from mmrace.runtime.record import Record

NAME = "progress"
ROUNDS_MAX = 2
ABORT = "journal-abort"
"""From this note on some pages cannot be written: those with blocks to be mapped or journalled, which want a handle."""
_SETS, _CLEARS = (SET, TEST_AND_SET), (CLEAR, TEST_AND_CLEAR)


@dataclass(slots=True)
class _Round:
    """A walk that is going on: what was dirty when it began, less what it got to."""

    begin: int
    ino: str
    first: int
    last: int
    dirty: set[str]


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.dirty: set[str] = set()
        self.rounds: dict[int, _Round] = {}
        self.vain: dict[tuple[int, str], int] = {}  # flusher and page -> rounds in a row
        self.checked = 0

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "flush-begin":
            ino, first, last = facts
            assert isinstance(first, int) and isinstance(last, int)
            self.rounds[task] = _Round(step, str(ino), first, last, set(self.dirty))
            self.checked += len(self.dirty)
        elif kind == "flush-end":
            walk = self.rounds.pop(task, None)
            if walk is None:
                return
            missed = walk.dirty & self.dirty
            for key in [key for key in self.vain if key[0] == task and key[1] not in missed]:
                del self.vain[key]
            for page in sorted(missed):
                self.missed(step, task, walk, page)

    def missed(self, step: int, task: int, walk: _Round, page: str) -> None:
        """A page that was dirty all the while was not written."""
        if not _in_range(self.record, walk, page) or not _alone(self.record, walk.begin, step, task, page):
            return
        rounds = self.vain[task, page] = self.vain.get((task, page), 0) + 1
        if rounds >= ROUNDS_MAX:
            who = self.record.task_name(task)
            text = f"{page} was dirty and nobody else was at it, yet {who} did not write it in {rounds} rounds"
            self.evidence.add("dirty page forgotten", text, (page, who), page=page, task=who, step=step, rounds=rounds)

    def written(self, page: str) -> None:
        """A page went under writeback, whoever writes it."""
        for walk in self.rounds.values():
            walk.dirty.discard(page)


def judge(record: Record) -> Judgement:
    """Follow the dirty bits from round to round."""
    audit = _Audit(record)
    dirty, writeback = (record.bit_lane("Page", "flags", bit) for bit in ("PG_dirty", "PG_writeback"))
    words = record.lanes("Page", "flags")
    for step in record.steps(NOTE, *_SETS, *_CLEARS, STORE):
        task, op, a, b = record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            if a == ABORT:
                break
            if a in ("flush-begin", "flush-end"):
                audit.note(step, task, a, b)
        elif lane in dirty:
            page = dirty[lane]
            if kind in _SETS:
                audit.dirty.add(page)
            else:
                audit.dirty.discard(page)  # a flusher that cannot write it sets the bit again
        elif lane in writeback:
            if kind in _SETS:
                audit.written(writeback[lane])
        elif kind == STORE and not b and lane in words:
            audit.dirty.discard(words[lane])  # freed
    return audit.evidence.judgement(audit.checked)


def _in_range(record: Record, walk: _Round, page: str) -> bool:
    """Say whether the page was in the walk's range of its file when the walk began."""
    of_page = {key: record.lanes("Page", key) for key in ("mapping", "index")}
    fields = {lane: key for key, lanes in of_page.items() for lane, name in lanes.items() if name == page}
    values: dict[str, object] = {}
    for _, op, _, new in record.events[: walk.begin]:
        if op != NOTE and op & KIND_MASK == WRITE and op >> SHIFT in fields:
            values[fields[op >> SHIFT]] = record.name(new)
    index = values.get("index")
    of_file = str(values.get("mapping")) == f"mapping:{walk.ino}"
    return of_file and isinstance(index, int) and walk.first <= index <= walk.last


def _alone(record: Record, begin: int, end: int, task: int, page: str) -> bool:
    """Say whether no other task touched the page or its buffers meanwhile, or held a lock there when it began."""
    objects = {page} | buffers_of(record, page, end)
    lanes = {lane: sub for lane, (_, owner, _, sub) in record.table.items() if owner in objects}
    held: set[int] = set()
    for _, op, old, _ in record.events[:begin]:
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE or lanes.get(lane) not in LOCK_BITS:
            continue
        if kind == SET or (kind == TEST_AND_SET and not old):
            held.add(lane)
        elif kind in _CLEARS:
            held.discard(lane)
    touched = any(other != task and op != NOTE and op >> SHIFT in lanes for other, op, _, _ in record.events[begin:end])
    return not held and not touched
