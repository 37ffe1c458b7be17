"""Crash: whenever the machine stops, what recovery makes of the medium is what was committed, and what fsync promised.

For each write that ends, and each subset of the writes then in flight, the blocks that a crash would leave are given to
recovery.  After that each metadata block shows what it held when the newest transaction closed that changed it and
whose commit block is among them; before the first, what it held at first; of one that a truncation took away nothing is
asked once that is committed, until a later transaction has it.  A block that an fsync promised shows nothing older, and
its file has it.  A block that its file did not have at first, but has by what the inode then says, does not show what
was there before; with data=writeback it may, as is documented, and where the next transaction took its data from a
closed one (R16, see `filed.py`).
Invariant: a write that has ended is on the medium, or, where the disk has a volatile cache, in flight until a flush has
brought it there; a block is there whole or not at all; a subset that was looked at is not looked at again, unless more
was promised since.  What a write in flight brings is what it brings in the end.
Not checked: blocks that were unmapped without a truncation, or revoked last; what follows a failed write to the log; a
log in blocks of one word, which cannot hold its headers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, TypeAlias

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.closed import Words
from mmrace.oracles.protocol.names import INODES, LOG, SUPERBLOCK, WRITEBACK, mode_of_data
from mmrace.oracles.protocol.register import Home
from mmrace.oracles.protocol.slipped import Slipped, slipped
from mmrace.oracles.protocol.writes import Moment, Story, Write
from mmrace.runtime.record import Record

NAME = "crash"
PROMISED = "promised by fsync, and lost"
GIVEN_UP = "given up by the log before it is home"
SLIPPED = "given up by the log while it is on its way home"
EXHAUSTIVE_MAX = 6
"""Writes in flight of which every subset is looked at: 64 images for one moment, at most."""
SAMPLES = 64
"""Subsets drawn where more are in flight, beside none, all, each alone, and all but one."""
Image: TypeAlias = dict[int, Words]
Recover: TypeAlias = Callable[
    [Mapping[int, Sequence[Any]], int, int, int | None], tuple[Mapping[int, Sequence[Any]], int]
]
"""Recovery: (what the device holds, the log's first block, the one after its last, its superblock) -> what it shows,
and the transaction that the log begins with.

A block that was never written is not among them.  Raises ValueError for a log that contradicts itself."""
Mapped: TypeAlias = Callable[[Any], Collection[int]]
"""What a word of an inode's block says: which of its file's holes (numbered from 0) have become blocks of it."""


class _Crashes:
    """Crashes at every moment of a story.  `medium`: what is there for certain, of the blocks that matter."""

    def __init__(self, story: Story, recover: Recover, mapped: Mapped) -> None:
        self.story = story
        self.recover = recover
        self.mapped = mapped
        self.evidence = Evidence(NAME)
        self.checked = 0
        self.log = story.region(LOG) if story.size > 1 else (0, 0)
        self.homes = sorted({home for blocks in story.closed.contents.values() for home in blocks} - story.void)
        self.promised = {home: story.region(home[0])[0] + home[1] for home in story.blocks}
        superblock = range(*story.region(SUPERBLOCK))
        self.superblock = superblock[0] if superblock else None
        self.of_log = {*range(*self.log), *superblock}
        self.holes = story.formatted.holes
        self.first_hole = story.formatted.blocknr((self.holes.ino, self.holes.first)) if self.holes else 0
        allocated = range(self.first_hole, self.first_hole + (self.holes.count if self.holes else 0))
        self.ordered = mode_of_data(story.record) != WRITEBACK  # else a new block may show what was there
        self.matters = {*self.homes, *self.promised.values(), *self.of_log, *allocated}
        self.medium: Image = {}
        self.failed: dict[int, int] = {}  # block -> step at which a write of it failed
        self.committed = 0  # the newest transaction whose commit block is on the medium
        self.wanted: dict[int, dict[int, Words]] = {}

    def all(self) -> None:
        """Crash at each moment, up to the first failed write to the log."""
        in_flight: list[Write] = []
        seen: dict[Home, int] | None = None
        for moment in self.story.moments:
            began = [
                write for write in moment.began if write.blocknr in self.matters and not (write.failed or write.cut)
            ]
            in_flight += began
            again = seen != moment.promised  # what was looked at before is to be looked at anew
            seen = moment.promised
            for landed in possible(in_flight, None if again else began, moment.step):
                self.crash(moment, in_flight, landed)
            for write in moment.landed:
                if write in in_flight:
                    in_flight.remove(write)
                    self.medium[write.blocknr] = self.content(self.medium, write)
                    self.committed = max(self.committed, write.tid)
            if moment.failed is not None:
                if moment.failed.blocknr in self.of_log:
                    return
                self.failed[moment.failed.blocknr] = moment.step  # the kernel lost it, and says so

    def first(self, blocknr: int) -> Words:
        held, formatted = self.story.first.get(blocknr, {}), self.story.formatted.version(blocknr)
        return tuple(held.get(i, formatted) for i in range(self.story.size))

    def content(self, image: Image, write: Write) -> Words:
        """Return what a block holds after a write."""
        held = image.get(write.blocknr) or self.first(write.blocknr)
        return tuple(write.words.get(i, word) for i, word in enumerate(held))

    def crash(self, moment: Moment, in_flight: list[Write], landed: tuple[Write, ...]) -> None:
        """Judge one image."""
        image = dict(self.medium)
        for write in landed:
            image[write.blocknr] = self.content(image, write)
        newest = max([self.committed, *(write.tid for write in landed)])
        lost = [write.blocknr for write in in_flight if write not in landed]
        at = _Image(moment, [write.blocknr for write in landed], lost, newest)
        try:
            shown, begins = self.recover(image, *self.log, self.superblock)
        except ValueError as error:
            self.caught("log contradicts itself", str(error), at)
            return
        at.begins = begins
        for home in self.homes:
            self.metadata(home, newest, shown, at)
        reachable = self.reachable(shown, at) if self.holes else frozenset()
        for where, floor in moment.promised.items():
            blocknr, block = self.promised[where], self.story.blocks[where]
            if self.failed.get(blocknr, -1) >= floor:
                continue
            words = shown.get(blocknr) or self.first(blocknr)
            self.checked += 1
            old = [word for word in words if block.end.get(word, -1) < floor]
            if old:
                wanted = " or ".join(map(str, block.allowed(floor)))
                text = f"{self.story.where(blocknr)} shows {old[0]}, not {wanted}, which an fsync had promised"
                self.caught(self.given_up(blocknr, at) or PROMISED, text, at, block=blocknr)
            elif self.holes and where in self.holes and blocknr not in reachable:
                text = f"{self.story.where(blocknr)}, which an fsync had promised, is a hole"
                self.caught(PROMISED, text, at, block=blocknr)

    def reachable(self, shown: Mapping[int, Sequence[Any]], at: _Image) -> Collection[int]:
        """Return the blocks that the inode says have come to the file, none of which shows what was there before."""
        assert self.holes is not None
        inode = self.story.formatted.blocknr((INODES, self.holes.inode))
        says = shown.get(inode) or self.first(inode)
        found = [self.first_hole + number for number in self.mapped(says[0])]
        for blocknr in found if self.ordered else ():
            if blocknr in self.failed or blocknr in self.story.filed.stolen or self.cut_off(blocknr, inode, at.newest):
                continue
            words = shown.get(blocknr) or self.first(blocknr)
            self.checked += 1
            old = [word for word, before in zip(words, self.first(blocknr), strict=True) if word == before]
            if old:
                text = f"{self.story.where(blocknr)} is reachable, and shows {old[0]}, which was there before"
                self.caught("reachable, and what was there before", text, at, block=blocknr)
        return found

    def cut_off(self, blocknr: int, inode: int, newest: int) -> bool:
        """Say whether a block is beyond the end of its file, though the inode has it still.

        So it is from the transaction with the shorter size, where a mount would go on, to the one that frees the block;
        only after that can it come to the file again.
        """
        shortened = max((tid for tid, gone in self.story.freed.items() if tid <= newest and blocknr in gone), default=0)
        if not shortened:
            return False
        contents, number = self.story.closed.contents, blocknr - self.first_hole
        since = [blocks[inode] for tid, blocks in contents.items() if shortened <= tid <= newest and inode in blocks]
        return all(number in self.mapped(words[0]) for words in since)

    def metadata(self, home: int, newest: int, shown: Mapping[int, Sequence[Any]], at: _Image) -> None:
        """Compare one metadata block with what the newest committed transaction left in it."""
        wanted = self.expected(newest).get(home)
        if wanted is None or home in self.failed:
            return
        words = tuple(shown.get(home) or self.first(home))
        self.checked += 1
        if _alike(words, wanted):
            return
        contents = self.story.closed.contents
        whose = [tid for tid, blocks in contents.items() if home in blocks and _alike(words, blocks[home])]
        whose = [tid for tid in whose if tid > newest] or whose
        if whose and whose[0] > newest:
            rule, origin = "shown before it is committed", f"which is of transaction {whose[0]}"
        elif whose or _alike(words, self.first(home)):
            lost = self.given_up(home, at) or "committed, and lost"
            rule, origin = lost, f"which is of transaction {whose[-1]}" if whose else "as at first"
        else:
            rule, origin = "shown, and of no transaction", "which no transaction held when it closed"
        text = f"{self.story.where(home)} shows {list(words)}, {origin}, not {list(wanted)}"
        self.caught(rule, f"{text}; committed is transaction {newest}", at, block=home, committed=newest)

    def given_up(self, home: int, at: _Image) -> str:
        """Name it, if the log begins behind the newest committed transaction that has a block; else ""."""
        having = [tid for tid, blocks in self.story.closed.contents.items() if tid <= at.newest and home in blocks]
        if not having or at.begins <= max(having):
            return ""
        under_way = (
            one.blocknr == home and one.tid == max(having) and one.step <= at.moment.step < one.until
            for one in self.slipped
        )
        return SLIPPED if any(under_way) else GIVEN_UP

    @cached_property
    def slipped(self) -> list[Slipped]:
        """What left a checkpoint list on its way home."""
        return slipped(self.story.record)

    def expected(self, newest: int) -> dict[int, Words]:
        """Return what each metadata block has to show once `newest` is committed; of the others nothing is asked."""
        found = self.wanted.get(newest)
        if found is None:
            found = {home: self.first(home) for home in self.homes}
            contents, revoked, freed = self.story.closed.contents, self.story.revoked, self.story.freed
            for tid in sorted({*contents, *revoked, *freed}):
                if tid <= newest:
                    found |= contents.get(tid, {})
                    for home in (*revoked.get(tid, ()), *freed.get(tid, ())):
                        found.pop(home, None)
            self.wanted[newest] = found
        return found

    def caught(self, rule: str, text: str, at: _Image, **facts: int) -> None:
        step, task = at.moment.step, self.story.record.task_name(at.moment.task)
        what = f"after a crash at step {step} ({at}) {text}"
        self.evidence.add(rule, what, (), step=step, task=task, landed=at.landed, lost=at.lost, **facts)


@dataclass(slots=True)
class _Image:
    """When the crash was, and which blocks that were in flight came to the medium.

    `newest`: the newest transaction whose commit block is there.  `begins`: the one that the log begins with.
    """

    moment: Moment
    landed: list[int]
    lost: list[int]
    newest: int
    begins: int = 0

    def __str__(self) -> str:
        if not self.landed and not self.lost:
            return "nothing in flight"
        told = [f"{what} {', '.join(map(str, sorted(blocks)))}" for what, blocks in self.told() if blocks]
        return f"of the blocks in flight {' and '.join(told)}"

    def told(self) -> tuple[tuple[str, list[int]], tuple[str, list[int]]]:
        return ("written:", self.landed), ("lost:", self.lost)


def _alike(words: Sequence[object], wanted: Sequence[object]) -> bool:
    """Compare the words that are known."""
    return all(b is None or a == b for a, b in zip(words, wanted, strict=False))


def possible(writes: Sequence[Write], fresh: Sequence[Write] | None, seed: int) -> Iterator[tuple[Write, ...]]:
    """Yield subsets of writes that can be all that came to the medium: with one that flushes first, what it flushes."""
    if not any(write.after for write in writes):
        yield from subsets(writes, fresh, seed)
        return
    seen: set[tuple[int, ...]] = set()
    for chosen in subsets(writes, fresh, seed):
        flushed = {id(before) for write in chosen for before in write.after}
        landed = tuple(write for write in writes if write in chosen or id(write) in flushed)
        key = tuple(map(id, landed))
        if key not in seen:
            seen.add(key)
            yield landed


def subsets(writes: Sequence[Write], fresh: Sequence[Write] | None, seed: int) -> Iterator[tuple[Write, ...]]:
    """Yield the subsets of writes that have one of the `fresh`, or, if that is None, any; of many writes a sample."""
    if fresh is not None and not fresh:
        return
    if len(writes) > EXHAUSTIVE_MAX:
        yield from _sample(writes, seed)
        return
    for size in range(len(writes) + 1):
        for chosen in combinations(writes, size):
            if fresh is None or any(write in fresh for write in chosen):
                yield chosen


def _sample(writes: Sequence[Write], seed: int) -> Iterator[tuple[Write, ...]]:
    """Yield none, all, each alone, all but one, and subsets drawn."""
    yield ()
    yield tuple(writes)
    for write in writes:
        yield (write,)
        yield tuple(other for other in writes if other is not write)
    draw = random.Random(seed)
    for _ in range(SAMPLES):
        yield tuple(write for write in writes if draw.random() < 1 / 2)


def judge_with(record: Record, recover: Recover, mapped: Mapped) -> Judgement:
    """Crash at every moment of a record.

    Args: recover: what a mount makes of a device after a crash.  mapped: how an inode's block is read.
    """
    story = Story(record)
    story.tell()
    crashes = _Crashes(story, recover, mapped)
    if story.moments and (crashes.homes or any(moment.promised for moment in story.moments)):
        crashes.all()
    return crashes.evidence.judgement(crashes.checked)
