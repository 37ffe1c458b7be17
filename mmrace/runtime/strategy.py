"""How an engine asks who goes next: the contract of a strategy, its defaults, and the fair answer that needs no search.

Strategies live in `strategies/`, one file each; the contract is here because engines call it.  Invariant: a strategy
sees pending ops and tasks, never the model, and answers with a task that it was offered.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn, Protocol

from mmrace.runtime.tables import Tables
from mmrace.runtime.task import Task

FAIR_SHARE = 4  # after the bound, a run goes on round-robin for bound / FAIR_SHARE more ops
FAIR_ROUNDS = 2  # and for so many ops of each task at least, however small the bound is


class Followed(NamedTuple):
    """How much of what it was told a strategy did.  `left`: a line for each part that was left, where it knows why."""

    done: int
    of: int
    what: str
    left: tuple[str, ...] = ()


class SteeredRun(Protocol):
    """The run of an engine, as the strategy that steers it may see it; see `Controlled` for each of these."""

    tasks: list[Task]
    enabled: list[Task]
    mask: int
    events: list[Any]
    objects: list[tuple[int, Any]]
    order_fixed: bool
    windows: list[int]
    tables: Tables
    end: dict[str, Any]
    observer: Any

    @property
    def step(self) -> int:
        """Number of the op done last or about to be done."""

    def abandon(self, why: str) -> NoReturn:
        """End the run here: the rest of it is of no use.  Raises Abort."""


class Strategy(Protocol):
    """Chooses the next task at a point, and values at `choose`; all that an engine or a runner asks of it.

    `BaseStrategy` has a default for everything but `pick`.
    """

    asked_when_alone: bool
    """Whether to ask where only one task is enabled too."""
    asked_in_fixed_order: bool
    """Whether to ask where the program fixes the order too (a strict replay must see every step)."""
    asked_of_life: bool
    """Whether to ask while an op of `OF_LIFE` is pending too; else that is done at once."""
    needs_sites: bool
    """Whether it knows ops by their site.  Its engine keeps sites then, and every plain access is a point."""

    def attach(self, run: SteeredRun) -> None:
        """Take the run that is about to begin; the engine calls this once, when it is made."""

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return one of `enabled` (never empty); `step` counts ops from 0."""

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return a value in range(n); 0 is the ordinary one."""

    def finish(self) -> None:
        """Check, after the run, that it went as the strategy was told.

        Raises NondeterminismError; UsageError, which a run that failed leaves unsaid (`runs/run.py`).
        """

    def followed(self) -> Followed | None:
        """Return, after the run, how much of a given schedule it was; None if the strategy was given none."""


class BaseStrategy:
    """Defaults of a strategy: asked only where there is a choice of tasks, content with what `pick` is given."""

    __slots__ = ()
    asked_when_alone = False
    asked_in_fixed_order = False
    asked_of_life = True
    needs_sites = False

    def attach(self, run: SteeredRun) -> None:
        """Have no use for the run."""

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the ordinary value."""
        return 0

    def finish(self) -> None:
        """Have nothing to check."""

    def followed(self) -> Followed | None:
        """Have no schedule that was given."""
        return None


class RoundRobin(BaseStrategy):
    """The fair fallback after a bound, and a strategy of its own: each enabled task in turn, `turn` ops each."""

    def __init__(self, turn: int = 1) -> None:
        self.turn = turn
        self.left = turn

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the running task for `turn` ops, then the next by id, cyclically."""
        if running.on and self.left > 1:
            self.left -= 1
            return running
        self.left = self.turn
        later = [task for task in enabled if task.id > running.id]
        return min(later or enabled, key=lambda task: task.id)
