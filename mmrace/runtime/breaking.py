"""Stop a controlled run before one of its steps, in the thread of the task that is about to do it.

The points of an engine are wrapped: when the task that was picked is about to do the wanted op, `ask` is called in the
middle of it, with the frame of the program's code that does the op.  Everybody else stands still, as at any point.
Invariant: nothing is logged here and no choice is made, so that a run that was stopped and let go makes the record that
it makes anyway.  Not here: what a person is asked, and how (`runs/debugging.py`).
"""

from __future__ import annotations

import bdb
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeAlias

from mmrace.runtime import places
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import Abort
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.places import Place
from mmrace.runtime.sites import RUNTIME_FILES, site_name
from mmrace.runtime.task import Task
from mmrace.runtime.visible import one_line


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another task: what it is about to do, and whether it could."""

    task: str
    op: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a run was stopped.

    Attributes: event: the number that its op will have in the record.  place: its name.  task, op: who is about to do
    what.  others: the tasks that stand still.
    """

    event: int
    place: Place
    task: str
    op: str
    others: tuple[Waiting, ...]


Leave: TypeAlias = Callable[[], None]
"""Ends the run where it was stopped; it does not return."""
Ask: TypeAlias = Callable[[Stop, FrameType, Leave], None]
"""Called at the stop, with the frame of the program's code that does the op."""


class BreakAt:
    """Stops one run, once.

    Args: step: the number of an event, as `mmrace show` counts them, or a step by name; if the event is a remark, or
    the begin of a task, the op that comes next.

    Attributes: stop: where the run was stopped, None if it never came there.  quit: it was ended there, or since.
    """

    def __init__(self, step: int | Place, ask: Ask) -> None:
        self.step, self.ask = step, ask
        self.stop: Stop | None = None
        self.quit = False
        self._visits: dict[str, int] = {}

    def attach(self, engine: Controlled) -> BreakAt:
        """Watch a run that is about to begin, on real threads, with sites."""
        engine.point = self._watched(engine, engine.point)  # type: ignore[method-assign, assignment]
        engine.gated = self._watched(engine, engine.gated)  # type: ignore[method-assign, assignment]
        engine.access = self._watched(engine, engine.access)  # type: ignore[method-assign, assignment]
        failed = engine._failed

        def quits(task: Task, error: BaseException) -> None:
            if isinstance(error, bdb.BdbQuit):  # of a debugger that traces: raised in the middle of the program
                self._end(engine)
            else:
                failed(task, error)

        engine._failed = quits  # type: ignore[method-assign]
        return self

    def _end(self, engine: Controlled) -> None:
        """End the run: a person has seen enough."""
        self.quit = True
        engine._finish("abandoned", {"why": "it was left in the debugger"})

    def _watched(self, engine: Controlled, point: Callable[[Any, int], Task]) -> Callable[[Any, int], Task]:
        def watched(obj: Any, code: int) -> Task:
            task = point(obj, code)
            if self.stop is None and self._is_here(engine, task, code):
                self._stop(engine, task, code, sys._getframe(1))
            return task

        return watched

    def _is_here(self, engine: Controlled, task: Task, code: int) -> bool:
        step = self.step
        if not isinstance(step, Place):
            return len(engine.events) >= step
        if not str(step).startswith(f"{task.name}/"):
            return False
        key = f"{task.name}/{places.label(code, site_name(task.site))}"
        visit = self._visits[key] = self._visits.get(key, 0) + 1
        return f"{key}/{visit}" == str(step) or str(step) == f"{task.name}/BEGIN/1"

    def _stop(self, engine: Controlled, task: Task, code: int, frame: FrameType | None) -> None:
        here = frame
        while here is not None and here.f_code.co_filename in RUNTIME_FILES:
            here = here.f_back
        assert frame is not None
        event = len(engine.events)
        name = places.label(code, site_name(task.site))
        visit = self._visits.get(f"{task.name}/{name}") or _visits(engine, task, name)
        others = tuple(
            Waiting(other.name, _op(engine, other.pending), other.on)
            for other in engine.tasks
            if other is not task and not other.done
        )

        def leave() -> None:
            self._end(engine)
            raise Abort

        self.stop = Stop(event, Place(task.name, name, visit), task.name, _op(engine, code), others)
        moves = itertools.count()
        engine.progress = lambda: next(moves)  # type: ignore[method-assign]  # a person thinks: nobody is stuck
        self.ask(self.stop, here or frame, leave)


def _op(engine: Controlled, code: int) -> str:
    return one_line(f"{Kind(code & KIND_MASK).name.lower()} {engine._lane_name(code >> SHIFT)}")


def _visits(engine: Controlled, task: Task, name: str) -> int:
    """Return how often a task has been at a site, this time included."""
    ops = (event for event in engine.events if event[1] >= 0)
    done = zip(ops, engine.sites, strict=False)
    here = (site for event, site in done if event[0] == task.id and places.label(event[1], site_name(site)) == name)
    return 1 + sum(1 for _ in here)
