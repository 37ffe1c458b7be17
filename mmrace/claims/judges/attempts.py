"""The attempts at pages in a record: from the ops of a migrator to the stages that its attempt reached.

`Attempts` is told of the notes that begin and end an attempt, and of each op of a task that is in one; `STEPS` says
which op means what.  Invariant: only a migrator's own ops change its attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op, Watched
from mmrace.claims.judges.pointers import Pointers
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    COUNT,
    FREEZE,
    READ,
    RELEASE,
    TEST,
    TEST_AND_SET,
    UNFREEZE,
    WRITE,
)
from mmrace.runtime.record import Record


class Attempts:
    """The attempts so far.  Args: pointers: as the record is followed.  words: lane of a data word -> (page, index)."""

    def __init__(self, pointers: Pointers, words: dict[int, tuple[str, int]]) -> None:
        self.pointers, self.words = pointers, words
        self.all: list[Migration] = []
        self.now: dict[int, Migration] = {}
        """Task -> the attempt that it is in."""
        self._isolated: dict[str, int] = {}

    def isolate(self, page: str, step: int) -> None:
        """A page was taken off its list, by whomever: an attempt at it may follow."""
        self._isolated[page] = step

    def begin(self, task: int, page: str, mode: str, step: int, steps: int) -> None:
        """An attempt begins.  Args: steps: of the record."""
        made = Migration(
            task, page, mode, step, steps, had=self.pointers.ring(page), of_file=self.pointers.of_file(page)
        )
        if page in self._isolated:
            made.at[Stage.ISOLATED] = self._isolated[page]
        self.now[task] = made
        self.all.append(made)

    def end(self, task: int, newpage: str | None, rc: str, reason: str, step: int) -> None:
        """A task's attempt ended."""
        ended = self.now.pop(task, None)
        if ended is not None:
            ended.end, ended.newpage, ended.rc, ended.reason = step, newpage, rc, reason

    # -- one op each: of an attempt, on what belongs to `owner` ------------------------------------------------------

    def lock_page(self, attempt: Migration, op: Op, owner: str) -> None:
        """The page lock was tried."""
        if op.was_set or attempt.settled:
            return
        if owner == attempt.page:
            attempt.at[Stage.LOCK_OLD] = op.step
        else:
            attempt.at[Stage.LOCK_NEW], attempt.newpage = op.step, owner

    def unlock_page(self, attempt: Migration, op: Op, owner: str) -> None:
        """The page lock was cleared."""
        if op.was_set and owner in (attempt.page, attempt.newpage):
            attempt.at[Stage.UNLOCK_OLD if owner == attempt.page else Stage.UNLOCK_NEW] = op.step

    def lock_buffer(self, attempt: Migration, op: Op, owner: str) -> None:
        """The lock of a buffer was tried."""
        if op.was_set:
            attempt.busy.append((op.step, owner))
        else:
            attempt.locked[owner] = op.step

    def unlock_buffer(self, attempt: Migration, op: Op, owner: str) -> None:
        """The lock of a buffer was cleared."""
        if op.was_set:
            attempt.unlocked[owner] = op.step

    def move_buffer(self, attempt: Migration, op: Op, owner: str) -> None:
        """A buffer was pointed at a page."""
        if attempt.replaced:
            attempt.moved.append(op.step)

    def test_writeback(self, attempt: Migration, op: Op, owner: str) -> None:
        """PG_writeback was tested."""
        if owner == attempt.page and not attempt.settled and Stage.LOCK_OLD in attempt.at:
            attempt.at.setdefault(Stage.WRITEBACK_SEEN, op.step)

    def read_mapcount(self, attempt: Migration, op: Op, owner: str) -> None:
        """The number of mappings was read."""
        if owner == attempt.page and Stage.LOCK_NEW not in attempt.at:
            attempt.at[Stage.MAPCOUNT_SEEN] = op.step

    def cut_off(self, attempt: Migration, op: Op, owner: str) -> None:
        """The mapping of a page was written."""
        if owner == attempt.page and attempt.replaced and op.new is None:
            attempt.at[Stage.CUT_OFF] = op.step

    def write_mapcount(self, attempt: Migration, op: Op, owner: str) -> None:
        """The number of mappings was written."""
        if owner == attempt.page:
            attempt.was_mapped = True

    def lock_tree(self, attempt: Migration, op: Op, owner: str) -> None:
        """A tree_lock was taken."""
        if not attempt.settled:
            attempt.at[Stage.TREE_LOCK], attempt.tree_lock = op.step, op.lane

    def unlock_tree(self, attempt: Migration, op: Op, owner: str) -> None:
        """A tree_lock was dropped."""
        if attempt.replaced:
            attempt.at.setdefault(Stage.TREE_UNLOCK, op.step)

    def read_slot(self, attempt: Migration, op: Op, owner: str) -> None:
        """A slot was read."""
        if Stage.FREEZE not in attempt.at and Stage.TREE_LOCK in attempt.at:
            attempt.at[Stage.SLOT_SEEN] = op.step

    def write_slot(self, attempt: Migration, op: Op, owner: str) -> None:
        """A slot was written: replaced, if it showed the old page."""
        if Record.name(op.old) == attempt.page and not attempt.replaced:
            attempt.ring = attempt.ring or self.pointers.ring(attempt.page)
            attempt.at[Stage.REPLACE], attempt.slot = op.step, op.lane

    def test_count(self, attempt: Migration, op: Op, owner: str) -> None:
        """The references of a page were counted."""
        if owner == attempt.page and not attempt.settled and Stage.TREE_LOCK in attempt.at:
            attempt.at[Stage.COUNT_TESTED] = op.step

    def freeze(self, attempt: Migration, op: Op, owner: str) -> None:
        """A freeze was tried."""
        if owner == attempt.page and op.frozen:
            attempt.at[Stage.FREEZE] = op.step
            attempt.ring = self.pointers.ring(attempt.page)

    def thaw(self, attempt: Migration, op: Op, owner: str) -> None:
        """A count was stored."""
        if owner == attempt.page and attempt.replaced:
            attempt.at.setdefault(Stage.THAW, op.step)
            attempt.thawed = op.stored

    def read_word(self, attempt: Migration, op: Op, owner: str) -> None:
        """A data word was read."""
        if attempt.replaced:
            attempt.reads.append((op.step, self.words[op.lane][1]))

    def write_word(self, attempt: Migration, op: Op, owner: str) -> None:
        """A data word was written."""
        if attempt.replaced:
            attempt.writes.append((op.step, self.words[op.lane][1]))


