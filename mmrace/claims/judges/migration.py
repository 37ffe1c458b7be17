"""One attempt at one page, as the record of its migrator's own ops shows it.

Invariant: nothing here is judged; a stage that was not reached has no step and no span.  Not here: what others did
meanwhile; that is for who asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """What an attempt goes through, in the order of an asynchronous one; in sync modes the buffers are locked later."""

    ISOLATED = "isolated"
    LOCK_OLD = "lock old"
    WRITEBACK_SEEN = "writeback looked at"
    MAPCOUNT_SEEN = "mapcount looked at"
    LOCK_NEW = "lock new"
    TREE_LOCK = "tree_lock"
    COUNT_TESTED = "count tested"
    SLOT_SEEN = "slot looked at"
    FREEZE = "freeze"
    LOCK_BUFFERS = "lock buffers"
    REPLACE = "replace"
    THAW = "thaw"
    TREE_UNLOCK = "tree_unlock"
    RING_MOVED = "ring moved"
    COPY = "copy"
    CUT_OFF = "old page cut off its mapping"
    UNLOCK_BUFFERS = "unlock buffers"
    UNLOCK_NEW = "unlock new"
    UNLOCK_OLD = "unlock old"


Span = tuple[int, int]
"""The first step of a stage and its last."""


@dataclass(slots=True)
class Migration:
    """One attempt: who, which page to which, how it ended, and when its stages were reached.

    `at`: stage -> step, of the stages that are one op.  `newpage`: None until one is locked.  `rc`: "" if the record
    ends before the attempt.  `slot`: lane of the slot that was replaced.  `ring`: the page's buffers when it was
    frozen.  `had`: its buffers when the attempt began.  `of_file`: it was a file's then, not a device's.
    `was_mapped`: the migrator took ptes of it away.  `locked`, `unlocked`: buffer -> step.  `busy`: tries of a buffer
    lock that failed: (step, buffer).  `reads`, `writes`: of data words after the slot was replaced: (step, index).
    `moved`: steps at which a buffer was pointed at newpage.
    """

    task: int
    page: str
    mode: str
    begin: int
    end: int
    newpage: str | None = None
    rc: str = ""
    reason: str = ""
    slot: int = -1
    tree_lock: int = -1
    thawed: int = 0
    ring: tuple[str, ...] = ()
    had: tuple[str, ...] = ()
    of_file: bool = False
    was_mapped: bool = False
    at: dict[Stage, int] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)
    unlocked: dict[str, int] = field(default_factory=dict)
    busy: list[tuple[int, str]] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether the old page was frozen or replaced: from then on its first stages cannot be reached any more."""
        return Stage.FREEZE in self.at or Stage.REPLACE in self.at

    @property
    def replaced(self) -> bool:
        """Whether the slot was given newpage."""
        return Stage.REPLACE in self.at

    @property
    def succeeded(self) -> bool:
        """Whether the page was moved, by what the migrator says."""
        return self.rc == "0" and self.replaced

    @property
    def refused(self) -> bool:
        """Whether the page was not moved, by what the migrator says, and not for want of a target."""
        return self.rc not in ("", "0", "-ENOMEM")

    @property
    def is_async(self) -> bool:
        """Whether its mode is MIGRATE_ASYNC."""
        return self.mode == "MIGRATE_ASYNC"

    @property
    def is_light(self) -> bool:
        """Whether its mode is MIGRATE_SYNC_LIGHT."""
        return self.mode == "MIGRATE_SYNC_LIGHT"

    @property
    def is_sync(self) -> bool:
        """Whether its mode is MIGRATE_SYNC."""
        return self.mode == "MIGRATE_SYNC"

    @property
    def copied(self) -> bool:
        """Whether data were copied."""
        return bool(self.reads and self.writes)

    @property
    def copy(self) -> Span:
        """The first step of the copy and the last, of an attempt that copied."""
        return self.reads[0][0], self.writes[-1][0]

    @property
    def over(self) -> int:
        """The step at which the old page was let go, or the attempt ended."""
        return self.at.get(Stage.UNLOCK_OLD, self.end)

    @property
    def published(self) -> Span:
        """From the replacement of the slot to the unlock of newpage, of an attempt that replaced."""
        return self.at[Stage.REPLACE], self.at.get(Stage.UNLOCK_NEW, self.end)

    @property
    def order(self) -> list[str]:
        """The stages that were reached, by their first steps."""
        spans = {stage: span for stage in Stage if (span := self.span(stage)) is not None}
        return [str(stage) for stage in sorted(spans, key=lambda stage: spans[stage][0])]

    def span(self, stage: Stage) -> Span | None:
        """Return the steps of a stage, None if it was not reached, or not for every buffer of the ring."""
        if stage is Stage.COPY:
            return self.copy if self.copied else None
        if stage is Stage.LOCK_BUFFERS:
            return self._whole_ring(self.locked[bh] for bh in self.ring if bh in self.locked)
        if stage is Stage.UNLOCK_BUFFERS:
            return self._whole_ring(self.unlocked[bh] for bh in self.ring if bh in self.unlocked)
        if stage is Stage.RING_MOVED:
            return self._whole_ring(self.moved)
        step = self.at.get(stage)
        return None if step is None else (step, step)

    def _whole_ring(self, steps: Iterable[int]) -> Span | None:
        """Return the first and the last of as many steps as the ring has buffers."""
        every = list(steps)
        return (min(every), max(every)) if every and len(every) == len(self.ring) else None
