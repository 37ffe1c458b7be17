"""Strategy `replay`: follow a record strictly, and stop at the first difference.

At each step the task, the op, its outcome and the set of enabled tasks must be those of the record; the error shows
both sides.  Strict replay is for proof: it survives no edit of the code.  Invariant: a replay that ends without
NondeterminismError did exactly the recorded ops in the recorded order (`finish` checks the last one and the length).
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import NondeterminismError
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.task import Task


class StrictReplay:
    """Follows `record`, made by a controlled engine.  Call `attach` before the run and `finish` after it."""

    every_step = True

    def __init__(self, record: Record) -> None:
        self.record = record
        self.events = [event for event in record.events if event[1] != NOTE]
        self.engine: Controlled | None = None
        self.error: NondeterminismError | None = None
        self._seen = 0  # events of the new run looked at, notes included
        self._checked = 0  # ops compared

    def attach(self, engine: Controlled) -> None:
        """Watch the events of `engine`."""
        self.engine = engine

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the recorded task.  Raises NondeterminismError at the first difference."""
        self._check_done()
        assert self.engine is not None
        if step >= len(self.events):
            self._diverge(step, "the end of the run", f"{len(enabled)} tasks that can go on")
        want = self.events[step]
        mask = sum(task.bit for task in enabled)
        recorded = self.record.masks[step] if step < len(self.record.masks) else mask
        if mask != recorded:
            self._diverge(step, f"enabled {self._names(recorded)}", f"enabled {self._names(mask)}")
        for task in enabled:
            if task.id == want[0]:
                if task.pending != want[1]:
                    got = f"{task.name} about to {self._op(task.pending, self._now())}"
                    self._diverge(step, self._show(want, self.record), got)
                return task
        self._diverge(step, self._show(want, self.record), f"that task not enabled; enabled {self._names(mask)}")
        raise AssertionError

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the recorded value."""
        event = self.events[step]
        if event[2] != n:
            self._diverge(step, f"a choice out of {event[2]}", f"a choice out of {n}")
        return int(event[3])

    def finish(self) -> None:
        """After the run: check what was left.  Raises NondeterminismError."""
        if self.error is not None:
            raise self.error
        self._check_done()
        if self._checked < len(self.events):
            self._diverge(self._checked, self._show(self.events[self._checked], self.record), "the end of the run")

    def _check_done(self) -> None:
        assert self.engine is not None
        done = self.engine.events
        while self._seen < len(done):
            event = done[self._seen]
            self._seen += 1
            if event[1] == NOTE:
                continue
            if self._checked >= len(self.events):
                self._diverge(self._checked, "the end of the run", self._show(event, self._now()))
            want = self.events[self._checked]
            if (event[0], event[1]) != (want[0], want[1]) or not self._same(event, want):
                self._diverge(self._checked, self._show(want, self.record), self._show(event, self._now()))
            self._checked += 1

    @staticmethod
    def _same(event: tuple[Any, ...], want: tuple[Any, ...]) -> bool:
        return bool(_plain(event[2]) == _plain(want[2]) and _plain(event[3]) == _plain(want[3]))

    def _now(self) -> Record:
        """Return the new run so far: its lanes need not be those of the record."""
        return Record.of_run(self.engine, {}, {})

    @staticmethod
    def _op(op: int, record: Record) -> str:
        return f"{Kind(op & KIND_MASK).name} {record.lane_name(op >> SHIFT)}"

    def _show(self, event: tuple[Any, ...], record: Record) -> str:
        name = record.task_name(event[0]) if event[0] < len(record.tasks) else f"task {event[0]}"
        outcome = ", ".join(str(_plain(value)) for value in event[2:4] if value is not None)
        return f"{name}: {self._op(event[1], record)}" + (f" -> {outcome}" if outcome else "")

    def _names(self, mask: int) -> str:
        known = {int(task["id"]): str(task["name"]) for task in self.record.tasks}
        names = [known.get(i, f"task {i}") for i in range(mask.bit_length()) if mask >> i & 1]
        return "{" + ", ".join(names) + "}"

    def _diverge(self, step: int, expected: str, got: str) -> None:
        self.error = NondeterminismError(step, expected, got)
        raise self.error


def _plain(value: Any) -> Any:
    named = Record.name(value)
    return list(named) if isinstance(named, tuple) else named
