"""The watchdog of the free engine: it sees to it that a run ends, and that every thread comes back to the pool.

It sees a standstill at once: `awake` counts the tasks that are not parked.  Anything else that stops (a CPU lock, a
bug) shows as a lack of progress.  Invariant: nothing here waits without a timeout.
"""

from __future__ import annotations

import contextlib
import threading
import time

from mmrace.runtime.ending import Ending
from mmrace.runtime.errors import InternalError
from mmrace.runtime.silence import Silence
from mmrace.runtime.strategy import FAIR_SHARE
from mmrace.runtime.task import Task

WATCH_SECONDS = 0.25  # how often the watchdog looks for progress and the bound; a standstill wakes it at once
STALL_SECONDS = 20.0  # without any op for so long: no progress (noise delays are far below)
UNWIND_SECONDS = 60.0  # in which not one more task has unwound
UNWIND_POLL_SECONDS = 0.005  # how often a thread that parked meanwhile is told again


class Watchdog(Ending):
    """The part of the free engine that its calling thread runs.  Args: steps_max: bound of a run in ops."""

    def __init__(self, steps_max: int, recording: bool) -> None:
        self.steps_max = steps_max
        self.recording = recording
        self.aborting = False
        self.end = {}
        self.tasks = []
        self.alive = 0  # tasks that the run waits for
        self.awake = 0
        self.state = threading.Lock()  # of alive, awake, end, tasks, objects
        self.still = threading.Event()  # something for the watchdog
        self.bounded_at: dict[Task, int] = {}  # when the bound was seen: where each task's events ended

    def progress(self) -> int:
        """Return a number that every op changes."""
        return sum(len(task.events) for task in self.tasks)

    def _watch(self) -> None:
        """Wait for the end of the run; see to it that there is one."""
        silence = Silence(time.monotonic())
        while not (self.end or self.given_up):
            self.still.wait(timeout=WATCH_SECONDS)
            self.still.clear()
            with self.state:
                stuck = self.awake == 0 and self.alive > 0 and not (self.end or self.given_up)
            if stuck:
                self._stands_still()
                return
            progress = self.progress()
            if progress > self.steps_max:
                self._bound(progress)
            if silence.look(time.monotonic(), progress) > STALL_SECONDS and self.recording:
                self._stands_still(stalled_s=STALL_SECONDS)

    def _bound(self, progress: int) -> None:
        """As under control: go on for a share more; then say livelock if nobody got anywhere, else cut the run."""
        if not self.bounded_at:
            self.bounded_at = {task: len(task.events) for task in list(self.tasks)}
        elif progress > sum(self.bounded_at.values()) + self.steps_max // FAIR_SHARE:
            recent = [event for task in list(self.tasks) for event in task.events[self.bounded_at.get(task, 0) :]]
            self._passed_bound(recent, progress)

    def _unwind(self) -> None:
        """Make every thread of the run return to the pool.  Raises InternalError naming those that do not."""
        self.aborting = True
        silence = Silence(time.monotonic())
        while True:
            left = [task for task in list(self.tasks) if not task.done]
            if not left:
                return
            if silence.look(time.monotonic(), len(left)) > UNWIND_SECONDS:
                names = ", ".join(task.name for task in left)
                raise InternalError(f"these tasks did not unwind: {names}")
            for task in left:
                if task.parked:
                    with contextlib.suppress(RuntimeError):  # it was released already
                        task.baton.release()
            self.still.wait(timeout=UNWIND_POLL_SECONDS)
            self.still.clear()
