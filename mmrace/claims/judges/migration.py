"""One attempt at one page, as the record of its migrator's own ops shows it.

`at` maps a stage to the step at which it was reached, by the names in `STAGES`.  Invariant: nothing here is judged; a
stage that was not reached is absent.  Not here: what others did meanwhile; that is for who asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STAGES = (
    "isolated", "lock old", "writeback looked at", "mapcount looked at", "lock new", "tree_lock", "count tested",
    "slot looked at", "freeze", "replace", "thaw", "tree_unlock", "unlock new", "unlock old",
)  # fmt: skip


@dataclass(slots=True)
class Migration:
    """One attempt: who, which page to which, how it ended, and when its stages were reached.

    `newpage`: None until one is locked.  `rc`: "" if the record ends before the attempt.  `slot`: lane of the slot that
    was replaced.  `ring`: the page's buffers when it was frozen.  `locked`, `unlocked`: buffer -> step.  `busy`: tries
    of a buffer lock that failed: (step, buffer).  `reads`, `writes`: of data words after the slot was replaced:
    (step, index).  `moved`: steps at which a buffer was pointed at newpage.
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
    at: dict[str, int] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)
    unlocked: dict[str, int] = field(default_factory=dict)
    busy: list[tuple[int, str]] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    @property
    def replaced(self) -> bool:
        """Whether the slot was given newpage."""
        return "replace" in self.at

    @property
    def succeeded(self) -> bool:
        """Whether the page was moved, by what the migrator says."""
        return self.rc == "0" and self.replaced

    @property
    def is_async(self) -> bool:
        """Whether its mode is MIGRATE_ASYNC."""
        return self.mode == "MIGRATE_ASYNC"

    @property
    def copied(self) -> bool:
        """Whether data were copied."""
        return bool(self.reads and self.writes)

    @property
    def copy(self) -> tuple[int, int]:
        """The first step of the copy and the last."""
        return self.reads[0][0], self.writes[-1][0]

    def over(self) -> int:
        """Return the step at which the old page was let go, or the attempt ended."""
        return self.at.get("unlock old", self.end)
