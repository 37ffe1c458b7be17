"""Content: every word that a reader, the page cache or the disk shows was written there and is not stale.

A block is a multi-writer register: version w is superseded for a reader if some other write that began after w ended
was acknowledged before the read began.  Rules, per word: the version was written to this block, or is what the block
held at first, and is no garbage of a fresh frame; it is not superseded; where no write overlapped the read, all words
of the block agree.  After sync the disk, and each page that is up to date, show a version that nothing superseded, the
same in every word.  Stores and loads through a mapping are writes and reads, private memory a file of zeros, and a
munmap of it a write of zeros, which may take the half of a block that is being stored.  A truncation is a write of
zeros to what it takes away, and a read that meets the end of the file one of zeros: what was written before is gone
when it ends, for readers and the cache; the disk may keep it, for the block is nobody's.  Of an inode's block, each
change begins with a read, and the page cache has the last change after sync; its home on the disk may be older, its
copies in the log are durability's.  After a failed write of data nothing is stale or torn: the kernel loses that data,
and says so, and of a new block shows what was there before; a transfer that a write(2) met half way may have been the
last one that worked.
Invariant: writes that overlapped each other may land in either order.  Not checked: the order on the disk; that a block
that was truncated is not written any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.names import (
    ABORTED,
    HEAP,
    INODES,
    JOURNALLED,
    LOG,
    NO_HANDLE,
    PAGE_WRITE_ERROR,
    WRITE_ERROR,
    mode_of_data,
)
from mmrace.oracles.protocol.register import GONE, SET_UP, Block, Blocks, Formatted
from mmrace.oracles.protocol.snapshot import Snapshot, snapshots, unfinished
from mmrace.runtime.record import Record

NAME = "content"
DISK = "disk"
DEVICE = "bdev"  # whose mapping the block device's is, by "inode number"
CHANGES = frozenset({"change-begin", "change-end"})
NOTES = frozenset({
    "write-begin", "write-end", "read-begin", "read-end", "store-begin", "store-end", "store-failed", "load-begin",
    "load-end",
})  # fmt: skip
CUTS = frozenset({"truncate-begin", "truncate-end"})
DISCARDS = frozenset({"discard-begin", "discard-end"})


class _Reading:
    """A read that is going on: what it may still see."""

    __slots__ = ("begin", "floor", "quiet", "writes")

    def __init__(self, block: Block, step: int) -> None:
        self.begin = step
        self.floor = block.floor
        self.quiet = block.running == 0
        self.writes = len(block.begin)


class _Sight(NamedTuple):
    """What was seen where.  `medium`: "" for a read; `floor`: what ended before that step is superseded."""

    step: int
    task: str
    medium: str
    where: tuple[str, int]
    block: Block
    values: list[object]
    floor: int


class _Audit:
    """One pass over the notes of one record."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.formatted = Formatted()
        self.blocks = Blocks(self.formatted)
        self.readings: dict[tuple[int, str, int], _Reading] = {}
        self.checked = 0
        self.heap = 0, 1  # address at which private memory begins, blocks of a page
        self.rest = 0, ""  # step and task of the snapshot that is judged
        self.lossy = any(map(record.marks.get, (WRITE_ERROR, PAGE_WRITE_ERROR)))
        journalled = mode_of_data(record) == JOURNALLED
        # what is to be journalled, or has no block yet, does not come to the disk any more
        self.kept = bool(record.marks.get(NO_HANDLE) or (journalled and record.marks.get(ABORTED)))

    def change(self, step: int, task: int, kind: str, number: int, rest: tuple[object, ...]) -> None:
        """A block of inodes is read and changed, under its buffer lock."""
        block = self.blocks[INODES, number]
        if kind == "change-end":
            block.write_ended(rest[0], step)
            return
        self.read(step, task, (INODES, number), block, _Reading(block, step), [rest[0]])
        block.write_began(rest[1], step, self.record.task_name(task))

    def note(self, step: int, task: int, kind: str, ino: str, number: int, rest: tuple[object, ...]) -> None:
        block = self.blocks[ino, number]
        if kind in ("write-begin", "store-begin"):
            block.write_began(rest[0], step, self.record.task_name(task))
        elif kind in ("write-end", "store-end"):
            block.write_ended(rest[0], step)
        elif kind == "store-failed":
            block.write_refused(rest[0])
        elif kind in ("read-begin", "load-begin"):
            self.readings[task, ino, number] = _Reading(block, step)
        else:
            reading = self.readings.pop((task, ino, number), None)
            if reading is not None:
                self.read(step, task, (ino, number), block, reading, _flat(rest) or [GONE])

    def read(
        self,
        step: int,
        task: int,
        where: tuple[str, int],
        block: Block,
        reading: _Reading,
        values: list[object],
    ) -> None:
        self.checked += len(values)
        floor = -1 if self.lossy else reading.floor
        seen = _Sight(step, self.record.task_name(task), "", where, block, values, floor)
        for word, value in enumerate(values):
            rule = self.fault(where, block, value, floor)
            if rule:
                self.caught(rule, f" in word {word}", seen, since=reading.begin)
                return
        if where[0] == HEAP:
            return  # a munmap takes a block that is being stored away by half
        quiet = reading.quiet and reading.writes == len(block.begin) and not self.lossy
        if quiet and len(set(values)) > 1:
            self.caught("torn", " though no write overlapped the read", seen, since=reading.begin)

    def caught(self, rule: str, how: str, seen: _Sight, **at: int) -> None:
        """Note a finding that names where it was seen, what was shown by whom, and what was expected from whom."""
        newest = seen.block.allowed(seen.floor)
        shown_from, newest_from = _told(seen.block, seen.values), _told(seen.block, newest)
        what = f"{seen.medium} after sync: block" if seen.medium else f"{seen.task}'s read of block"
        self.evidence.add(
            f"{rule} after sync" if seen.medium else rule,
            f"{what} {seen.where[1]} of {_place(seen.where)} shows {' and '.join(shown_from)}{how}, at step "
            f"{seen.step}: {rule}; expected {' or '.join(newest_from)}{', in every word' * (rule == 'torn')}",
            (seen.medium or seen.task,),
            inode=seen.where[0],
            block=seen.where[1],
            step=seen.step,
            task=seen.task,
            shown=[_plain(value) for value in seen.values],
            shown_from=shown_from,
            newest=[_plain(version) for version in newest],
            newest_from=newest_from,
            seen_by=seen.medium or seen.task,
            **at,
        )

    def at_rest(self, snap: Snapshot, step: int, task: str) -> None:
        """Judge disk and page cache after sync.  Args: step, task: of the note that took the snapshot."""
        self.rest = step, task
        for ino, blocks in snap.disk.items():
            for number, words in blocks.items():
                if ino.isdigit() and not self.absent((ino, number)):
                    self.resting(DISK, (ino, number), words)
        for where in self.blocks:
            if where[0].isdigit() and where[1] not in snap.disk.get(where[0], ()) and not self.absent(where):
                first = self.formatted.version(self.formatted.blocknr(where))
                self.resting(DISK, where, (first,))  # a block that no transfer touched holds what it held at first
        size_on_disk = next((len(words) for blocks in snap.disk.values() for words in blocks.values()), 0)
        per_ring = Counter(buffer.page for buffer in snap.buffers.values() if buffer.next is not None)
        for slot in snap.slots:
            page = snap.page(slot.page)
            if page is None or not slot.ino.isdigit() or "PG_uptodate" not in page.flags:
                continue
            per_page = len(page.words) // size_on_disk if size_on_disk else per_ring[page.name]
            size = len(page.words) // per_page if per_page else 0
            for i in range(per_page):
                where = (slot.ino, slot.index * per_page + i)
                self.resting("page cache", where, page.words[i * size : (i + 1) * size])

        self.metadata_at_rest(snap, size_on_disk)
        self.private_at_rest(snap)

    def metadata_at_rest(self, snap: Snapshot, size: int) -> None:
        """Judge the blocks of inodes in the page cache by buffer: their pages are seldom up to date as a whole."""
        cached = {slot.page: slot.index for slot in snap.slots if slot.ino == DEVICE and slot.page is not None}
        for buffer in snap.buffers.values():
            page = snap.page(buffer.page)
            if not size or page is None or page.name not in cached or buffer.index is None:
                continue
            where = self.formatted.where(cached[page.name] * (len(page.words) // size) + buffer.index)
            if where in self.blocks and where[0] == INODES and "Uptodate" in buffer.state:
                self.resting("page cache", where, page.words[buffer.index * size : (buffer.index + 1) * size])

    def private_at_rest(self, snap: Snapshot) -> None:
        """Judge private memory, unless its program is gone: where no pte shows a page of it, it is zeros."""
        start, per_page = self.heap
        shown = {row.address: snap.page(row.page) for row in snap.ptes if "present" in row.bits}
        for where, block in self.blocks.items():
            if where[0] != HEAP or snap.private_at(start + where[1] // per_page) is None:
                continue
            page = shown.get(start + where[1] // per_page)
            words: Sequence[object] = page.words if page is not None else (GONE,) * per_page
            size, first = len(words) // per_page, where[1] % per_page
            for value in words[first * size : (first + 1) * size]:
                self.checked += 1
                rule = block.fault(value, block.floor)
                if rule:
                    self.caught(rule, "", _Sight(*self.rest, "memory", where, block, [value], block.floor))
                    break

    def absent(self, where: tuple[str, int]) -> bool:
        """Say whether the file has no such block: the disk may hold anything there."""
        block = self.blocks[where]
        self.checked += block.absent
        return block.absent

    def fault(self, where: tuple[str, int], block: Block, value: object, floor: int) -> str:
        """Say which rule a word breaks.  Where a write failed, a new block shows what the medium held before it."""
        if self.lossy and self.formatted.is_hole(where) and self.untouched(where, (value,)):
            return ""
        return block.fault(value, floor)

    def untouched(self, where: tuple[str, int], words: tuple[object, ...]) -> bool:
        """Say whether a block of the medium shows what it held at first."""
        return set(words) == {self.formatted.version(self.formatted.blocknr(where))}

    def resting(self, medium: str, where: tuple[str, int], words: tuple[object, ...]) -> None:
        block = self.blocks.get(where) or self.formatted.block(where)
        if medium == DISK and block.floor < 0 and self.formatted.is_hole(where):
            return  # no block of the file
        self.checked += len(words)
        kept = self.kept and medium == DISK and self.formatted.is_journalled(where[0])
        floor = -1 if self.lossy or kept else block.floor
        if medium == DISK and floor < 0 and self.formatted.is_hole(where) and self.untouched(where, words):
            return  # a block that the file was given, and that nothing of it came to
        rules = [self.fault(where, block, word, floor) for word in words]
        torn = "torn" if len(set(words)) > 1 and not self.lossy else ""
        rule = next((rule for rule in rules if rule), torn)
        if rule:
            self.caught(rule, "", _Sight(*self.rest, medium, where, block, list(words), floor))


def _of_the_log(record: Record) -> bool:
    """Say whether all writes that failed were of the log, as far as the record notes writes: no data are lost then."""
    formatted, failed = Formatted(), 0
    for step in record.steps_on((), notes={*SET_UP, "io-end"}):
        _, _, kind, facts = record.events[step]
        if kind in SET_UP:
            formatted.note(kind, facts)
        elif facts[0] == "write" and facts[2]:
            failed += 1
            if formatted.where(facts[1])[0] != LOG:
                return False
    return failed > 0


def judge(record: Record) -> Judgement:
    """Judge every read, then the disk and the page cache after sync."""
    audit = _Audit(record)
    audit.lossy = audit.lossy and not _of_the_log(record)
    taken = len(record.events), "main"
    for step in record.steps_on((), notes={*NOTES, *CUTS, *CHANGES, *DISCARDS, *SET_UP, HEAP, "snapshot"}):
        task, _, kind, facts = record.events[step]
        if kind in NOTES:
            audit.note(step, task, kind, str(facts[0]), int(facts[1]), facts[2:])
        elif kind in CUTS:
            audit.blocks.truncated(kind, facts[0], int(facts[1]), step, record.task_name(task))
        elif kind in CHANGES:
            audit.change(step, task, kind, int(facts[0]), facts[1:])
        elif kind in DISCARDS:
            audit.blocks.discarded(kind, facts[0], facts[1], step, record.task_name(task))
        elif kind in SET_UP:
            audit.formatted.note(kind, facts)
        elif kind == HEAP:
            audit.heap = facts
        else:
            taken = step, record.task_name(task)
    for snap in snapshots(record):
        if snap.label == "synced":
            audit.at_rest(snap, *taken)
    return audit.evidence.judgement(audit.checked, unfinished(record))


def _flat(rest: tuple[object, ...]) -> list[object]:
    """Return the values of a read, which come one by one or as one tuple."""
    if len(rest) == 1 and isinstance(rest[0], tuple | list):
        return list(rest[0])
    return list(rest)


def _place(where: tuple[str, int]) -> str:
    """Name what a block is of."""
    return "private memory" if where[0] == HEAP else f"inode {where[0]}"


def _told(block: Block, versions: list[object]) -> list[str]:
    """Name versions, each with where it comes from."""
    return [f"version {version} ({block.origin(version)})" for version in dict.fromkeys(versions)]


def _plain(value: object) -> int | str:
    return value if isinstance(value, int) else str(value)
