"""A block of a file as a register that many write: which versions may be seen, given what was acknowledged when.

A truncation writes zeros: a hole shows them, and a read that meets the end of the file instead counts as one of zeros.
A version w is superseded for whoever began to look at a step if some other write that began after w ended was
acknowledged before that.  Invariant: writes that overlapped each other may land in either order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmrace.oracles.protocol.names import HEAP
from mmrace.runtime.record import Record

Home = tuple[str, int]  # inode or name of a region, block within it
UNNAMED = "disk"  # the region of a block that the layout does not name
GONE = 0  # what a hole shows, and, for judges, the end of the file; no version
SET_UP = frozenset({"layout", "formatted", "holes", "stick"})
"""Notes of the set-up, which say what the medium holds at first."""
_OPEN = 1 << 62  # end of a write that has not been acknowledged


def is_garbage(value: object) -> bool:
    """Say whether a word is what a page frame held when it was allocated: the kernel model makes these negative."""
    return isinstance(value, int) and value < 0


def disk_lanes(record: Record) -> dict[int, tuple[int, int]]:
    """Map the lanes of the device's words to (block, word in it)."""
    lanes = record.word_lanes("DiskBlock", "words")
    return {lane: (int(name.partition(":")[2]), word) for lane, (name, word) in lanes.items()}


def blocks_of(facts: Sequence[Any], ended: bool = False) -> range:
    """Return the blocks of a transfer: a note "io-begin" or "io-end" has the first, and how many if it is not one."""
    more = facts[3:4] if ended else [fact for fact in facts[2:3] if isinstance(fact, int)]
    return range(facts[1], facts[1] + (more[0] if more else 1))


def words_of_a_block(lanes: dict[int, tuple[int, int]]) -> int:
    """Return how many words a block has, as far as a record shows it.  Args: lanes: `disk_lanes`."""
    return 1 + max((word for _, word in lanes.values()), default=0)


@dataclass(frozen=True, slots=True)
class Holes:
    """Blocks [first, first + count) of a file that it does not have at first.  `inode`: its block among the inodes'."""

    ino: str
    inode: int
    first: int
    count: int

    def __contains__(self, home: Home) -> bool:
        return home[0] == self.ino and self.first <= home[1] < self.first + self.count


class Formatted:
    """What each block held before anybody wrote it, as the set-up notes it; 0 in a record of before it did.

    A block that its file does not have at first reads as zeros, whatever the medium holds where it is going to be.
    `second`: the file on the second disk, whose file system has no journal; `is_empty`: at first.
    """

    def __init__(self) -> None:
        self.regions: list[tuple[str, int, int]] = []
        self.first = self.step = 0
        self.holes: Holes | None = None
        self.second, self.is_empty = "", False

    def note(self, kind: str, facts: Sequence[Any]) -> None:
        """Take one of the notes `SET_UP`."""
        if kind == "layout":
            self.regions = [(str(key), first, blocks) for key, first, blocks in facts]
        elif kind == "formatted":
            self.first, self.step = facts
        elif kind == "stick":
            self.second, self.is_empty = str(facts[1]), facts[0] == "vfat"
        else:
            self.holes = Holes(str(facts[0]), *facts[1:])

    def is_hole(self, home: Home) -> bool:
        """Say whether a file does not have a block at first."""
        return self.is_beyond(home) or (self.holes is not None and home in self.holes)

    def is_beyond(self, home: Home) -> bool:
        """Say whether a file ends before a block at first."""
        return self.is_empty and home[0] == self.second

    def is_journalled(self, ino: object) -> bool:
        """Say whether a file is on a file system with a journal."""
        return str(ino) != self.second

    def version(self, blocknr: int) -> int:
        """Return what block `blocknr` of the medium held."""
        return self.first + blocknr * self.step

    def where(self, blocknr: int) -> Home:
        """Return the region of a block, by inode number or name, and its number within that."""
        for key, first, blocks in self.regions:
            if first <= blocknr < first + blocks:
                return key, blocknr - first
        return UNNAMED, blocknr

    def blocknr(self, home: Home) -> int:
        """Return the number of a block on the device; its number within the region if nobody knows of that."""
        return next((first + home[1] for key, first, _ in self.regions if key == home[0]), home[1])

    def beyond(self, ino: object, end: int) -> list[Home]:
        """Return the blocks of a file from number `end` on: those that a truncation to there takes away."""
        blocks = next((blocks for key, _, blocks in self.regions if key == str(ino)), 0)
        return [(str(ino), number) for number in range(end, blocks)]

    def block(self, home: Home) -> Block:
        """Return a block that nobody wrote yet."""
        if self.is_beyond(home):
            return Block(GONE, beyond=True)
        if home[0] == HEAP:
            return Block(GONE)
        return Block(0 if self.is_hole(home) else self.version(self.blocknr(home)))


