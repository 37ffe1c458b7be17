"""Engine `fiber`: greenlets instead of OS threads; the same gate, the same strategy, the same record, faster.

Each task is a greenlet; giving the floor to another is one switch, with no scheduler in between.  The greenlet that
calls `run` waits for the last one.  Greenlets are kept between runs (to make and start one costs more than most tasks'
ops), and each thread keeps its own: a greenlet belongs to the thread that started it.  Invariant: the record is the
same as under engine `gate`; an idle greenlet keeps nothing of a run.  Not for model code that blocks in the operating
system: that would stop every task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from greenlet import getcurrent, greenlet

from mmrace.runtime import live
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import Abort
from mmrace.runtime.said import is_interrupt
from mmrace.runtime.task import Gate, Task


class _Kept(threading.local):
    """The idle greenlets of one thread."""

    def __init__(self) -> None:
        self.idle: list[greenlet] = []


_kept = _Kept()


def _live_on(*_: object) -> None:
    """Be a kept greenlet: a switch to it gives the floor to a task of the running engine for the first time."""
    me = getcurrent()
    while True:
        engine = live.engine
        assert isinstance(engine, FiberEngine)
        chosen = engine.run_task(engine.running)
        after = engine.hub if chosen is None else chosen.baton
        engine.idle.append(me)
        del engine, chosen  # kept idle, it keeps nothing of a run
        after.switch()


class FiberEngine(Controlled):
    """The controlled engine on greenlets; see `Controlled` for the arguments."""

    __slots__ = ("hub", "idle")
    name = "fiber"
    real_threads = False

    # `point` and `gated` are those of `gate.py` but for the way the floor is handed over (a test compares them).

    def point(self, obj: object, code: int) -> Task:
        task = self.running
        task.pending = code
        masks = self.masks
        step = len(masks)
        if step >= self.alert_at:
            self._alert()
        masks.append(self.mask)
        if self.contested:
            chosen = self.pick(self.enabled, task, step)
        elif task.on:
            return task
        else:
            chosen = self._unasked(task)
        if chosen is not task:
            if not chosen.on:
                raise self._not_enabled(chosen)
            self.running = chosen
            chosen.baton.switch()
            if self.aborting:
                raise Abort
        return task

    def gated(self, gate: Gate, code: int) -> Task:
        task = self.running
        task.pending = code
        masks = self.masks
        step = len(masks)
        if step >= self.alert_at:
            self._alert()
        task.gate = gate
        if gate.busy:
            task.ready = False
            self._off(task)
        masks.append(self.mask)
        chosen = self.pick(self.enabled, task, step) if self.contested else self._unasked(task)
        if chosen is not task:
            if not chosen.on:
                raise self._not_enabled(chosen)
            gate.waiters.append(task)
            self.running = chosen
            chosen.baton.switch()
            if self.aborting:
                raise Abort
            gate.waiters.remove(task)
        if gate.busy:
            raise self._disabled(task, gate)
        task.gate = None
        return task

    access = point

    def _start(self, task: Task) -> None:
        idle = self.idle
        task.baton = fiber = idle.pop() if idle else greenlet(_live_on)
        fiber.parent = self.hub  # gets what a bug of this module throws

    def run_task(self, task: Task) -> Task | None:
        """Run `task`, which has the floor for the first time; return the task to go on, None if the run is over."""
        try:
            self._body(task)
            chosen = self._next(task)
        except BaseException as error:  # a bug of the engine, or Ctrl-C inside it
            chosen = self._lost(task, error)
        if chosen is not None:
            self.running = chosen
        return chosen

    def _begin(self, root: Task) -> None:
        root.baton.switch()
        if self.error is not None and is_interrupt(self.error):
            raise self.error

    def run(self, main: Callable[[], object], cpu: int = 0) -> None:
        """See `Controlled.run`.  Ctrl-C reaches the task that runs, ends the run and is raised here again."""
        self.hub = getcurrent()
        self.idle = _kept.idle
        super().run(main, cpu)
