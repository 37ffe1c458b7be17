"""The pass over a record that claims share: one look at each event, and what has to be kept of it.

`EFFECTS` says what an op does, whoever does it; what it is to an attempt of its own task is `attempts.STEPS`.
Invariant: built of events and notes alone, with names for objects, so that a live record and one from a file give the
same.  Not here: questions (`scene.py`), and judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from mmrace.claims.judges.attempts import STEPS, WORD_STEPS, Attempts, Step
from mmrace.claims.judges.holds import NEVER, Holds
from mmrace.claims.judges.ops import Op, Watched
from mmrace.claims.judges.pointers import POINTERS, Pointers
from mmrace.oracles.protocol.cache import WITH_FLUSH
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    KIND_MASK,
    NOTE,
    RELEASE,
    SETS,
    SHIFT,
    SPAWN,
    STORE,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    WRITE,
)
from mmrace.runtime.record import Record

MAIN = 0  # the task that sets the stage and syncs at the end, alone: what it does puts no claim to the test


@dataclass(slots=True)
class Submit:
    """A buffer whose lock was handed to its I/O: by whom, from which page, until when the I/O had the lock.

    `ring`: the buffers of that page.  `commit`: its submitter was in a commit.  `data`: the buffer is one of the ring,
    and the page a file's.  `io`: task id of the device's side, -1 if it is not known.
    """

    step: int
    task: int
    buffer: str
    page: str
    ring: tuple[str, ...]
    commit: bool
    data: bool
    io: int = -1
    end: int = NEVER

    def under_way(self, step: int) -> bool:
        """Say whether the I/O had the lock at `step`."""
        return self.step <= step < self.end


class Whole(NamedTuple):
    """At `step` a task gave a page as a whole to one write, whose buffers are `ring`."""

    step: int
    task: int
    page: str
    ring: tuple[str, ...]


class Strip(NamedTuple):
    """At `step` a task took the ring off a page, other than by moving it."""

    step: int
    task: int
    page: str


class Commit(NamedTuple):
    """A task was in a commit from one step to another."""

    task: int
    begin: int
    end: int


class Reading:
    """What one pass over a record gives."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.holds = Holds()
        self.submits: list[Submit] = []
        self.whole: list[Whole] = []
        self.strips: list[Strip] = []
        self.commits: list[Commit] = []
        self.page_lock = by_name(record, Watched.PG_locked)
        self.buffer_lock = by_name(record, Watched.BH_Lock)
        self.dirty = by_name(record, Watched.PG_dirty)
        self.words = record.word_lanes("Page", "words")
        """Lane of a data word -> (page, index)."""
        self.pointers = Pointers()
        self.attempts = Attempts(self.pointers, self.words)
        self._committing: dict[int, int] = {}
        self._spawning: dict[int, Submit] = {}
        self._follow()
        self.commits += [Commit(task, begin, len(record.events)) for task, begin in self._committing.items()]

    def _follow(self) -> None:
        meanings, attempts, spawning = _meanings(self.record, self.words), self.attempts, self._spawning
        now = attempts.now
        for step, (task, op, a, b) in enumerate(self.record.events):
            if op == NOTE:
                self._note(step, task, a, b)
                continue
            meaning = meanings.get(op)
            if meaning is None:
                if op & KIND_MASK == SPAWN and task in spawning:
                    spawning.pop(task).io = a
                continue
            seen = Op(step, task, op & KIND_MASK, op >> SHIFT, a, b)
            if meaning.effect is not None:
                meaning.effect(self, seen, meaning.owner)
            if meaning.step is not None and task in now:
                meaning.step(attempts, now[task], seen, meaning.owner)

    # -- notes ------------------------------------------------------------------------------------------------------

    def _note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "migrate-begin":
            page, mode, *_ = facts
            self.attempts.begin(task, str(Record.name(page)), str(mode), step, len(self.record.events))
        elif kind == "migrate-end":
            _, newpage, _, rc, reason, *_ = facts
            self.attempts.end(task, _name_of(newpage), str(rc), str(reason), step)
        elif kind == "commit-begin" and task != MAIN:
            self._committing[task] = step
        elif kind == "commit-end" and task != MAIN:
            self.commits.append(Commit(task, self._committing.pop(task, 0), step))
        elif kind == "io-begin" and task != MAIN:
            pages = [str(Record.name(fact)) for fact in facts[3:] if fact != WITH_FLUSH]
            self.whole += [Whole(step, task, page, self.pointers.ring(page)) for page in pages]
        elif kind == "hand-over":
            lane, buffer, *_ = facts
            assert isinstance(lane, int)
            self._hand_over(step, task, lane, str(Record.name(buffer)))

    def _hand_over(self, step: int, task: int, lane: int, buffer: str) -> None:
        self.holds.hand_over(lane, step)
        if self.buffer_lock.get(buffer) != lane or task == MAIN:
            return  # a page's lock, for a read; or main's
        page = self.pointers.page_of(buffer)
        ring = self.pointers.ring(page)
        data = buffer in ring and self.pointers.of_file(page)
        made = Submit(step, task, buffer, page, ring, task in self._committing, data)
        self._spawning[task] = made
        self.submits.append(made)

    # -- single ops, on what belongs to `owner` -----------------------------------------------------------------------

    def _isolate(self, op: Op, owner: str) -> None:
        if op.was_set:
            self.attempts.isolate(owner, op.step)

    def _set_bit(self, op: Op, owner: str) -> None:
        if not op.was_set:
            self.holds.take(op.lane, op.step, op.task)

    def _clear_bit(self, op: Op, owner: str) -> None:
        if op.was_set:
            self.holds.drop(op.lane, op.step)

    def _unlock_buffer(self, op: Op, owner: str) -> None:
        self._clear_bit(op, owner)
        last = next((submit for submit in reversed(self.submits) if submit.buffer == owner), None)
        if op.was_set and last is not None:
            last.end = min(last.end, op.step)

    def _store_flags(self, op: Op, owner: str) -> None:
        if not op.new:
            self.holds.drop(self.page_lock.get(owner, -1), op.step)
            self.holds.drop(self.dirty.get(owner, -1), op.step)

    def _acquire(self, op: Op, owner: str) -> None:
        self.holds.take(op.lane, op.step, op.task)

    def _try(self, op: Op, owner: str) -> None:
        if op.taken:
            self.holds.take(op.lane, op.step, op.task)

    def _release(self, op: Op, owner: str) -> None:
        self.holds.drop(op.lane, op.step)

    def _write_private(self, op: Op, owner: str) -> None:
        new = _name_of(op.new)
        old = self.pointers.write(Watched.page_private, owner, new)
        if old is not None and new is None and op.task != MAIN:
            attempt = self.attempts.now.get(op.task)
            if attempt is None or attempt.page != owner or not attempt.replaced:
                self.strips.append(Strip(op.step, op.task, owner))


