"""Who goes on: where the strategy is asked, and what holds where it is not.

A strategy says of itself whether it is asked where one task alone is enabled, and where an op of a task's life is
pending.  A program may ask for *fixed order* (`fix_order`) where there is nothing to explore, such as set-up: there the
running task goes on while it can, then the enabled task that was spawned first, and the strategy is not asked.

Invariant: `pick`, `asked_above` and `contested` say at any point whether and how to ask.  They are settled when
something changes, not looked up at each op.  Not here: how the floor is handed over (`gate.py`, `fiber.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from mmrace.runtime.errors import InternalError
from mmrace.runtime.kinds import KIND_MASK, OF_LIFE
from mmrace.runtime.retries import Retries
from mmrace.runtime.strategy import Strategy
from mmrace.runtime.task import Gate, Task

_NEVER = sys.maxsize  # tasks, above which somebody is asked


class Asking(Retries):
    """The part of a controlled engine that asks the strategy.

    Attributes: masks: of each op, the tasks that were enabled when it was picked.  running: who has the floor.
    """

    __slots__ = ("_interrupted", "masks", "order_fixed", "pick", "running", "strategy", "windows")

    def __init__(self, strategy: Strategy, steps_max: int) -> None:
        super().__init__(steps_max)
        self.strategy = strategy
        self.running: Task = None  # type: ignore[assignment]
        self.masks: list[int] = []
        self.order_fixed = False
        self.windows: list[int] = []
        """Steps at which fixed order went off and on again, in turn; empty: the whole run is explored."""
        self._interrupted: tuple[Task, int] | None = None
        """Who ran when an op of somebody's life came first, and its step."""
        self._ask_strategy()

    def _stuck(self, task: Task) -> None:
        """Nothing is enabled.  Raises Abort."""
        raise NotImplementedError

    @property
    def step(self) -> int:
        """Number of the op done last or about to be done."""
        return len(self.masks) - 1

    def choose(self, task: Task, n: int) -> int:
        if self.order_fixed and not self.strategy.asked_in_fixed_order:
            return 0
        value = self.strategy.choose(task, n, self.step)
        if not 0 <= value < n:
            raise InternalError(f"strategy chose {value} out of {n}")
        return value

    def fix_order(self, fixed: bool) -> None:
        if fixed != self.order_fixed:
            self.order_fixed = fixed
            self.windows.append(self.step + 1)
            self._ask_strategy()

    def explored(self) -> tuple[int, int]:
        """Return the steps (first, end) between which the strategy was asked; of the run so far."""
        windows = self.windows
        if not windows:
            return 0, self.step + 1
        if len(windows) == 1:
            return 0, windows[0]
        return windows[1], windows[2] if len(windows) > 2 else self.step + 1

    def _ask_strategy(self) -> None:
        """Settle from how many enabled tasks on the strategy chooses among them."""
        strategy = self.strategy
        self.pick: Callable[[list[Task], Task, int], Task] = strategy.pick if strategy.asked_of_life else self._pick
        if self.order_fixed and not strategy.asked_in_fixed_order:
            self.asked_above = _NEVER
        else:
            self.asked_above = 0 if strategy.asked_when_alone else 1
        self.contested = len(self.enabled) > self.asked_above

    def _pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Pick for a strategy that is not asked of a task's life: what is pending of that is done first.

        Who runs when the strategy is asked again is whoever ran before that: to begin is not to get the floor.
        """
        if self._interrupted is not None:
            before, since = self._interrupted
            self._interrupted = None
            if all(mask & (mask - 1) for mask in self.masks[since + 1 : step]):  # nobody went on alone meanwhile
                running = before
        for task in enabled:
            if OF_LIFE >> (task.pending & KIND_MASK) & 1:
                if any(other.daemon for other in enabled):
                    break
                self._interrupted = running, step
                return task
        return self.strategy.pick(enabled, running, step)

    def _unasked(self, task: Task) -> Task:
        """Return who goes on where nobody is asked: the running task if it can, else the one spawned first.

        Without any the run is over.
        """
        if task.on:
            return task
        if not self.enabled:
            self._stuck(task)
        first = self.enabled[0]
        for other in self.enabled:
            if other.id < first.id:
                first = other
        return first

    def _not_enabled(self, chosen: Task) -> InternalError:
        return InternalError(f"strategy picked {chosen.name}, which is not enabled")

    def _disabled(self, task: Task, gate: Gate) -> InternalError:
        return InternalError(f"{task.name} was picked for a disabled op on {gate}")
