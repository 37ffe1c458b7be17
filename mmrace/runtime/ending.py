"""How a run ends, for every engine: what is put in `end` for an error, a standstill, a bound.

Ends: `finished`; `violation` of a rule; `crash` by an exception of the program, `abort` by one of mmrace; `deadlock`;
`bound`; `abandoned` by a search.  Invariant: the first end counts; what a task raises while it unwinds does not end
the run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable
from typing import Any

from mmrace.runtime import crash, sites, standstill
from mmrace.runtime.errors import UsageError, Violation, of_unwinding
from mmrace.runtime.lanes import LiveLanes, lane_name
from mmrace.runtime.leftover import GivenUp
from mmrace.runtime.release import forget_frames, release
from mmrace.runtime.said import is_interrupt
from mmrace.runtime.tables import Tables
from mmrace.runtime.task import Cpu, Task

VIOLATION = "violation"
Broken = tuple[str, str, dict[str, Any]]
"""A rule that was broken: the oracle that speaks for it, its name, the facts."""


class Ending:
    """The part that all engines share: what they know of a run as a whole, and how it ends.

    Attributes: end: how and why, as the record has it; empty while the run goes on.  error: what the model raised that
    is no verdict.  spread: a task whose spawn names no CPU gets one in turn, rather than the first.
    given_up: set from another thread, if the run does nothing any more.  lost_before: who slept although its condition
    held, when the bound was reached; None if nobody looked.
    """

    __slots__ = ("__dict__",)
    cpus: list[Cpu]
    tasks: list[Task]
    objects: list[tuple[int, Any]]
    end: dict[str, Any]
    tables: Tables
    error: BaseException | None = None
    spread = False
    given_up: GivenUp | None = None
    lost_before: list[str] | None = None

    def note(self, kind: str, facts: tuple[object, ...]) -> None:
        raise NotImplementedError

    def _finish(self, how: str, detail: dict[str, Any]) -> None:
        """Set the end, unless there is one, and make every task unwind."""
        raise NotImplementedError

    def cpu(self, number: int) -> Cpu:
        if not 0 <= number < len(self.cpus):
            raise UsageError(expected=f"a CPU in 0..{len(self.cpus) - 1}", got=number, where="the model's CPUs")
        return self.cpus[number]

    def home(self, number: int) -> Cpu:
        cpus = self.cpus
        return cpus[number % len(cpus) if self.spread else 0]

    def _chooser(self) -> object:
        """Return the strategy, None if there is none."""
        return None

    def _returned(self, task: Task, value: object) -> None:
        """Take what a task's function returned, if that is something.  Raises UsageError if it did not run at all."""
        if isinstance(value, Coroutine | Generator | AsyncGenerator):
            if isinstance(value, Coroutine):
                value.close()  # or Python complains of it, too
            raise UsageError(
                expected="a task's function to run to its end when it is called",
                got=f"a {type(value).__name__}: it is async, or has a `yield`",
                where=f"task {task.name}",
                try_="a plain function, which waits by mmrace.runtime",
            )

    def _finished(self) -> None:
        self._finish("finished", {})

    def _failed(self, task: Task, error: BaseException) -> None:
        """End the run by what `task`, which calls, raised."""
        if of_unwinding(error):
            return
        if isinstance(error, Violation):
            self._violated(task, (error.oracle, error.rule, {"task": task.name, **error.facts}))
        else:
            self._take_error(error)
            self._finish(*crash.end_of(task, error, self._chooser()))

    def _violated(self, task: Task, broken: Broken) -> None:
        """End the run by the rule that `task`, which calls, broke."""
        self.note(VIOLATION, broken)
        self._finish(VIOLATION, self._end_of(task, broken))

    @staticmethod
    def _end_of(task: Task, broken: Broken) -> dict[str, Any]:
        oracle, rule, facts = broken
        return {"oracle": oracle, "rule": rule, "facts": facts, "at": sites.site_name(task.site)}

    def _take_error(self, error: BaseException) -> None:
        """Keep the first error; but Ctrl-C while that is told, or tasks unwind after it, is what counts."""
        if self.error is None or is_interrupt(error):
            self.error = error

    def _stands_still(self, **more: object) -> None:
        """End the run: somebody waits, and nobody can go on."""
        self._finish("deadlock", {**standstill.describe(self.tasks, self._lane_name), **more})

    def _passed_bound(self, recent: Iterable[tuple[Any, ...]] | None, steps: int) -> None:
        """End the run at its bound.  Args: recent: the events in which each task had a fair chance; None: not so."""
        self._finish("bound", self._at_bound(recent, steps))

    def _at_bound(self, recent: Iterable[tuple[Any, ...]] | None, steps: int) -> dict[str, Any]:
        if recent is None:
            return standstill.cut(steps)
        return standstill.bound(self.tasks, recent, steps, self.tables.progress, self._lane_name, self.lost_before)

    def _lane_name(self, number: int) -> str:
        """Name a lane, for whoever explains the end."""
        lane = LiveLanes(self.objects).lane(number)
        return lane_name(lane) if lane else f"lane:{number}"

    def release(self) -> None:
        """Let go of the model, whose objects keep each other alive; only names and numbers of them are left.

        For whoever owns the run, when it is over and nobody will look at what objects hold any more: events, masks and
        lanes can still be read and named.
        """
        release(self.objects, self.tasks, self.cpus)
        if self.error is not None:
            forget_frames(self.error)
