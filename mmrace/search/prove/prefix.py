"""Runs that begin with given ops and go on as a strategy has it; and a search through all of them.

A search with a prefix is complete as it is without one.  What the prefix did is done in each run, before anything the
search decides, as set-up is: the state after it is where the search begins, nothing of the prefix can come the other
way round, and nobody sleeps.  A lock that was taken there is held, and who waits for it races with nobody until it is
released.  Invariant: every run does the ops of the prefix, in order, before the inner strategy is asked for the first
time; one that cannot is abandoned, and `lost` says where.
"""

from __future__ import annotations

from typing import TypeAlias

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy, SteeredRun, Strategy
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Standing, Systematic
from mmrace.strategies.dpor import Dpor

Deed: TypeAlias = tuple[str, int]
"""A task, by name, and the value that it chooses; 0 if it chooses nothing.  With the deeds before, it tells the op."""
Prefix: TypeAlias = tuple[Deed, ...]


def deeds(record: Record) -> Prefix:
    """Return what a run did, op by op."""
    return tuple(
        (record.task_name(event[0]), event[3] if event[1] & KIND_MASK == Kind.CHOOSE else 0)
        for event in record.events
        if event[1] != NOTE
    )


class Prefixed(BaseStrategy):
    """Does the prefix, then asks another strategy.

    Attributes: lost: the step of the prefix whose task could not go on; None if all was done.
    """

    asked_when_alone = True
    asked_in_fixed_order = True

    def __init__(self, prefix: Prefix, inner: Strategy) -> None:
        self._prefix, self._inner, self._length = prefix, inner, len(prefix)
        self._run: SteeredRun = None  # type: ignore[assignment]
        self._named: dict[str, Task] = {}
        self.lost: int | None = None

    def attach(self, run: SteeredRun) -> None:
        """Take the run, for the inner strategy too."""
        self._run = run
        self._inner.attach(run)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task of the prefix; behind it, whom the inner strategy picks where it is asked."""
        if step < self._length:
            task = self._task(self._prefix[step][0])
            if task is None or not task.on:
                self.lost = step
                self._run.abandon("a task of the prefix has to wait")
            return task
        inner = self._inner
        if self._run.order_fixed and not inner.asked_in_fixed_order:
            return running if running.on else min(enabled, key=_by_id)
        if len(enabled) == 1 and not inner.asked_when_alone:
            return enabled[0]
        return inner.pick(enabled, running, step)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the value of the prefix; behind it, what the inner strategy chooses."""
        if step < self._length:
            value = self._prefix[step][1]
            return value if value < n else 0
        if self._run.order_fixed and not self._inner.asked_in_fixed_order:
            return 0
        return self._inner.choose(task, n, step)

    def _task(self, name: str) -> Task | None:
        if name not in self._named:
            self._named = {task.name: task for task in self._run.tasks}
        return self._named.get(name)


class PrefixedWalk:
    """A search through all runs that begin with a prefix.  Args: search: that knows of no prefix.

    Attributes: lost: the step of the prefix that could not be done; then there is nothing to search.
    """

    def __init__(self, prefix: Prefix, search: Systematic) -> None:
        self._prefix, self._search = prefix, search
        self._strategy: Prefixed | None = None
        self.lost: int | None = None

    def next(self) -> Strategy | None:
        """Return the strategy of the next run; None when the tree behind the prefix is exhausted."""
        inner = None if self.lost is not None else self._search.next()
        self._strategy = None if inner is None else Prefixed(self._prefix, inner)
        return self._strategy

    def learn(self, engine: Controlled, enough: int | None = None) -> None:
        """Take in the run.  Args: enough: steps of it behind which nothing is left to be known; for `Dpor` only."""
        assert self._strategy is not None
        self.lost = self._strategy.lost
        if self.lost is not None:
            return
        if enough is not None and isinstance(self._search, Dpor):
            self._search.enough(enough)
        self._search.learn(engine)

    def standing(self) -> Standing:
        """Say how far the search got."""
        return self._search.standing()


def _by_id(task: Task) -> int:
    return task.id
