"""Content: every word that a reader, the page cache or the disk shows was written there and is not stale.

A block is a multi-writer register: version w is superseded for a reader if some other write that began after
w ended was acknowledged before the read began.  Rules, per
word: the version was written to this block (0 is what it held at first); it is not superseded; where no
write overlapped the read, all words of the block agree.  After sync the disk, and each page that is up to
date, show a version that nothing superseded, the same in every word.  After a failed write of the device
nothing is stale: the kernel loses that data, and says so.  Invariant: writes that overlapped each other may
land in either order. Not checked: data that a page held before it was truncated or freed, metadata blocks,
the order on the disk.
"""

from __future__ import annotations

from collections import Counter

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.snapshot import Snapshot, snapshots, unfinished
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record

NAME = "content"
WRITE_ERROR = "buffer: write error"  # mark of the kernel model: a write failed, so its data may be lost
NOTES = frozenset({"write-begin", "write-end", "read-begin", "read-end"})
_OPEN = 1 << 62  # end of a write that has not been acknowledged


class Block:
    """The writes to one block of one file, by the steps at which they began and ended."""

    __slots__ = ("begin", "end", "floor", "running")

    def __init__(self) -> None:
        self.begin: dict[object, int] = {0: -1}
        self.end: dict[object, int] = {0: -1}
        self.floor = -1  # the latest begin of an acknowledged write: what ended before it is superseded
        self.running = 0

    def write_began(self, version: object, step: int) -> None:
        self.begin[version] = step
        self.end[version] = _OPEN
        self.running += 1

    def write_ended(self, version: object, step: int) -> None:
        self.end[version] = step
        self.running -= 1
        self.floor = max(self.floor, self.begin.get(version, -1))

    def newest(self) -> list[object]:
        """Return the versions that nothing superseded, oldest first."""
        return [version for version, end in self.end.items() if end >= self.floor]

    def fault(self, version: object, floor: int) -> str:
        """Say which rule `version` breaks for a reader whose floor is `floor`, "" if none."""
        end = self.end.get(version)
        if end is None:
            return "never written"
        return "stale" if end < floor else ""


class _Reading:
    """A read that is going on: what it may still see."""

    __slots__ = ("begin", "floor", "quiet", "writes")

    def __init__(self, block: Block, step: int) -> None:
        self.begin = step
        self.floor = block.floor
        self.quiet = block.running == 0
        self.writes = len(block.begin)


class _Audit:
    """One pass over the notes of one record."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.blocks: dict[tuple[str, int], Block] = {}
        self.readings: dict[tuple[int, str, int], _Reading] = {}
        self.checked = 0
        self.lossy = bool(record.marks.get(WRITE_ERROR))

    def note(self, step: int, task: int, kind: str, ino: str, number: int, rest: tuple[object, ...]) -> None:
        block = self.blocks.get((ino, number))
        if block is None:
            block = self.blocks[ino, number] = Block()
        if kind == "write-begin":
            block.write_began(rest[0], step)
        elif kind == "write-end":
            block.write_ended(rest[0], step)
        elif kind == "read-begin":
            self.readings[task, ino, number] = _Reading(block, step)
        else:
            reading = self.readings.pop((task, ino, number), None)
            if reading is not None:
                self.read(step, task, (ino, number), block, reading, _flat(rest))

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
        who = self.record.task_name(task)
        shows = f"read of block {where[1]} of inode {where[0]} shows"
        for word, value in enumerate(values):
            rule = block.fault(value, -1 if self.lossy else reading.floor)
            if rule:
                text = f"{shows} version {value} in word {word}: {rule}"
                self.caught(rule, text, where, block, values, who, step=step, since=reading.begin)
                return
        quiet = reading.quiet and reading.writes == len(block.begin)
        if quiet and len(set(values)) > 1:
            text = f"{shows} {values} though no write overlapped it"
            self.caught("torn", text, where, block, values, who, step=step, since=reading.begin)

    def caught(
        self,
        rule: str,
        text: str,
        where: tuple[str, int],
        block: Block,
        values: list[object],
        who: str,
        **at: int,
    ) -> None:
        allowed = [_plain(version) for version in block.newest()]
        self.evidence.add(
            rule,
            text,
            (who,),
            inode=where[0],
            block=where[1],
            shown=[_plain(value) for value in values],
            newest=allowed,
            seen_by=who,
            **at,
        )

    def at_rest(self, snap: Snapshot) -> None:
        """Judge disk and page cache after sync."""
        for ino, blocks in snap.disk.items():
            for number, words in blocks.items():
                if ino.isdigit():
                    self.resting("disk", (ino, number), words)
        for where in self.blocks:
            if where[1] not in snap.disk.get(where[0], ()):
                self.resting("disk", where, (0,))  # a block that no transfer touched holds what it held at first
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

    def resting(self, medium: str, where: tuple[str, int], words: tuple[object, ...]) -> None:
        block = self.blocks.get(where) or Block()
        self.checked += len(words)
        rules = [block.fault(word, -1 if self.lossy else block.floor) for word in words]
        rule = next((rule for rule in rules if rule), "torn" if len(set(words)) > 1 else "")
        if rule:
            text = f"{medium} after sync: block {where[1]} of inode {where[0]} shows {list(words)}: {rule}"
            self.caught(f"{rule} after sync", text, where, block, list(words), medium)


def judge(record: Record) -> Judgement:
    """Judge every read, then the disk and the page cache after sync."""
    audit = _Audit(record)
    for step in record.steps(NOTE):
        task, _, kind, facts = record.events[step]
        if kind in NOTES:
            audit.note(step, task, kind, str(facts[0]), int(facts[1]), facts[2:])
    for snap in snapshots(record):
        if snap.label == "synced":
            audit.at_rest(snap)
    return audit.evidence.judgement(audit.checked, unfinished(record))


def _flat(rest: tuple[object, ...]) -> list[object]:
    """Return the values of a read, which come one by one or as one tuple."""
    if len(rest) == 1 and isinstance(rest[0], tuple | list):
        return list(rest[0])
    return list(rest)


def _plain(value: object) -> int | str:
    return value if isinstance(value, int) else str(value)
