"""Failures: a transfer that failed is remembered wherever somebody asks later, and no longer than it should be.

Rules.  Before the lock of a buffer whose transfer failed is dropped, the buffer is not uptodate at some moment since;
if it was a write, of no block of the log, BH_Write_EIO is set; if it was one of a page under writeback, so are PG_error
of its page and AS_EIO of the file; if it was one of a page's reads, PG_error.  Before the lock of a page that could not
be read as a whole is dropped, it is in error and not uptodate; before the writeback of one that could not be written as
a whole ends, PG_error and AS_EIO are set.  A write that went well leaves no BH_Write_EIO behind,
and the read of a whole page no PG_error.  When a commit ends, the file of a block of data that it could not write got
AS_EIO, unless the next transaction took the buffer before its failure showed: the commit asks no more for that (R16).
An fsync that takes AS_EIO returns an error, and leaves no PG_error on a page that it waited for.
Invariant: each is asked of what held all the while, so that what others did meanwhile excuses.  Not checked: that a
user is told (`errno.py` has what may be told); that a migration takes PG_error along (`ageing.py`); whose page gets it
from a commit, which 3.3 may get wrong (R14).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.cache import WITH_FLUSH
from mmrace.oracles.protocol.moments import KINDS, Moments
from mmrace.oracles.protocol.names import LOG, inode_of
from mmrace.oracles.protocol.register import Formatted
from mmrace.runtime.kinds import ACQUIRE, CLEAR, KIND_MASK, NOTE, SHIFT, SPAWN, TEST, TEST_AND_CLEAR, WRITE
from mmrace.runtime.record import Record

NAME = "failures"
BUFFER, PAGE, FILE = "BufferHead", "Page", "AddressSpace"
NOTES = frozenset({
    "hand-over", "io-begin", "io-end", "commit-begin", "commit-end", "fsync-begin", "fsync-end", "page-alloc", "layout",
    "formatted",
})  # fmt: skip
NONE = "None"  # the name of no object


@dataclass(slots=True)
class _Transfer:
    """An I/O.  `owner`: the buffer, or the page, whose it is; `ended`: when it did, with `part`: of a page's I/O."""

    owner: str
    whole: bool
    write: bool
    blocknr: int
    began: int
    ended: int = -1
    failed: bool = False
    part: bool = False


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        bits = ("BH_Uptodate", "BH_Write_EIO", "BH_Async_Read", "BH_Async_Write", "BH_Lock")
        self.buffers = Moments(record, BUFFER, "b_state", bits)
        self.pages = Moments(record, PAGE, "flags", ("PG_error", "PG_uptodate", "PG_locked"))
        self.files = Moments(record, FILE, "flags", ("AS_EIO",))
        self.moments = {lane: one for one in (self.buffers, self.pages, self.files) for lane in one.watched}
        self.writeback = record.bit_lane(PAGE, "flags", "PG_writeback")
        self.locks = {
            **record.bit_lane(BUFFER, "b_state", "BH_Lock"), **record.bit_lane(PAGE, "flags", "PG_locked")
        }  # fmt: skip
        self.fields = {lane: name for cls, key in ((PAGE, "mapping"), (BUFFER, "b_page"))
                       for lane, name in record.lanes(cls, key).items()}  # fmt: skip
        self.of: dict[str, str] = {}  # page -> its mapping, buffer -> its page
        self.formatted = Formatted()
        self.handed: dict[
            int, list[tuple[str, bool]]
        ] = {}  # task -> whose lock it gave to an I/O, and whether a page's
        self.begun: dict[int, list[_Transfer]] = {}  # by who submits: one for each page of an I/O
        self.served: dict[int, list[_Transfer]] = {}  # by who serves
        self.commits: dict[int, tuple[int, list[_Transfer]]] = {}  # task -> when its commit began, what it submits
        self.heads = record.lanes("JournalHead", "b_bh")
        self.owners = record.lanes("JournalHead", "b_transaction")
        self.buffer_of: dict[str, str] = {}  # journal head -> buffer
        self.list_locks = record.lanes("Journal", "j_list_lock")
        self.holds: dict[int, int] = {}  # task -> when it took j_list_lock last
        self.taken_over: dict[str, int] = {}  # buffer -> since when who took it for another transaction had that lock
        self.syncs: dict[int, dict[str, int]] = {}  # task -> pages that it waited for, and when
        self.taken: dict[int, str] = {}  # task -> file whose AS_EIO it took in its fsync
        self.checked = 0

    def add(self, rule: str, text: str, names: tuple[str, ...], step: int, task: int) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (*names, who), task=who, step=step, objects=list(names))

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "hand-over":
            found = self.record.lane(int(str(facts[0])))
            if found is not None:
                self.handed.setdefault(task, []).append((found[1], found[0] == PAGE))
        elif kind == "io-begin":
            owners = self.handed.pop(task, [])
            # the write of whole pages has no lock
            owners += [(str(self.record.name(page)), True) for page in facts[3:] if page != WITH_FLUSH]
            blocknr = facts[1]
            assert isinstance(blocknr, int)
            write = facts[0] == "write"
            self.begun[task] = [_Transfer(owner, whole, write, blocknr, step) for owner, whole in owners]
            if task in self.commits:
                self.commits[task][1].extend(self.begun[task])
        elif kind == "io-end":
            for transfer in self.served.get(task, ()):
                transfer.ended, transfer.failed = step, bool(facts[2])
                of_page = "BH_Async_Write" if transfer.write else "BH_Async_Read"
                transfer.part = not transfer.whole and self.buffers.bit(transfer.owner, of_page).value
        elif kind == "commit-begin":
            self.commits[task] = step, []
        elif kind == "commit-end":
            self.committed(step, task)
        elif kind == "fsync-begin":
            self.syncs[task] = {}
        elif kind == "fsync-end":
            self.synced(step, task, facts[1])
        elif kind == "page-alloc":
            self.pages.forget(str(self.record.name(facts[0])), step)
        elif kind in ("layout", "formatted"):
            self.formatted.note(kind, facts)

    # -- transfers ----------

    def over(self, step: int, task: int, owner: str) -> None:
        """Whoever served a transfer drops the lock that it was handed, or ends the writeback of its page."""
        mine = [one for one in self.served.get(task, ()) if one.owner == owner and one.ended >= 0]
        if not mine:
            return
        transfer = mine[0]
        self.checked += 1
        self.served[task].remove(transfer)
        if transfer.whole and transfer.write:
            lost = self._write_failed(transfer) if transfer.failed else []
        elif transfer.whole:
            lost = self._page_failed(transfer) if transfer.failed else self._page_went_well(transfer)
        else:
            lost = self._buffer_failed(transfer) if transfer.failed else self._buffer_went_well(transfer)
        for rule, name, text in lost:
            self.add(rule, f"{owner}: {text}", (owner, name), step, task)

    def _buffer_failed(self, transfer: _Transfer) -> list[tuple[str, str, str]]:
        bh, since = transfer.owner, transfer.ended
        page = self.of.get(bh, "")
        of_file = self.of.get(page, "")
        what = "write" if transfer.write else "read"
        lost = []
        if self.buffers.throughout(bh, "BH_Uptodate", True, since):
            lost.append(("failure forgotten", bh, f"its {what} failed, and it is uptodate"))
        home = self.formatted.where(transfer.blocknr)[0] != LOG
        if transfer.write and home and self.buffers.throughout(bh, "BH_Write_EIO", False, since):
            lost.append(("failure forgotten", bh, "its write failed, and it lacks BH_Write_EIO"))
        if transfer.part and self.pages.throughout(page, "PG_error", False, since):
            lost.append(("failure forgotten", page, f"its {what} failed, and {page} lacks PG_error"))
        if transfer.part and transfer.write and self.files.throughout(of_file, "AS_EIO", False, since):
            lost.append(("failure forgotten", of_file, f"its write failed, and {of_file} lacks AS_EIO"))
        return lost

    def _buffer_went_well(self, transfer: _Transfer) -> list[tuple[str, str, str]]:
        if transfer.write and self.buffers.throughout(transfer.owner, "BH_Write_EIO", True, transfer.began):
            return [("failure outlived", transfer.owner, "its write went well, and BH_Write_EIO is of one before")]
        return []

    def _page_failed(self, transfer: _Transfer) -> list[tuple[str, str, str]]:
        page, since = transfer.owner, transfer.ended
        lost = []
        if self.pages.throughout(page, "PG_error", False, since):
            lost.append(("failure forgotten", page, "its read failed, and it lacks PG_error"))
        if self.pages.throughout(page, "PG_uptodate", True, since):
            lost.append(("failure forgotten", page, "its read failed, and it is uptodate"))
        return lost

    def _write_failed(self, transfer: _Transfer) -> list[tuple[str, str, str]]:
        page, since = transfer.owner, transfer.ended
        of_file = self.of.get(page, NONE)
        lost = []
        if self.pages.throughout(page, "PG_error", False, since):
            lost.append(("failure forgotten", page, "its write failed, and it lacks PG_error"))
        if self.files.throughout(of_file, "AS_EIO", False, since):
            lost.append(("failure forgotten", of_file, f"its write failed, and {of_file} lacks AS_EIO"))
        return lost

    def _page_went_well(self, transfer: _Transfer) -> list[tuple[str, str, str]]:
        if self.pages.throughout(transfer.owner, "PG_error", True, transfer.began):
            return [("failure outlived", transfer.owner, "its read went well, and PG_error is of one before")]
        return []

    def committed(self, step: int, task: int) -> None:
        """A commit ended: a file whose data could not be written has AS_EIO, or had it until it was told."""
        begun, submitted = self.commits.pop(task, (step, []))
        for transfer in submitted:
            bh, since = transfer.owner, transfer.ended
            of_file = self.of.get(self.of.get(bh, ""), NONE)
            home = self.formatted.where(transfer.blocknr)[0] != LOG  # a copy for the log is no write of the file
            if not (home and transfer.write and transfer.failed and inode_of(of_file)):
                continue
            self.checked += 1
            bad = self.buffers.bit(bh, "BH_Uptodate")
            if begun < self.taken_over.get(bh, -1) < bad.changed:
                continue
            stays_bad = not bad.value and bad.before < since < bad.changed
            if stays_bad and self.files.throughout(of_file, "AS_EIO", False, since):
                text = f"the commit could not write {bh}, and {of_file} lacks AS_EIO"
                self.add("failure forgotten", text, (bh, of_file), step, task)

    # -- calls ----------

    def looked(self, step: int, task: int, page: str) -> None:
        """A task in fsync saw that a page is under writeback no more; with the page locked it only chooses."""
        lock = self.pages.bit(page, "PG_locked")
        if not (lock.value and lock.by == task):
            self.syncs[task][page] = step

    def synced(self, step: int, task: int, rc: object) -> None:
        """An fsync returned."""
        waited = self.syncs.pop(task, {})
        taken = self.taken.pop(task, "")
        self.checked += 1
        if taken and isinstance(rc, int) and rc >= 0:
            self.add("failure swallowed", f"fsync took AS_EIO of {taken} and returned {rc}", (taken,), step, task)
        for page, since in waited.items():
            if self.pages.throughout(page, "PG_error", True, since):
                text = f"fsync waited for {page}, which has PG_error still"
                self.add("failure left to the next", text, (page,), step, task)

    # -- ops ----------

    def op(self, step: int, task: int, op: int, old: object, new: object) -> None:
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == WRITE:
            if lane in self.fields:
                self.of[self.fields[lane]] = str(self.record.name(new))
            elif lane in self.heads:
                self.buffer_of[self.heads[lane]] = str(self.record.name(new))
            elif old is not None and new is not None and self.record.name(old) != self.record.name(new):
                self.taken_over[self.buffer_of.get(self.owners[lane], "")] = self.holds.get(task, step)
        elif kind == ACQUIRE:
            self.holds[task] = step
        elif kind == SPAWN:
            begun = self.begun.pop(task, None)
            if begun is not None and isinstance(old, int):
                self.served[old] = begun
        elif kind == TEST:
            if task in self.syncs and not old and lane in self.writeback:
                self.looked(step, task, self.writeback[lane])
        elif lane in self.writeback:
            self.over(step, task, self.writeback[lane])
        else:
            if kind == CLEAR and lane in self.locks and task in self.served:
                self.over(step, task, self.locks[lane])
            moments = self.moments.get(lane)
            changed = moments.take(step) if moments is not None else None
            if changed is not None and kind == TEST_AND_CLEAR and changed[1] == "AS_EIO" and task in self.syncs:
                self.taken[task] = changed[0]


def judge(record: Record) -> Judgement:
    """Follow each transfer from its submission to the lock that its end drops, and who asks after it."""
    audit = _Audit(record)
    events = record.events
    lanes = {*audit.fields, *audit.heads, *audit.owners, *audit.moments, *audit.list_locks}
    changes = record.steps_on(lanes, WRITE, ACQUIRE, *KINDS, notes=NOTES)
    for step in sorted(chain(changes, record.steps_on(audit.writeback, TEST, TEST_AND_CLEAR), record.steps(SPAWN))):
        task, op, a, b = events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
        else:
            audit.op(step, task, op, a, b)
    return audit.evidence.judgement(audit.checked)