Effect: TypeAlias = Callable[[Reading, Op, str], None]


def _writes(pointer: Watched) -> Effect:
    """Return the effect of a write of this pointer."""

    def write(reading: Reading, op: Op, owner: str) -> None:
        reading.pointers.write(pointer, owner, _name_of(op.new))

    return write


_BITS = (Watched.PG_locked, Watched.PG_writeback, Watched.BH_Lock)
_LOCKS = (Watched.tree_lock, Watched.private_lock)
_CLEARS = (CLEAR, TEST_AND_CLEAR)
EFFECTS: dict[tuple[Watched, int], Effect] = {
    **{(bit, TEST_AND_SET): Reading._set_bit for bit in _BITS},
    **{(bit, kind): Reading._clear_bit for bit in _BITS for kind in _CLEARS},
    **{(Watched.BH_Lock, kind): Reading._unlock_buffer for kind in _CLEARS},
    **{(Watched.PG_lru, kind): Reading._isolate for kind in _CLEARS},
    **{(Watched.PG_dirty, kind): Reading._set_bit for kind in SETS},
    **{(Watched.PG_dirty, kind): Reading._clear_bit for kind in _CLEARS},
    (Watched.page_flags, STORE): Reading._store_flags,
    **{(lock, ACQUIRE): Reading._acquire for lock in _LOCKS},
    **{(lock, TRY): Reading._try for lock in _LOCKS},
    **{(lock, RELEASE): Reading._release for lock in _LOCKS},
    **{(pointer, WRITE): _writes(pointer) for pointer in POINTERS},
    (Watched.page_private, WRITE): Reading._write_private,
}
"""What an op does to what a reading keeps."""


class _Meaning(NamedTuple):
    """What an op of a record means: on whose part it is, its effect, and what it is to an attempt of its task."""

    owner: str
    effect: Effect | None
    step: Step | None


def _meanings(record: Record, words: dict[int, tuple[str, int]]) -> dict[int, _Meaning]:
    """Map each op that means something, as events have it (lane and kind in one number), to its meaning."""
    found = {}
    for watched, kind in {**EFFECTS, **STEPS}:
        effect, step = EFFECTS.get((watched, kind)), STEPS.get((watched, kind))
        for lane, owner in record.bit_lane(*watched.value).items():
            found[lane << SHIFT | kind] = _Meaning(owner, effect, step)
    for kind, step in WORD_STEPS.items():
        for lane, (page, _) in words.items():
            found[lane << SHIFT | kind] = _Meaning(page, None, step)
    return found


def _name_of(value: object) -> str | None:
    """Return the name of what a pointer shows, None if it shows no object."""
    name = Record.name(value)
    return name if isinstance(name, str) else None


def by_name(record: Record, watched: Watched) -> dict[str, int]:
    """Map the names of those that have a part to its lane."""
    return {name: lane for lane, name in record.bit_lane(*watched.value).items()}
