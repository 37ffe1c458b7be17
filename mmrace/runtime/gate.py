"""Engine `gate`: real threads, one at a time, handed over directly from task to task.

Each task is an OS thread of the pool, parked on a raw lock of its own; giving the floor to another is one release and
one acquire, with no scheduler thread in between.  Invariant: exactly one thread of the run is between two points.
"""

from __future__ import annotations

import threading

from mmrace.runtime import pool
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import Abort, InternalError
from mmrace.runtime.task import Task

UNWIND_SECONDS = 60.0


class Gate(Controlled):
    """The controlled engine on real threads; see `Controlled` for the arguments."""

    name = "gate"

    def _switch(self, task: Task, chosen: Task) -> None:
        self.switches += 1
        self.running = chosen
        chosen.baton.release()
        task.baton.acquire()
        if self.aborting:
            raise Abort

    def _start(self, task: Task) -> None:
        task.baton = threading.Lock()
        task.baton.acquire()
        pool.submit(lambda: self._thread(task))

    def _thread(self, task: Task) -> None:
        task.baton.acquire()
        try:
            self._body(task)
            chosen = self._next(task)
        except BaseException as error:  # a bug of the engine: never lose the floor
            self.error = self.error or error
            self.stop()
            task.done = True
            chosen = next((other for other in self.tasks if not other.done), None)
        if chosen is None:
            self._over.release()
        else:
            self.running = chosen
            chosen.baton.release()

    def _begin(self, root: Task) -> None:
        self._over = threading.Lock()
        self._over.acquire()
        root.baton.release()
        try:
            self._over.acquire()
        except KeyboardInterrupt:
            self.stop()
            if not all(task.done for task in self.tasks) and not self._over.acquire(timeout=UNWIND_SECONDS):
                raise InternalError("a task did not reach a point after Ctrl-C") from None
            raise
