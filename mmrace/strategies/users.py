"""Strategies of a user's own, watched: what one does wrong is its author's error, told with file and line.

mmrace's own strategies are not watched, and cost nothing more; what one of them does wrong is a bug of mmrace.
Invariant: whatever a user's sampler, walk, mix or strategy raises, and whatever it answers that an engine cannot take,
ends the run as a UsageError, also if the program under test swallowed it on the way.  Not checked: that it draws only
by `draw`, so that its schedules repeat (a strict replay says that), and that it ends.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, NoReturn

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import MmraceError, UsageError, is_failure
from mmrace.runtime.leaving import kept
from mmrace.runtime.said import named
from mmrace.runtime.strategy import BaseStrategy, SteeredRun, Strategy
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Profile, Sampler, Standing, Systematic

OWN = "mmrace."
TRY = "mmrace/strategies/README.md, which says what a strategy is asked, and what it may answer"
PICKS = "one of the tasks that are enabled"
_CODE = str(Path(__file__).parents[1])


@contextmanager
def told(made: object, method: str, expected: str) -> Iterator[None]:
    """Raise as UsageError whatever `made`, of a user's own, raises in this block."""
    try:
        with kept:
            yield
    except MmraceError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        _refuse(made, method, expected, named(error), error)


def _refuse(made: object, method: str, expected: str, got: object, error: BaseException | None = None) -> NoReturn:
    where = f"{_name(made)}.{method}" if method else _name(made)
    raise UsageError(expected=expected, got=got, where=where + _place(made, method, error), try_=TRY) from error


def _name(made: object) -> str:
    name = vars(type(made)).get("__qualname__", type(made).__qualname__)
    return made.__qualname__ if isinstance(made, FunctionType) else str(name)


def _place(made: object, method: str, error: BaseException | None) -> str:
    """Return the file and line where it went wrong: of what was raised, else where the method begins."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    own = [(frame.filename, frame.lineno) for frame in frames if not frame.filename.startswith(_CODE)]
    if not own:
        found: Any = made if isinstance(made, FunctionType) else getattr(type(made), method or "__init__", None)
        if isinstance(found, FunctionType):
            own = [(found.__code__.co_filename, found.__code__.co_firstlineno)]
    return f" ({own[-1][0]}, line {own[-1][1]})" if own else ""


# -- one run --------------------------------------------------------------------------------------------------------


def watched(strategy: Strategy) -> Strategy:
    """Return a strategy of a user's own, watched, and one of mmrace's as it is.  Raises UsageError."""
    return strategy if type(strategy).__module__.startswith(OWN) else Watched(strategy)


class Watched(BaseStrategy):
    """Asks `strategy`, and checks its answers.  Raises UsageError."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.error: MmraceError | None = None
        with told(strategy, "", "a strategy, as a subclass of mmrace.runtime.strategy.BaseStrategy is one"):
            self.asked_when_alone = bool(strategy.asked_when_alone)
            self.asked_in_fixed_order = bool(strategy.asked_in_fixed_order)
            self.needs_sites = bool(strategy.needs_sites)
            self._pick, self._choose = strategy.pick, strategy.choose

    def attach(self, run: SteeredRun) -> None:
        """Hand over the run."""
        with told(self.strategy, "attach", "attach to take the run"):
            self.strategy.attach(run)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return what it picks."""
        try:
            chosen = self._pick(enabled, running, step)
        except BaseException as error:
            self._wrong("pick", PICKS, None, error)
        for task in enabled:
            if task is chosen:
                return chosen
        self._wrong("pick", PICKS, f"{chosen.name}, which is not" if isinstance(chosen, Task) else chosen)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return what it chooses."""
        expected = f"a number from 0 to {n - 1}"
        try:
            value = self._choose(task, n, step)
        except BaseException as error:
            self._wrong("choose", expected, None, error)
        if isinstance(value, int) and 0 <= value < n:
            return value
        self._wrong("choose", expected, value)

    def finish(self) -> None:
        """Let it check the run; raise again what the program swallowed."""
        if self.error is not None:
            raise self.error
        with told(self.strategy, "finish", "finish to check the run"):
            self.strategy.finish()

    def _wrong(self, method: str, expected: str, got: object, error: BaseException | None = None) -> NoReturn:
        try:
            with told(self.strategy, method, expected):
                if error is not None:
                    raise error
                _refuse(self.strategy, method, expected, got)
        except MmraceError as wrong:
            self.error = wrong
            raise


# -- many runs ------------------------------------------------------------------------------------------------------


class WatchedSampler:
    """A user's sampler, whose strategies are watched.  Raises UsageError."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        with told(sampler, "", "a sampler: Unprofiled(make), or Profiled(make)"):
            self.profiled = bool(sampler.profiled)

    def strategy(self, draw: Draw, profile: Profile | None) -> Strategy:
        """Return the strategy of one run."""
        with told(self._sampler, "strategy", "a strategy"):
            return watched(self._sampler.strategy(draw, profile))


class WatchedWalk:
    """A user's walk, whose strategies are watched.  Raises UsageError."""

    def __init__(self, walk: Systematic) -> None:
        self._walk = walk
        self.standing()

    def next(self) -> Strategy | None:
        """Return the strategy of the next run; None when the tree is exhausted."""
        with told(self._walk, "next", "the strategy of the next run, or None"):
            made = self._walk.next()
            return None if made is None else watched(made)

    def learn(self, engine: Controlled) -> None:
        """Take in the run that followed the last strategy."""
        with told(self._walk, "learn", "learn to take in the run"):
            self._walk.learn(engine)

    def standing(self) -> Standing:
        """Say how far the search got."""
        expected = "a Standing: how far the walk got"
        with told(self._walk, "standing", expected):
            found = self._walk.standing()
            if not isinstance(found, Standing):
                _refuse(self._walk, "standing", expected, found)
        return found
