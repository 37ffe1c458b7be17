"""Durability: what a task was promised to be on the medium is there when the promise is made.

The medium is what the disk's words were written to so far; where the disk has a volatile cache, what of that a flush
has brought there since.  A commit block that flushes first brings there what ended before it was submitted.  A block in
flight is one whose write began and did not end.
Rules: when an fsync that began after a write(2), or a store through a mapping, was done returns 0, no word of its
blocks is older than that write, at home or in the log.  With data=ordered the block of a write(2) was on a list of data
while that went on; with metadata=1 it changed the block of its inode, as a chmod does, which fsync promises with the
rest.  When the commit block of a transaction is submitted, every data block that was filed on it shows what was written
before the transaction closed; every other block that the commit wrote to the log has ended; its descriptors name every
metadata block of the transaction, and there is a copy for each, which shows all that was changed before the transaction
closed and nothing that was changed after.  At the end the superblock says where the log begins (`tail.py`). Invariant:
data that the next transaction took from a closed one count as that one's (`filed.py` says when).  Of a block whose
write failed after that nothing is asked: the kernel lost it, and says so; of a transaction whose log could not be
written, neither; nor of what was truncated since.  Not checked: that a truncation is on the medium, what survives a
crash half way, copies of a block whose first word is the journal's magic number.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.oracles.protocol.cache import FLUSH_BEGIN, FLUSH_END, VOLATILE, WITH_FLUSH, WriteCache
from mmrace.oracles.protocol.filed import Filed, Transaction
from mmrace.oracles.protocol.names import ABORTED, INODES, LOG, ORDERED, UNREADABLE, mode_of_data
from mmrace.oracles.protocol.register import SET_UP, Blocks, Formatted, Home, blocks_of, disk_lanes, words_of_a_block
from mmrace.oracles.protocol.tail import untold_tail
from mmrace.runtime.kinds import CLEAR, KIND_MASK, NOTE, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "durability"
GIVES_UP = (UNREADABLE, ABORTED)
"""Marks of what makes the kernel give up a change of an inode that tells nobody: a chmod returns 0 all the same."""
DESCRIPTOR, COMMIT = "descriptor", "commit"
NOTES = frozenset({
    "write-begin", "write-end", "store-begin", "store-end", "store-failed", "truncate-begin", "truncate-end",
    "touch-begin", "touch-end", "change-begin", "change-end", "fsync-begin", "fsync-end", "io-begin", "io-end",
    "log-block", FLUSH_BEGIN, FLUSH_END, VOLATILE, *SET_UP,
})  # fmt: skip


Cached = tuple[int, dict[int, object]]  # a block, and what its words were when its write ended


class _Medium:
    """What the disk holds, what is on its way there, and what failed."""

    def __init__(self, record: Record) -> None:
        self.lanes = disk_lanes(record)
        self.words: dict[int, dict[int, object]] = {}
        self.cache: WriteCache[Cached] = WriteCache()
        self.lasting: dict[int, dict[int, object]] = {}  # with a cache: what of `words` a crash does not take
        self.per_block = words_of_a_block(self.lanes)
        self.in_flight: Counter[int] = Counter()
        self.failed: dict[int, int] = {}  # block -> step of its last write that failed
        self.formatted = Formatted()
        self.where, self.blocknr = self.formatted.where, self.formatted.blocknr

    def shows(self, blocknr: int, cached: bool = True) -> list[object]:
        """Return the words of a block.  Args: cached: or in the disk's cache."""
        held = self.words if cached or not self.cache.volatile else self.lasting
        words, first = held.get(blocknr, {}), self.formatted.version(blocknr)
        return [words.get(i, first) for i in range(self.per_block)]

    def on_its_way(self, blocknr: int, cached: bool) -> bool:
        """Say whether a block is in flight, or, unless what is `cached` will do, in the disk's cache."""
        return self.in_flight[blocknr] > 0 or (not cached and any(held[0] == blocknr for held in self.cache.held))


