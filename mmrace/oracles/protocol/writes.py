"""The story of the medium: each write from its submission until it is there, and what was promised when.

Invariant: a write is of one block; that of a page as a whole is one for each.  The words that its server puts there are
what it brings.  Of a write that failed, or
that never ended, they may be none.
Not checked: anything; `crash.py` judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mmrace.oracles.protocol.cache import FLUSH_BEGIN, FLUSH_END, VOLATILE, WITH_FLUSH, WriteCache
from mmrace.oracles.protocol.closed import Closed, number
from mmrace.oracles.protocol.register import (
    SET_UP,
    UNNAMED,
    Blocks,
    Formatted,
    Home,
    blocks_of,
    disk_lanes,
    words_of_a_block,
)
from mmrace.runtime.kinds import CLEAR, KIND_MASK, NOTE, SHIFT, WRITE
from mmrace.runtime.record import Record


@dataclass(eq=False, slots=True)
class Write:
    """One write of a block.  `tid`: of the transaction whose commit block it is.  `words`: what it brings.

    `after`: what has come to the medium when it does, because it flushes first.  `cut`: the record ended before it had
    brought all.
    """

    blocknr: int
    task: int
    tid: int = 0
    server: int = -1
    failed: bool = False
    cut: bool = False
    words: dict[int, object] = field(default_factory=dict)
    after: list[Write] = field(default_factory=list)


@dataclass(slots=True)
class Moment:
    """Writes came to the medium, or one failed, at a step; neither: the record ended.

    `began`: the writes that began since the last moment.  `promised`: what fsync had promised by then.
    """

    step: int
    task: int
    landed: list[Write]
    failed: Write | None
    began: list[Write]
    promised: dict[Home, int]


class Story:
    """What happened to the medium, told once through."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lanes = disk_lanes(record)
        self.size = words_of_a_block(self.lanes)
        self.formatted = Formatted()
        self.closed = Closed(record, self.size)
        self.filed = self.closed.filed
        self.first: dict[int, dict[int, object]] = {}  # block -> what its words held before any write
        self.moments: list[Moment] = []
        self.revoked: dict[int, list[int]] = {}  # tid -> blocks
        self.freed: dict[int, list[int]] = {}  # tid of a truncation -> blocks
        self.void: set[int] = set()  # blocks that were unmapped, and no truncation was noted
        self.blocks = Blocks(self.formatted)
        self.syncs: dict[int, dict[Home, int]] = {}
        self.promised: dict[Home, int] = {}
        self.commits: dict[int, int] = {}  # block -> tid of the commit block that was composed there
        self.in_flight: list[Write] = []
        self.cache: WriteCache[Write] = WriteCache()
        self.began: list[Write] = []

    def tell(self) -> None:
        """Go through the record."""
        events, lanes = self.record.events, self.lanes
        for step in self.record.steps(NOTE, WRITE, CLEAR):
            task, op, a, b = events[step]
            if op == NOTE:
                self.note(step, task, a, b)
            elif op & KIND_MASK == CLEAR:
                bh = self.filed.mapped.get(op >> SHIFT)
                blocknr = self.filed.block_of(bh)
                in_page = ("b_page", str(bh)) in self.filed.values  # one that only asks where a block is has no page
                if bh is not None and blocknr is not None and in_page and not self.truncating(blocknr):
                    self.void.add(blocknr)
            elif op >> SHIFT in lanes:
                self.landed(task, *lanes[op >> SHIFT], a, number(b))
            else:
                self.closed.write(op, b, step)
        for write in self.in_flight:
            write.cut = len(write.words) < self.size
        self.moment(len(events), 0)

    def landed(self, task: int, blocknr: int, i: int, old: object, new: object) -> None:
        """A word of a block was written by the task that serves the write."""
        self.first.setdefault(blocknr, {}).setdefault(i, number(old))
        for write in self.in_flight:
            if write.blocknr == blocknr and write.server in (-1, task):
                write.server = task
                write.words[i] = new
                return

    def note(self, step: int, task: int, kind: str, facts: tuple[Any, ...]) -> None:
        if kind == "io-begin" and facts[0] == "write":
            for blocknr in blocks_of(facts):
                write = Write(blocknr, task, self.commits.pop(blocknr, 0))
                self.in_flight.append(write)
                self.began.append(write)
                if WITH_FLUSH in facts[2:]:
                    write.after = self.cache.flush_began(write)
        elif kind == "io-end" and facts[0] == "write":
            for blocknr in blocks_of(facts, ended=True):
                mine = [write for write in self.in_flight if write.blocknr == blocknr]
                served = [write for write in mine if write.server == task] or mine
                if served:
                    self.ended(step, task, served[0], bool(facts[2]))
        elif kind == FLUSH_BEGIN:
            self.cache.flush_began(task)
        elif kind == FLUSH_END:
            self.moment(step, task, self.cache.flush_ended(task))
        elif kind == VOLATILE:
            self.cache.volatile = True
        elif kind == "log-block":
            blocknr, what, tid, blocks = facts
            if what == "commit":
                self.commits[blocknr] = tid
            elif what == "revoke":
                self.revoked.setdefault(tid, []).extend(blocks)
        elif kind == "page-alloc":
            self.closed.allocated(facts[0])
        elif kind in SET_UP:
            self.formatted.note(kind, facts)
        else:
            self.promises(step, task, kind, facts)

    def promises(self, step: int, task: int, kind: str, facts: tuple[Any, ...]) -> None:
        """Take a note of a writer or of fsync."""
        if kind in ("write-begin", "write-end", "store-begin", "store-end"):
            block = self.blocks[str(facts[0]), facts[1]]
            if kind in ("write-begin", "store-begin"):
                block.write_began(facts[2], step, self.record.task_name(task))
            else:
                block.write_ended(facts[2], step)
        elif kind == "store-failed":
            self.blocks[str(facts[0]), facts[1]].write_refused(facts[2])
        elif kind in ("truncate-begin", "truncate-end"):
            self.truncated(step, task, kind, facts)
        elif kind == "truncate-size":
            ino, size, tid = facts
            gone = self.formatted.beyond(ino, size // self.size)
            self.freed.setdefault(tid, []).extend(self.formatted.blocknr(home) for home in gone)
        elif kind == "fsync-begin":
            ino = str(facts[0])
            of_file = {
                home: block.floor for home, block in self.blocks.items() if home[0] == ino and block.floor > block.cut
            }
            self.syncs[task] = of_file
        elif kind == "fsync-end":
            floors = self.syncs.pop(task, {})
            if facts[1] == 0 and floors:
                self.promised = {**self.promised, **floors}

    def truncated(self, step: int, task: int, kind: str, facts: tuple[Any, ...]) -> None:
        """A file is made to end before a block: nothing is promised of what is beyond, until it is written again."""
        gone = self.blocks.truncated(kind, facts[0], facts[1], step, self.record.task_name(task))
        if kind == "truncate-begin":
            for floors in self.syncs.values():
                for home in gone:
                    floors.pop(home, None)
        self.promised = {home: floor for home, floor in self.promised.items() if home not in gone}

    def truncating(self, blocknr: int) -> bool:
        """Say whether a block is one that a truncation took from its file, as the record notes it."""
        block = self.blocks.get(self.formatted.where(blocknr))
        return block is not None and block.absent

    def ended(self, step: int, task: int, write: Write, failed: bool) -> None:
        """A write ended: it is on the medium, or in the disk's cache, or failed."""
        self.in_flight.remove(write)
        write.failed = failed
        if failed:
            self.moment(step, task, self.cache.flush_ended(write), write)
        elif landed := self.cache.ended(write, write):
            self.moment(step, task, landed)

    def moment(self, step: int, task: int, landed: list[Write] | None = None, failed: Write | None = None) -> None:
        self.moments.append(Moment(step, task, landed or [], failed, self.began, self.promised))
        self.began = []

    def region(self, key: str) -> tuple[int, int]:
        """Return the first block of a region, and the one after its last; (0, 0) for one that there is not."""
        regions = self.formatted.regions
        return next(((first, first + blocks) for name, first, blocks in regions if name == key), (0, 0))

    def where(self, blocknr: int) -> str:
        """Name a block."""
        key, number_there = self.formatted.where(blocknr)
        if key == UNNAMED:
            return f"block {blocknr}"
        return f"block {number_there} of {f'inode {key}' if key.isdigit() else key}"
