"""Engine `gate`: real threads, one at a time, handed over directly from task to task.

Each task is an OS thread of the pool, parked on that thread's own lock; giving the floor to another is one release and
one acquire, with no scheduler thread in between, and the first release starts the task.  Invariant: exactly one thread
of the run is between two points.
"""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import Any

from mmrace.runtime import pool
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import Abort, InternalError
from mmrace.runtime.leftover import GivenUp
from mmrace.runtime.task import Gate, Task

UNWIND_LOOKS = 60  # of a second each, so that a process that was stopped meanwhile has not waited


class GateEngine(Controlled):
    """The controlled engine on real threads; see `Controlled` for the arguments."""

    __slots__ = ("_over",)
    name = "gate"

    # `point` and `gated` are those of `fiber.py` but for the way the floor is handed over (a test compares them).  As
    # little as possible is done between release and acquire: the other thread wakes up then and wants the interpreter.

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
            wait = task.baton.acquire
            chosen.baton.release()
            wait()
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
            wait = task.baton.acquire
            chosen.baton.release()
            wait()
            if self.aborting:
                raise Abort
            gate.waiters.remove(task)
        if gate.busy:
            raise self._disabled(task, gate)
        task.gate = None
        return task

    access = point

    def _start(self, task: Task) -> None:
        task.baton = pool.start(partial(self.run_task, task))

    def run_task(self, task: Task) -> Any:
        """Run `task`, which has the floor for the first time; return the lock whose release hands the floor on."""
        try:
            self._body(task)
            if task.left:
                return None
            chosen = self._next(task)
        except BaseException as error:  # a bug of the engine
            chosen = self._lost(task, error)
        if chosen is None:
            return self._over
        self.running = chosen
        return chosen.baton

    def _begin(self, root: Task) -> None:
        self._over = threading.Lock()
        self._over.acquire()
        root.baton.release()
        try:
            self._over.acquire()
        except KeyboardInterrupt:
            self.stop()
            if not (self.given_up or self._unwound()):
                raise InternalError("a task did not reach a point after Ctrl-C") from None
            if self.given_up is not None:
                self._leave(self.given_up)
            raise
        if self.given_up is not None:
            self.stop()
            self._leave(self.given_up)
            raise self.given_up

    def give_up(self, why: GivenUp) -> None:
        """From another thread: end the run without the task that has the floor and does nothing."""
        self.given_up = why
        with contextlib.suppress(RuntimeError):  # the run is over
            self._over.release()

    def _unwound(self) -> bool:
        """Wait until every task has unwound; say whether that came about."""
        return all(task.done for task in self.tasks) or self._comes_over()

    def _comes_over(self) -> bool:
        return any(self._over.acquire(timeout=1.0) for _ in range(UNWIND_LOOKS))

    def _leave(self, given_up: GivenUp) -> None:
        """Leave the task behind that has the floor; unwind the others."""
        stuck = self.running
        if stuck not in given_up.tasks or len(self.masks) != given_up.progress:  # it came back meanwhile
            self._unwound()
            return
        ident = pool.ident_of(stuck.baton)
        if ident is not None:
            pool.leave(ident)
        stuck.done = stuck.left = True
        other = self._left()
        if other is not None:
            self.running = other
            other.baton.release()
            self._comes_over()