Step: TypeAlias = Callable[[Attempts, Migration, Op, str], None]

STEPS: dict[tuple[Watched, int], Step] = {
    (Watched.PG_locked, TEST_AND_SET): Attempts.lock_page,
    (Watched.PG_locked, CLEAR): Attempts.unlock_page,
    (Watched.PG_writeback, TEST): Attempts.test_writeback,
    (Watched.page_mapcount, READ): Attempts.read_mapcount,
    (Watched.page_mapcount, WRITE): Attempts.write_mapcount,
    (Watched.page_count, COUNT): Attempts.test_count,
    (Watched.page_count, FREEZE): Attempts.freeze,
    (Watched.page_count, UNFREEZE): Attempts.thaw,
    (Watched.tree_lock, ACQUIRE): Attempts.lock_tree,
    (Watched.tree_lock, RELEASE): Attempts.unlock_tree,
    (Watched.slot_page, READ): Attempts.read_slot,
    (Watched.slot_page, WRITE): Attempts.write_slot,
    (Watched.BH_Lock, TEST_AND_SET): Attempts.lock_buffer,
    (Watched.BH_Lock, CLEAR): Attempts.unlock_buffer,
    (Watched.page_mapping, WRITE): Attempts.cut_off,
    (Watched.b_page, WRITE): Attempts.move_buffer,
}
"""What an op of a migrator means to its attempt."""

WORD_STEPS: dict[int, Step] = {READ: Attempts.read_word, WRITE: Attempts.write_word}
"""The same for its ops on data words, by kind."""
