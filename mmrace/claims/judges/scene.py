"""A record as claims ask it: the migrations in it, who held what when, the buffer I/O, the commits.

One pass, shared by all checks of a record.  Invariant: built of events and notes alone, with names for objects, so that
a live record and one from a file show the same.  Not here: judgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

from mmrace.claims.judges.holds import NEVER, Holds
from mmrace.claims.judges.migration import Migration
from mmrace.oracles.general.judgement import Fact
from mmrace.oracles.protocol.ring import ring_of
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    COUNT,
    FREEZE,
    KIND_MASK,
    NOTE,
    READ,
    RELEASE,
    SHIFT,
    SPAWN,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    UNFREEZE,
    WRITE,
)
from mmrace.runtime.record import Record

_BITS = (
    ("Page", "flags", "PG_locked"),
    ("Page", "flags", "PG_writeback"),
    ("Page", "flags", "PG_lru"),
    ("BufferHead", "b_state", "BH_Lock"),
)
_LOCKS = (("AddressSpace", "tree_lock"), ("AddressSpace", "private_lock"), ("Page", "flags"))
_FIELDS = (
    ("Page", "_count"), ("Page", "_mapcount"), ("Page", "mapping"), ("Page", "private"), ("Slot", "page"),
    ("BufferHead", "b_page"), ("BufferHead", "b_this_page"),
)  # fmt: skip
_FILE = "mapping:"

MAIN = 0  # the task that sets the stage and syncs at the end, alone: what it does puts no claim to the test

Op = tuple[int, int, int, Any, Any]
"""(step, task, op, a, b), as an event of the record."""


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


class Scene:
    """See the module docstring.  Tables map names to lanes or lanes to names; pointers are as they were at the end."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.holds = Holds()
        self.migrations: list[Migration] = []
        self.submits: list[Submit] = []
        self.strips: list[tuple[int, int, str]] = []
        """Steps at which a task took a page's ring off it, other than by moving it: (step, task, page)."""
        self.page_lock = _by_name(record, "Page", "flags", "PG_locked")
        self.writeback = _by_name(record, "Page", "flags", "PG_writeback")
        self.buffer_lock = _by_name(record, "BufferHead", "b_state", "BH_Lock")
        self.count = {name: lane for lane, name in record.lanes("Page", "_count").items()}
        self.words = record.word_lanes("Page", "words")
        self.commits: list[tuple[int, int, int]] = []
        """(task, its first step, its last step)."""
        self._at: dict[str, dict[str, str | None]] = {field: {} for _, field in _FIELDS}
        self._now: dict[int, Migration] = {}
        self._isolated: dict[str, int] = {}
        self._committing: dict[int, int] = {}
        self._spawning: dict[int, Submit] = {}
        self._follow()
        self.commits += [(task, begin, len(record.events)) for task, begin in self._committing.items()]

    # -- questions --------------------------------------------------------------------------------------------------

    def who(self, task: int) -> str:
        """Name a task."""
        return self.record.task_name(task)

    def locked_by(self, page: str, step: int) -> int | None:
        """Return the task that holds a page's lock at `step`."""
        return self.holds.holder(self.page_lock.get(page, -1), step)

    def buffer_locked_by(self, buffer: str, step: int) -> int | None:
        """Return the task that holds a buffer's lock at `step`; None: nobody, or its I/O does."""
        return self.holds.holder(self.buffer_lock.get(buffer, -1), step)

    def in_commit(self, task: int, step: int) -> bool:
        """Say whether a task was in a commit at `step`."""
        return any(who == task and begin <= step <= end for who, begin, end in self.commits)

    def others(self, task: int, first: int, last: int) -> Iterator[Op]:
        """Yield the ops of everybody else from step `first` to `last`."""
        return (op for op in self._ops(first, last) if op[1] != task)

    def mine(self, task: int, first: int, last: int) -> Iterator[Op]:
        """Yield the ops of one task from step `first` to `last`."""
        return (op for op in self._ops(first, last) if op[1] == task)

    def _ops(self, first: int, last: int) -> Iterator[Op]:
        events = self.record.events
        for step in range(max(0, first), min(last + 1, len(events))):
            if events[step][1] != NOTE:
                yield (step, *events[step])

    def facts(self, migration: Migration) -> dict[str, Fact]:
        """Return what tells a migration: migrator, pages, mode, the steps of its stages."""
        return {
            "migrator": self.who(migration.task), "page": migration.page, "newpage": migration.newpage,
            "mode": migration.mode, "stages": dict(sorted(migration.at.items(), key=itemgetter(1))),
        }  # fmt: skip

    # -- the pass ---------------------------------------------------------------------------------------------------

    def _watched(self) -> dict[int, tuple[str, str]]:
        record = self.record
        watch = {lane: ("words", name) for lane, (name, _) in self.words.items()}
        for cls, field, bit in _BITS:
            watch |= {lane: (bit, name) for lane, name in record.bit_lane(cls, field, bit).items()}
        for cls, field in (*_FIELDS, *_LOCKS):
            watch |= {lane: (field, name) for lane, name in record.lanes(cls, field).items()}
        return watch

    def _follow(self) -> None:
        watch, now, spawning = self._watched(), self._now, self._spawning
        for step, (task, op, a, b) in enumerate(self.record.events):
            if op == NOTE:
                self._note(step, task, a, b)
                continue
            kind = op & KIND_MASK
            if kind == SPAWN:
                if task in spawning:
                    spawning.pop(task).io = a
                continue
            entry = watch.get(op >> SHIFT)
            if entry is None:
                continue
            what, name = entry
            if kind == WRITE and what in self._at:
                self._wrote(step, task, what, name, b)
            elif kind in (TEST_AND_SET, CLEAR, TEST_AND_CLEAR, STORE, ACQUIRE, TRY, RELEASE):
                self._bit(step, task, kind, op >> SHIFT, what, name, a, b)
            migration = now.get(task)
            if migration is not None:
                self._mine(migration, step, kind, op >> SHIFT, what, name, a, b)

    def _note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "migrate-begin":
            page = str(self.record.name(facts[0]))
            made = Migration(task, page, str(facts[1]), step, len(self.record.events))
            if page in self._isolated:
                made.at["isolated"] = self._isolated[page]
            self._now[task] = made
            self.migrations.append(made)
        elif kind == "migrate-end":
            ended = self._now.pop(task, None)
            if ended is not None:
                new = self.record.name(facts[1])
                ended.end, ended.rc, ended.reason = step, str(facts[3]), str(facts[4])
                ended.newpage = new if isinstance(new, str) else None
        elif kind == "commit-begin" and task != MAIN:
            self._committing[task] = step
        elif kind == "commit-end" and task != MAIN:
            self.commits.append((task, self._committing.pop(task, 0), step))
        elif kind == "hand-over":
            self._handed_over(step, task, facts[0], str(self.record.name(facts[1])))

    def _handed_over(self, step: int, task: int, lane: object, token: str) -> None:
        assert isinstance(lane, int)
        self.holds.hand_over(lane, step)
        if self.buffer_lock.get(token) != lane or task == MAIN:
            return  # a page's lock, for a read; or main's
        page = self._at["b_page"].get(token) or ""
        mapping = self._at["mapping"].get(page) or ""
        ring = self._ring(page)
        data = token in ring and mapping.removeprefix(_FILE).isdigit()
        made = Submit(step, task, token, page, ring, task in self._committing, data)
        self._spawning[task] = made
        self.submits.append(made)

    def _wrote(self, step: int, task: int, what: str, name: str, new: object) -> None:
        named = self.record.name(new)
        old = self._at[what].get(name)
        self._at[what][name] = named if isinstance(named, str) else None
        if what == "private" and old is not None and named is None and task != MAIN:
            migration = self._now.get(task)
            if migration is None or migration.page != name or not migration.replaced:
                self.strips.append((step, task, name))

    def _bit(self, step: int, task: int, kind: int, lane: int, what: str, name: str, a: object, b: object) -> None:
        if kind == STORE:
            if what == "flags" and not b:
                self.holds.drop(self.page_lock.get(name, -1), step)
        elif what == "PG_lru":
            if kind in (CLEAR, TEST_AND_CLEAR) and a:
                self._isolated[name] = step
        elif (kind == TEST_AND_SET and not a) or kind == ACQUIRE or (kind == TRY and a):
            self.holds.take(lane, step, task)
        elif kind == RELEASE or (kind in (CLEAR, TEST_AND_CLEAR) and a):
            self.holds.drop(lane, step)
            if what == "BH_Lock":
                for submit in reversed(self.submits):
                    if submit.buffer == name:
                        submit.end = min(submit.end, step)
                        break

    def _ring(self, page: str) -> tuple[str, ...]:
        return ring_of(page, self._at["private"], self._at["b_this_page"])

    # -- the migrator's own ops -------------------------------------------------------------------------------------

    def _mine(
        self, migration: Migration, step: int, kind: int, lane: int, what: str, name: str, a: object, b: object
    ) -> None:
        at, old = migration.at, name == migration.page
        before = "freeze" not in at and "replace" not in at
        if what == "PG_locked":
            self._page_lock(migration, step, kind, name, a, before)
        elif what == "BH_Lock":
            if kind == TEST_AND_SET and a:
                migration.busy.append((step, name))
            elif kind == TEST_AND_SET:
                migration.locked[name] = step
            elif kind == CLEAR and a:
                migration.unlocked[name] = step
        elif what == "words":
            if migration.replaced:
                (migration.reads if kind == READ else migration.writes).append((step, self.words[lane][1]))
        elif what == "b_page":
            if kind == WRITE and migration.replaced:
                migration.moved.append(step)
        elif what == "page":
            self._slot(migration, step, kind, lane, a)
        elif what == "tree_lock":
            if kind == ACQUIRE and before:
                at["tree_lock"], migration.tree_lock = step, lane
            elif kind == RELEASE and migration.replaced:
                at.setdefault("tree_unlock", step)
        elif old and before and what == "PG_writeback" and kind == TEST and "lock old" in at:
            at.setdefault("writeback looked at", step)
        elif old and what == "_mapcount" and "lock new" not in at:
            at["mapcount looked at"] = step
        elif old and what == "_count":
            self._counted(migration, step, kind, a, b, before)

    def _page_lock(self, migration: Migration, step: int, kind: int, name: str, a: object, before: bool) -> None:
        at, old = migration.at, name == migration.page
        if kind == TEST_AND_SET and not a and before:
            at["lock old" if old else "lock new"] = step
            if not old:
                migration.newpage = name
        elif kind == CLEAR and a and (old or name == migration.newpage):
            at["unlock old" if old else "unlock new"] = step

    def _slot(self, migration: Migration, step: int, kind: int, lane: int, a: object) -> None:
        at = migration.at
        if kind == WRITE and self.record.name(a) == migration.page and "replace" not in at:
            migration.ring = migration.ring or self._ring(migration.page)
            at["replace"], migration.slot = step, lane
        elif kind == READ and "freeze" not in at and "tree_lock" in at:
            at["slot looked at"] = step

    def _counted(self, migration: Migration, step: int, kind: int, a: object, b: object, before: bool) -> None:
        at = migration.at
        if kind == COUNT and before and "tree_lock" in at:
            at["count tested"] = step
        elif kind == FREEZE and b:
            at["freeze"] = step
            migration.ring = self._ring(migration.page)
        elif kind == UNFREEZE and migration.replaced and isinstance(a, int):
            at.setdefault("thaw", step)
            migration.thawed = a


def _by_name(record: Record, cls: str, field: str, bit: str) -> dict[str, int]:
    return {name: lane for lane, name in record.bit_lane(cls, field, bit).items()}


@lru_cache(maxsize=1)
def scene(record: Record) -> Scene:
    """Return the scene of a record; the last one is kept, for the checks come one after the other."""
    return Scene(record)