class _Log:
    """What the commit that is under way has put into the log since the last commit block."""

    def __init__(self) -> None:
        self.kinds: dict[int, tuple[str, int]] = {}  # block that the journal composed -> what, of which transaction
        self.tags: dict[int, list[int]] = {}  # tid -> home blocks that its descriptors name
        self.written: list[int] = []
        self.copies: list[int] = []


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.medium = _Medium(record)
        self.filed = Filed(record)
        self.log = _Log()
        self.blocks = Blocks(self.medium.formatted)
        self.logged: dict[int, int] = {}  # home block -> log block with its newest committed copy
        self.sealing: dict[int, dict[int, int]] = {}  # commit block that is on its way -> what it will make `logged`
        self.syncs: dict[int, tuple[int, str, dict[Home, int]]] = {}  # task -> begin, inode, floors
        params = record.header.get("params", {})
        self.ordered = mode_of_data(record) == ORDERED
        self.metadata = bool(params.get("metadata")) and not record.marks.get(UNREADABLE)
        self.writes: dict[int, int] = {}  # task -> step at which its write began
        self.changes: dict[int, tuple[int, int]] = {}  # task -> step at which its last change of an inode began, block
        self.inodes: dict[str, tuple[Home, int]] = {}  # inode -> its block, begin of its latest acknowledged change
        self.checked = 0

    def caught(self, rule: str, text: str, step: int, task: int, *points: str, **facts: Fact) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (*points, who), step=step, task=who, **facts)

    def floors(self, ino: str = "") -> dict[Home, int]:
        """Return, of each block that was written, the begin of its latest acknowledged write."""
        return {home: block.floor for home, block in self.blocks.items() if block.floor >= 0 and ino in ("", home[0])}

    # -- what the medium shows ------------------------------------------------------------------------------------

    def older(self, home: Home, floor: int, cached: bool = False) -> list[object]:
        """Return the words of a block on the medium that are older than `floor` allows; none if its write failed."""
        blocknr = self.medium.blocknr(home)
        self.checked += 1
        if self.medium.failed.get(blocknr, -1) >= floor:
            return []
        block = self.blocks[home]
        if block.cut >= floor:
            return []  # truncated since
        places = [blocknr]
        if blocknr in self.logged:
            places.append(self.logged[blocknr])
        found: list[object] = []
        for place in places:
            found = [word for word in self.medium.shows(place, cached) if block.end.get(word, -1) < floor]
            if not found:
                return []
        return found

    def shows(self, home: Home, old: list[object], floor: int, what: str) -> str:
        block = self.blocks[home]
        wanted = " or ".join(map(str, block.allowed(floor)))
        return f"{what}, but {_named(home)} shows {old[0]} on the medium, not {wanted}"

    # -- notes ----------------------------------------------------------------------------------------------------

    def note(self, step: int, task: int, kind: str, facts: tuple[Any, ...]) -> None:
        if kind == "write-begin":
            self.writes[task] = step
            self.blocks[str(facts[0]), facts[1]].write_began(facts[2], step, self.record.task_name(task))
        elif kind == "store-begin":
            self.blocks[str(facts[0]), facts[1]].write_began(facts[2], step, self.record.task_name(task))
        elif kind == "store-end":
            self.blocks[str(facts[0]), facts[1]].write_ended(facts[2], step)
        elif kind == "store-failed":
            self.blocks[str(facts[0]), facts[1]].write_refused(facts[2])
        elif kind in ("truncate-begin", "truncate-end"):
            self.blocks.truncated(kind, facts[0], facts[1], step, self.record.task_name(task))
        elif kind == "write-end":
            self.blocks[str(facts[0]), facts[1]].write_ended(facts[2], step)
            self.acknowledged(step, task, (str(facts[0]), facts[1]))
        elif kind == "touch-begin":
            self.writes[task] = step
        elif kind == "touch-end":
            self.touched(step, task, str(facts[0]))
        elif kind == "change-begin":
            self.changes[task] = step, facts[0]
            self.blocks[INODES, facts[0]].write_began(facts[2], step, self.record.task_name(task))
        elif kind == "change-end":
            self.blocks[INODES, facts[0]].write_ended(facts[1], step)
        elif kind == "fsync-begin":
            ino = str(facts[0])
            self.syncs[task] = step, ino, self.floors(ino) | dict(filter(None, [self.inodes.get(ino)]))
        elif kind == "fsync-end":
            self.synced(step, task, facts[1])
        elif kind == "io-begin":
            for blocknr in blocks_of(facts) if facts[0] == "write" else ():
                self.submitted(step, task, blocknr, WITH_FLUSH in facts[2:])
        elif kind == "io-end":
            for blocknr in blocks_of(facts, ended=True) if facts[0] == "write" else ():
                self.ended(step, blocknr, bool(facts[2]))
        elif kind == FLUSH_BEGIN:
            self.medium.cache.flush_began(("flush", task))
        elif kind == FLUSH_END:
            self.lasts(self.medium.cache.flush_ended(("flush", task)))
        elif kind == VOLATILE:
            self.medium.cache.volatile = True
        elif kind == "log-block":
            blocknr, what, tid, tags = facts
            self.log.kinds[blocknr] = what, tid
            if blocknr in self.log.copies:  # somebody wrote it half composed: the flusher, to whom it is a dirty buffer
                self.log.copies.remove(blocknr)
            if what == DESCRIPTOR:
                self.log.tags.setdefault(tid, []).extend(tags)
        elif kind in SET_UP:
            self.medium.formatted.note(kind, facts)

    def ended(self, step: int, blocknr: int, failed: bool) -> None:
        """The write of a block ended."""
        medium = self.medium
        medium.in_flight[blocknr] = medium.in_flight.get(blocknr, 1) - 1  # it may have begun unseen
        if failed:
            medium.failed[blocknr] = step
            self.sealing.pop(blocknr, None)
            self.lasts(medium.cache.flush_ended(blocknr))
        else:
            self.lasts(medium.cache.ended((blocknr, dict(medium.words.get(blocknr, {}))), blocknr))

    def lasts(self, writes: list[Cached]) -> None:
        """Writes have come to the medium."""
        for blocknr, words in writes:
            self.medium.lasting[blocknr] = words
            self.logged.update(self.sealing.pop(blocknr, {}))

    def acknowledged(self, step: int, task: int, home: Home) -> None:
        """A write(2) was acknowledged."""
        begin = self.writes.get(task, step)
        if not self.medium.formatted.is_journalled(home[0]):
            return
        if self.ordered:
            self.was_filed(step, task, home, begin)
        has_notes = self.metadata and self.medium.formatted.step  # a record of before may have none of changes
        if not self.has_changed(task, home[0], begin) and has_notes:
            text = (
                f"block {home[1]} of inode {home[0]} was written, and the block of the inode was not changed meanwhile"
            )
            self.caught("inode not changed", text, step, task, inode=home[0], since=begin)
        self.checked += self.metadata

    def has_changed(self, task: int, ino: str, since: int) -> bool:
        """Say whether a task has changed the block of an inode, and keep which, and when."""
        changed, number = self.changes.get(task, (-1, 0))
        if changed > since:
            self.inodes[ino] = (INODES, number), changed
        return changed > since

    def touched(self, step: int, task: int, ino: str) -> None:
        """A chmod(2) was acknowledged."""
        begin = self.writes.pop(task, step)
        self.checked += 1
        if not self.has_changed(task, ino, begin) and not any(map(self.record.marks.get, GIVES_UP)):
            text = f"inode {ino} was touched, and its block was not changed meanwhile"
            self.caught("inode not changed", text, step, task, inode=ino, since=begin)

    def was_filed(self, step: int, task: int, home: Home, begin: int) -> None:
        """A write(2) of ordered data was acknowledged."""
        blocknr = self.medium.blocknr(home)
        self.checked += 1
        if not self.filed.was_filed(blocknr, begin):
            text = f"block {home[1]} of inode {home[0]} was written, and was filed on no transaction meanwhile"
            self.caught("ordered data not filed", text, step, task, block=home[1], inode=home[0], since=begin)

    def synced(self, step: int, task: int, rc: object) -> None:
        """An fsync ended."""
        begin, ino, floors = self.syncs.pop(task, (0, "", {}))
        for home, floor in floors.items() if rc == 0 else ():
            old = self.older(home, floor)
            if old:
                text = self.shows(home, old, floor, f"fsync of inode {ino} returned 0")
                self.caught("fsync before the medium", text, step, task, block=home[1], inode=ino, since=begin)

    def submitted(self, step: int, task: int, blocknr: int, flushes: bool) -> None:
        """The write of a block began.  Args: flushes: the disk writes its cache out before."""
        self.medium.in_flight[blocknr] += 1
        if flushes:
            self.medium.cache.flush_began(blocknr)
        if self.medium.where(blocknr)[0] != LOG:
            return
        log = self.log
        if blocknr in self.logged.values():
            self.logged = {home: place for home, place in self.logged.items() if place != blocknr}
        what, tid = log.kinds.get(blocknr, ("", 0))
        if what == COMMIT:
            self.committed(step, task, tid, blocknr, flushes)
            self.log = _Log()
        else:
            log.written.append(blocknr)
            if not what:
                log.copies.append(blocknr)

    def committed(self, step: int, task: int, tid: int, blocknr: int, flushes: bool) -> None:
        """The commit block of a transaction was submitted: only once it is on the medium do the copies count."""
        log, medium = self.log, self.medium
        transaction = self.filed.transactions.get(f"transaction:{tid}") or Transaction(f"transaction:{tid}")
        what = f"the commit block of transaction {tid} was submitted"
        on_the_way = [other for other in log.written if medium.on_its_way(other, flushes)]
        self.checked += 1 + len(log.written)
        if on_the_way:
            text = f"{what} while block {on_the_way[0]}, of its log, was on its way"
            self.caught("commit block before its log", text, step, task, blocks=list(on_the_way))
        tags = log.tags.pop(tid, [])
        absent = [of for of in sorted(transaction.metadata - set(tags)) if not self.let_go(transaction, of)]
        self.checked += len(transaction.metadata)
        if absent or len(tags) > len(log.copies):
            which = f"block {absent[0]}" if absent else f"{len(tags) - len(log.copies)} copies"
            self.caught("transaction not in the log", f"{what} without {which}", step, task, blocks=list(absent))
        if not any(medium.failed.get(other, -1) >= transaction.closed for other in log.written):
            self.sealing[blocknr] = dict(zip(tags, log.copies, strict=False))
        for of, place in zip(tags, log.copies, strict=False):
            if medium.failed.get(place, -1) < transaction.closed:
                self.copied(step, task, tid, transaction, of, place)
        for home_block in sorted(transaction.data):
            home = medium.where(home_block)
            floor = transaction.floors.get(home, -1)
            old = self.older(home, floor, flushes) if floor >= 0 else []
            if old:
                text = self.shows(home, old, floor, what)
                self.caught("commit block before its data", text, step, task, block=home[1], inode=home[0])

    def let_go(self, transaction: Transaction, blocknr: int) -> bool:
        """Say whether a block was truncated within an open transaction, which then need not have it in the log.

        Its buffer may be unmapped only after that has closed, or even committed.
        """
        return blocknr in transaction.let_go and self.blocks[self.medium.where(blocknr)].cut >= 0

    def copied(self, step: int, task: int, tid: int, owner: Transaction, blocknr: int, place: int) -> None:
        """Judge the copy in the log of a block that this run changed."""
        home = self.medium.where(blocknr)
        block = self.blocks.get(home)
        if block is None or self.medium.in_flight[place] > 0:
            return
        self.checked += 1
        floor = owner.floors.get(home, -1)
        for word in self.medium.shows(place):
            rule = block.fault(word, floor) or ("too new" if block.begin[word] > owner.closed else "")
            if rule:
                text = (
                    f"transaction {tid} has a copy of block {home[1]} of {home[0]} in its log that shows {word}, {rule}"
                )
                wanted = " or ".join(map(str, block.allowed(floor)))
                self.caught("log copy", f"{text}; expected {wanted}", step, task, rule, block=home[1], inode=home[0])
                return


