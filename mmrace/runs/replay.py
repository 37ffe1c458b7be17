"""Strategy `replay`: follow a record strictly, and stop at the first difference.

At each step the task, the op, the name of its object, its outcome and the set of enabled tasks must be those of the
record; the error shows both sides.  Strict replay is for proof: it survives no edit of the code.  Invariant: a replay
that ends without NondeterminismError did exactly the recorded ops in the recorded order (`finish` checks the last one
and the length).
"""

from __future__ import annotations

from typing import NoReturn

from mmrace.runtime.errors import NondeterminismError
from mmrace.runtime.kinds import NOTE, SHIFT
from mmrace.runtime.lanes import LiveLanes
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy, SteeredRun
from mmrace.runtime.task import Task
from mmrace.runtime.wording import enabled_text, event_text, op_text, same_event

REPLAYS = 5
"""Strict replays of a record that is kept.  One is a proof; more show that the record alone decides."""


class StrictReplay(BaseStrategy):
    """Follows `record`, made by a controlled engine.  Call `finish` after the run."""

    asked_when_alone = True
    asked_in_fixed_order = True

    def __init__(self, record: Record) -> None:
        self.record = record
        self._numbers = [number for number, event in enumerate(record.events) if event[1] != NOTE]
        self.events = [record.events[number] for number in self._numbers]
        self.engine: SteeredRun | None = None
        self.error: NondeterminismError | None = None
        self._seen = 0  # events of the new run looked at, notes included
        self._checked = 0  # ops compared
        self._lanes = LiveLanes(())
        self._same_lanes: set[int] = set()  # lanes that have the same name here and in the record

    def attach(self, run: SteeredRun) -> None:
        """Watch the events of `run`."""
        self.engine = run

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the recorded task.  Raises NondeterminismError at the first difference."""
        self._check_done()
        assert self.engine is not None
        if step >= len(self.events):
            self._diverge(step, "the end of the run there", f"{len(enabled)} tasks that can go on")
        want = self.events[step]
        mask = sum(task.bit for task in enabled)
        recorded = self.record.masks[step] if step < len(self.record.masks) else mask
        if mask != recorded:
            self._diverge(step, enabled_text(recorded, self.record), enabled_text(mask, self.record))
        for task in enabled:
            if task.id == want[0]:
                if task.pending != want[1] or not self._same_lane(want[1]):
                    got = f"{task.name} about to {op_text(task.pending, self._now())}"
                    self._diverge(step, event_text(want, self.record), got)
                return task
        got = f"that task not enabled; {enabled_text(mask, self.record)}"
        self._diverge(step, event_text(want, self.record), got)

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
            self._diverge(self._checked, event_text(self.events[self._checked], self.record), "the end of the run")

    def _check_done(self) -> None:
        assert self.engine is not None
        done = self.engine.events
        while self._seen < len(done):
            event = done[self._seen]
            self._seen += 1
            if event[1] == NOTE:
                continue
            if self._checked >= len(self.events):
                self._diverge(self._checked, "the end of the run there", event_text(event, self._now()))
            want = self.events[self._checked]
            if not same_event(event, want) or not self._same_lane(want[1]):
                self._diverge(self._checked, event_text(want, self.record), event_text(event, self._now()))
            self._checked += 1

    def _same_lane(self, op: int) -> bool:
        """Say whether an op's lane is the same object here and in the record, by name: numbers can agree by chance."""
        lane = op >> SHIFT
        if lane in self._same_lanes:
            return True
        if self._lanes.lane(lane) is None:  # of an object that was made since
            assert self.engine is not None
            self._lanes = LiveLanes(self.engine.objects)
        same = self._lanes.lane(lane) == self.record.table.get(lane)
        if same:
            self._same_lanes.add(lane)
        return same

    def _now(self) -> Record:
        """Return the new run so far: its lanes need not be those of the record."""
        return Record.of_run(self.engine, {}, {})

    def _diverge(self, step: int, expected: str, got: str) -> NoReturn:
        number = self._numbers[step] if step < len(self._numbers) else max(len(self.record.events) - 1, 0)
        self.error = NondeterminismError(step, expected, got, event=number)
        raise self.error
