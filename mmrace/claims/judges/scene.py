"""A record as claims ask it: the attempts at pages in it, who held what when, the buffer I/O, the commits.

Invariant: a scene answers the same for a live record and for one from a file.  Not here: how a record is read
(`reading.py`), and judgement.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any

from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op, Watched
from mmrace.claims.judges.reading import Reading, by_name
from mmrace.oracles.general.judgement import Fact
from mmrace.runtime.kinds import KIND_MASK, NOTE, QUEUE, SHIFT
from mmrace.runtime.record import Record

_WAITED_FOR = ("PG_locked", "PG_writeback", "BH_Lock")


class Scene:
    """A record that was read.

    Attributes: migrations: every attempt, in the order in which they began.  page_lock, writeback, buffer_lock, count:
    name of a page or buffer -> lane of the bit or count.  words: lane of a data word -> (page, index).  The rest as in
    `Reading`.
    """

    def __init__(self, record: Record) -> None:
        read = Reading(record)
        self.record = record
        self.migrations = read.attempts.all
        self.holds, self.submits, self.strips, self.commits = read.holds, read.submits, read.strips, read.commits
        self.whole = read.whole
        self.page_lock, self.buffer_lock, self.words = read.page_lock, read.buffer_lock, read.words
        self.dirty_bit = read.dirty
        self.writeback = by_name(record, Watched.PG_writeback)
        self.count = by_name(record, Watched.page_count)

    def who(self, task: int) -> str:
        """Name a task."""
        return self.record.task_name(task)

    def locked_by(self, page: str, step: int) -> int | None:
        """Return the task that holds a page's lock at `step`."""
        return self.holds.holder(self.page_lock.get(page, -1), step)

    def buffer_locked_by(self, buffer: str, step: int) -> int | None:
        """Return the task that holds a buffer's lock at `step`; None if no task does, though its I/O may."""
        return self.holds.holder(self.buffer_lock.get(buffer, -1), step)

    def under_writeback(self, page: str, step: int) -> bool:
        """Say whether a page has PG_writeback set at `step`."""
        return self.holds.at(self.writeback.get(page, -1), step) is not None

    def dirty(self, page: str, step: int) -> bool:
        """Say whether a page has PG_dirty set at `step`."""
        return self.holds.at(self.dirty_bit.get(page, -1), step) is not None

    def dirty_with_buffers(self, migration: Migration) -> bool:
        """Say whether an attempt locked a file's page that had buffers and was dirty: what the patch was made for."""
        step = migration.at.get(Stage.LOCK_OLD)
        return step is not None and migration.of_file and bool(migration.had) and self.dirty(migration.page, step)

    def waits(self, migration: Migration) -> Iterator[tuple[int, str]]:
        """Yield when a migrator queued, in its attempt, for a page lock, a buffer lock or writeback, and for whose."""
        for op in self.mine(migration.task, migration.begin, migration.end):
            if op.kind == QUEUE:
                name = self.record.lane_name(op.lane).removesuffix(".queue")
                if name.rpartition(".")[2] in _WAITED_FOR:
                    yield op.step, name

    def in_commit(self, task: int, step: int) -> bool:
        """Say whether a task was in a commit at `step`."""
        return any(commit.task == task and commit.begin <= step <= commit.end for commit in self.commits)

    def others(self, task: int, first: int, last: int) -> Iterator[Op]:
        """Yield the ops of everybody else from step `first` to `last`."""
        for step, (who, op, a, b) in self._between(first, last):
            if who != task and op != NOTE:
                yield Op(step, who, op & KIND_MASK, op >> SHIFT, a, b)

    def mine(self, task: int, first: int, last: int) -> Iterator[Op]:
        """Yield the ops of one task from step `first` to `last`."""
        for step, (who, op, a, b) in self._between(first, last):
            if who == task and op != NOTE:
                yield Op(step, who, op & KIND_MASK, op >> SHIFT, a, b)

    def on(self, lane: int, first: int, last: int) -> Iterator[Op]:
        """Yield the ops on one lane from step `first` to `last`."""
        for step, (who, op, a, b) in self._between(first, last):
            if op >> SHIFT == lane and op != NOTE:
                yield Op(step, who, op & KIND_MASK, lane, a, b)

    def of_kind(self, kind: int, lanes: Container[int]) -> Iterator[Op]:
        """Yield every op of one kind on these lanes."""
        events = self.record.events
        for step in self.record.steps(kind):
            task, op, a, b = events[step]
            if op >> SHIFT in lanes:
                yield Op(step, task, kind, op >> SHIFT, a, b)

    def _between(self, first: int, last: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
        first = max(0, first)
        return enumerate(self.record.events[first : last + 1], first)

    def facts(self, migration: Migration) -> dict[str, Fact]:
        """Return what tells a migration: migrator, pages, mode, the steps of its stages."""
        stages = sorted(migration.at.items(), key=itemgetter(1))
        return {
            "migrator": self.who(migration.task), "page": migration.page, "newpage": migration.newpage,
            "mode": migration.mode, "stages": {str(stage): step for stage, step in stages},
        }  # fmt: skip


@lru_cache(maxsize=1)
def scene(record: Record) -> Scene:
    """Return the scene of a record; the last one is kept, for the checks come one after the other."""
    return Scene(record)