def _named(home: Home) -> str:
    return f"block {home[1]} of {'' if home[0] == INODES else 'inode '}{home[0]}"


def judge(record: Record) -> Judgement:
    """Follow the medium, and compare it with each promise."""
    audit = _Audit(record)
    medium, filed = audit.medium, audit.filed
    disk, watched, events = medium.lanes, filed.lanes, record.events
    for step in record.steps_on({*disk, *watched, *filed.mapped}, WRITE, CLEAR, notes=NOTES):
        task, op, a, b = events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
            continue
        lane = op >> SHIFT
        if op & KIND_MASK == WRITE:
            if lane in disk:
                blocknr, word = disk[lane]
                medium.words.setdefault(blocknr, {})[word] = b
            elif lane in watched:
                closed = filed.write(lane, b, step)
                if closed is not None:
                    closed.floors = audit.floors()
        elif lane in filed.mapped:
            filed.unmapped(filed.mapped[lane])
    moved, untold = untold_tail(record)
    audit.checked += moved
    if untold is not None:
        says = "nothing of it" if untold.told is None else f"transaction {untold.told}"
        text = f"the log begins with transaction {untold.tid}, and the superblock on the medium says {says}"
        audit.caught("tail not told", text, untold.step, untold.task, tid=untold.tid, told=untold.told)
    return audit.evidence.judgement(audit.checked)