class Blocks(dict[Home, "Block"]):
    """Blocks by home, each made when it is first asked for.  Args: formatted: what they held at first."""

    def __init__(self, formatted: Formatted) -> None:
        super().__init__()
        self.formatted = formatted

    def __missing__(self, home: Home) -> Block:
        """Make a block."""
        block = self[home] = self.formatted.block(home)
        return block

    def truncated(self, kind: str, ino: object, end: int, step: int, who: str) -> list[Home]:
        """Take a note "truncate-begin" or "truncate-end": the file ends before block `end`; return what is beyond."""
        gone = self.formatted.beyond(ino, end)
        for home in gone:
            if kind == "truncate-begin":
                self[home].cut_began(step, who)
            else:
                self[home].write_ended(GONE, step)
        return gone

    def discarded(self, kind: str, key: str, end: int, step: int, who: str) -> None:
        """Take a note "discard-begin" or "discard-end": of the blocks before `end`, all are zeros."""
        for number in range(end):
            if kind == "discard-begin":
                self[key, number].cut_began(step, who)
            else:
                self[key, number].write_ended(GONE, step)


class Block:
    """The writes to one block of one file, by the steps at which they began and ended."""

    __slots__ = ("begin", "beyond", "cut", "end", "floor", "running", "writer")

    def __init__(self, first: object = 0, beyond: bool = False) -> None:
        self.beyond = beyond  # the end of its file, at first
        self.writer: dict[object, str] = {}
        self.begin: dict[object, int] = {first: -1}
        self.end: dict[object, int] = {first: -1}
        self.floor = -1  # the latest begin of an acknowledged write: what ended before it is superseded
        self.running = 0
        self.cut = -1  # the begin of the last truncation: what had ended before it is gone

    @property
    def absent(self) -> bool:
        """Whether nobody began to write the block after it was truncated, or since the file was made without it."""
        cut = 0 <= self.cut == self.begin[GONE] >= max(self.begin.values())
        return cut or (self.beyond and len(self.begin) == 1 and self.cut < 0)

    def cut_began(self, step: int, who: str) -> None:
        """A truncation begins: as if zeros were written, by one that ends where the file does."""
        self.write_began(GONE, step, who)
        self.cut = step

    def write_began(self, version: object, step: int, writer: str) -> None:
        self.writer[version] = writer
        self.begin[version] = step
        self.end[version] = _OPEN
        self.running += 1

    def write_ended(self, version: object, step: int) -> None:
        self.end[version] = step
        self.running -= 1
        self.floor = max(self.floor, self.begin.get(version, -1))

    def write_refused(self, version: object) -> None:
        """A store met the end of the file: what it had stored before that is gone with the block."""
        self.begin[version] = -1

    def allowed(self, floor: int) -> list[object]:
        """Return the versions that a reader whose floor is `floor` may see, oldest first."""
        return [version for version, end in self.end.items() if end >= floor]

    def origin(self, version: object) -> str:
        """Say who wrote a version, and at which steps."""
        writer, begin, end = self.writer.get(version), self.begin.get(version), self.end.get(version)
        if writer is None and is_garbage(version):
            return "what a frame held when it was allocated"
        if writer is None:
            return "there from the start" if version in self.end else "written by nobody"
        return f"{writer}, steps {begin} to {end}" if end != _OPEN else f"{writer}, from step {begin} on, not ended"

    def fault(self, version: object, floor: int) -> str:
        """Say which rule `version` breaks for a reader whose floor is `floor`, "" if none."""
        end = self.end.get(version)
        if end is None:
            return "garbage" if is_garbage(version) else "never written"
        return "stale" if end < floor else ""
