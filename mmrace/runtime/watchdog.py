"""The watchdog of the free engine: it sees to it that a run ends, and that every thread comes back to the pool.

It sees a standstill at once: `awake` counts the tasks that are not parked.  Anything else that stops (a CPU lock, a
bug) shows as a lack of progress.  It settles how the run ended, too.  Invariant: nothing here waits without a timeout.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import traceback
from itertools import count
from typing import Any

from mmrace.runtime import standstill
from mmrace.runtime.ending import VIOLATION, Broken, Ending
from mmrace.runtime.errors import InternalError
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.silence import Silence
from mmrace.runtime.strategy import FAIR_SHARE
from mmrace.runtime.task import Task

UNFAIR_OPS_MAX = 20_000  # ops that a share may last until everybody had turns: some hundred of the interpreter's slices
TURNS_MIN = standstill.TRIES_MIN  # ops of each task in a fair share: who starves has tried as often
WATCH_SECONDS = 0.25  # how often the watchdog looks for progress and the bound; a standstill wakes it at once
STALL_SECONDS = 20.0  # without any op for so long: no progress (noise delays are far below)
UNWIND_SECONDS = 60.0  # in which not one more task has unwound
FRAMES_MAX = 5  # calls told of a task that did not unwind
UNWIND_POLL_SECONDS = 0.005  # how often a thread that parked meanwhile is told again


class Watchdog(Ending):
    """The part of the free engine that its calling thread runs.  Args: steps_max: bound of a run in ops."""

    def __init__(self, steps_max: int, recording: bool) -> None:
        self.steps_max = steps_max
        self.recording = recording
        self.aborting = False
        self.end = {}
        self.tasks = []
        self.by_ident: dict[int, Task] = {}  # ident of a thread -> its task
        self.alive = 0  # tasks that the run waits for
        self.awake = 0
        self.state = threading.Lock()  # of alive, awake, end, tasks, objects
        self.alarm = threading.Lock()  # free: there is something for the watchdog
        self.alarm.acquire()
        self.stamps = count(1)
        self.broken: tuple[int, Task, Broken] | None = None  # by number
        self.bounded_at: dict[Task, int] = {}  # when the share behind the bound began: where each task's events ended
        self.suspected: dict[str, Any] | None = None  # what the share before this one showed

    def progress(self) -> int:
        """Return a number that every op changes."""
        return sum(len(task.events) for task in self.tasks)

    def _alert(self) -> None:
        """Wake the watchdog.

        By a bare lock, which Ctrl-C finds taken or free: one that falls into an `Event` can leave the lock in there
        taken, and then every thread of the run would wait for it.
        """
        with contextlib.suppress(RuntimeError):  # it is awake already
            self.alarm.release()

    def _watch(self) -> None:
        """Wait for the end of the run; see to it that there is one."""
        silence = Silence(time.monotonic())
        while not (self.end or self.given_up):
            self.alarm.acquire(timeout=WATCH_SECONDS)
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
        """As under control: go on for a share more; then say livelock if nobody got anywhere, else cut the run.

        Here nothing sees to it that a share is fair, and tasks go on while they are looked at, so that what two of them
        are said to wait for may never have been at once.  So a share lasts until everybody had turns, and what it shows
        counts if the next one shows it too.
        """
        since = self.bounded_at
        if not since:
            self.bounded_at = self._events_now()
            return
        share = progress - sum(since.values())
        fair = self._was_fair()
        if share <= self.steps_max // FAIR_SHARE or not (fair or share > max(self.steps_max, UNFAIR_OPS_MAX)):
            return
        recent = [event for task in list(self.tasks) for event in task.events[since.get(task, 0) :]]
        found = self._at_bound(recent, progress)
        if fair and self.suspected is None and found["kind"] != standstill.CUT:
            self.suspected = found
            self.bounded_at = self._events_now()
            return
        if not fair or self.suspected is None or not standstill.alike(found, self.suspected):
            found = standstill.cut(progress)
        self._finish("bound", found)

    def _events_now(self) -> dict[Task, int]:
        return {task: len(task.events) for task in list(self.tasks)}

    def _was_fair(self) -> bool:
        """Say whether whoever was there at the bound had turns since, unless it is done or cannot go on."""
        return all(
            task.done or len(task.events) - events >= TURNS_MIN or (task.gate is not None and task.gate.busy)
            for task, events in self.bounded_at.items()
        )

    def _unwind(self) -> None:
        """Make every thread of the run return to the pool.  Raises InternalError naming those that do not."""
        self.aborting = True
        silence = Silence(time.monotonic())
        while True:
            left = [task for task in list(self.tasks) if not task.done]
            if not left:
                return
            if silence.look(time.monotonic(), len(left)) > UNWIND_SECONDS:
                raise InternalError(f"these tasks did not unwind: {', '.join(map(self._where, left))}")
            for task in left:
                if task.parked:
                    with contextlib.suppress(RuntimeError):  # it was released already
                        task.baton.release()
            self.alarm.acquire(timeout=UNWIND_POLL_SECONDS)

    def _where(self, task: Task) -> str:
        """Name a task and, innermost first, the calls that it is in."""
        ident = next((ident for ident, one in list(self.by_ident.items()) if one is task), 0)
        frame = sys._current_frames().get(ident)
        if frame is None:
            return f"{task.name}, whose thread is gone"
        calls = traceback.extract_stack(frame)[: -FRAMES_MAX - 1 : -1]
        parked = " (parked)" if task.parked else ""
        return f"{task.name}{parked} in {' < '.join(f'{call.name}:{call.lineno}' for call in calls)}"

    def _finish(self, how: str, detail: dict[str, Any]) -> None:
        with self.state:
            self.end = self.end or {"how": how, "detail": detail}
            self.aborting = True
        self._alert()

    def _violated(self, task: Task, broken: Broken) -> None:
        """Of several rules that were broken that one counts which was first in the order of ops, as under control.

        Tasks go on until they are told, and what they break may follow from it.  Its place is where an op was refused,
        else behind the last op of its task.
        """
        number = task.refused or (task.stamps[-1][0] if task.stamps else next(self.stamps))
        end = {"how": VIOLATION, "detail": self._end_of(task, broken)}
        with self.state:
            if self.broken is None or number < self.broken[0]:
                self.broken = number, task, broken
                if not self.end or self.end["how"] == VIOLATION:
                    self.end = end
            self.aborting = True
        self._alert()

    def _note_broken(self) -> None:
        """Put the note of the rule that was broken in its place, when the run is over."""
        if self.broken is not None and self.recording:
            number, task, broken = self.broken
            task.events.append((task.id, NOTE, VIOLATION, broken))
            task.stamps.append((number, 0))
            task.sites.append(None)
