"""Progress: background writeback writes a dirty page that nobody else is at, and a drained pagevec keeps no page.

A round is one walk of a flusher over a range of a file, between its notes.  Rule: a page in that range that is dirty
when a round begins is under writeback in it, or clean when it ends, unless others touched the page or its buffers
meanwhile or held a lock there that they dropped later; after `ROUNDS_MAX` rounds in a row in vain the page was
forgotten.  Rule: when everybody is done and the pagevecs of all CPUs were drained (the state "synced"), none has a
page: its reference would keep that page from being moved for ever, and off the LRU perhaps.  Rule: a commit takes what
was written home off its checkpoint list (`checkpointed.py`).
Invariant: a page that somebody is at is excused for that round and no more; so is one whose dirty bit is set while slot
and inode, by which a flusher goes, may not be marked yet; who holds it against the rule is named.
Not checked: rounds that end after an abort of the journal; how long a write takes; that an idle page can be moved (the
liveness oracle does that).
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.checkpointed import kept_on_checkpoint_lists
from mmrace.oracles.protocol.holders import Held, buffers_of, last_taken, locks_at
from mmrace.oracles.protocol.names import ABORT
from mmrace.oracles.protocol.snapshot import snapshots
from mmrace.runtime.kinds import CLEARS, EXIT, KIND_MASK, NOTE, SETS, SHIFT, STORE, WRITE
from mmrace.runtime.record import Record

NAME = "progress"
ROUNDS_MAX = 2
MARKING_OPS = 16
"""Ops after which whoever set a dirty bit has marked slot and inode, too, under tree_lock and i_lock: it takes 11."""


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
        self.dirtied: dict[str, tuple[int, int]] = {}  # page -> step, and task that set its bit
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
        if self.being_marked(page, walk.begin, task) or not _in_range(self.record, walk, page):
            return
        locks = _alone(self.record, walk.begin, step, task, page)
        if locks is None:
            return
        rounds = self.vain[task, page] = self.vain.get((task, page), 0) + 1
        if rounds >= ROUNDS_MAX:
            who = self.record.task_name(task)
            text = f"{page} was dirty and nobody else was at it, yet {who} did not write it in {rounds} rounds"
            if locks:
                text += f", for it is held: {'; '.join(lock.text(self.record) for lock in locks)}"
            self.evidence.add(
                "dirty page forgotten",
                text,
                (page, who),
                page=page,
                task=who,
                held=[lock.fact(self.record) for lock in locks],
                step=step,
                rounds=rounds,
            )

    def pagevecs(self) -> None:
        """No pagevec that was drained has a page."""
        record = self.record
        counts = {name: lane for lane, name in record.lanes("Page", "_count").items()}
        for snap in snapshots(record):
            if snap.label != "synced":
                continue
            self.checked += len(snap.lru)
            for page in sorted(set(snap.pagevecs)):
                lanes = {counts[page]} if page in counts else set()
                holder, step = last_taken(record, lanes, "pagevec")
                held = Held("pagevec", holder, step)
                text = f"{page} is in a pagevec after all were drained, so that it cannot be moved: {held.text(record)}"
                at = step if step >= 0 else len(record.events)
                self.evidence.add("pagevec never drained", text, (page,), page=page, held=[held.fact(record)], step=at)

    def being_marked(self, page: str, until: int, flusher: int) -> bool:
        """Say whether another one, who had set the page's dirty bit, may not have marked slot and inode at a step."""
        since, who = self.dirtied[page]
        if who == flusher:
            return False
        ops = [op & KIND_MASK for task, op, _, _ in self.record.events[since + 1 : until] if task == who and op != NOTE]
        return len(ops) < MARKING_OPS and EXIT not in ops

    def dirties(self, step: int, task: int, page: str) -> None:
        """A page has its dirty bit set."""
        if page not in self.dirty:
            self.dirtied[page] = step, task
        self.dirty.add(page)

    def written(self, page: str) -> None:
        """A page went under writeback, whoever writes it."""
        for walk in self.rounds.values():
            walk.dirty.discard(page)


def judge(record: Record) -> Judgement:
    """Follow the dirty bits from round to round."""
    audit = _Audit(record)
    dirty, writeback = (record.bit_lane("Page", "flags", bit) for bit in ("PG_dirty", "PG_writeback"))
    words = record.lanes("Page", "flags")
    lanes = {*dirty, *writeback, *words}
    for step in record.steps_on(lanes, *SETS, *CLEARS, STORE, notes=(ABORT, "flush-begin", "flush-end")):
        task, op, a, b = record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            if a == ABORT:
                break  # from here on some pages cannot be written: to map or journal a block takes a handle
            audit.note(step, task, a, b)
        elif lane in dirty:
            page = dirty[lane]
            if kind in SETS:
                audit.dirties(step, task, page)
            else:
                audit.dirty.discard(page)  # a flusher that cannot write it sets the bit again
        elif lane in writeback:
            if kind in SETS:
                audit.written(writeback[lane])
        elif kind == STORE and not b and lane in words:
            audit.dirty.discard(words[lane])  # freed
    audit.pagevecs()
    waited, kept = kept_on_checkpoint_lists(record)
    for one in kept:
        who = record.task_name(one.task)
        text = f"{one.buffer} was written home and idle, yet {who} left {one.head} on its checkpoint list"
        names = (one.head, one.buffer, who)
        audit.evidence.add(
            "written buffer kept", text, names, objects=list(names[:2]), task=who, step=one.step, since=one.since
        )
    return audit.evidence.judgement(audit.checked + waited)


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


def _alone(record: Record, begin: int, end: int, task: int, page: str) -> list[Held] | None:
    """Return the locks that are leaked there, if no other task touched the page or its buffers meanwhile; else None.

    None, too, if somebody held a lock there with a right to when it began.
    """
    objects = {page} | buffers_of(record, page, end)
    lanes = record.lanes_of(objects)
    if any(other != task and op != NOTE and op >> SHIFT in lanes for other, op, _, _ in record.events[begin:end]):
        return None
    locks = locks_at(record, objects, begin)
    return locks if all(lock.leaked for lock in locks) else None
