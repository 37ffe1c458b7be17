"""Retries under control: a turn that repeats is disabled until something that its last turn read has changed.

The engine's side of `retry.until_changed`, by the rules of `watch.py`.  While tasks wait for a change, each point looks
whether one came (`alert_at`).
"""

from __future__ import annotations

from typing import Any

from mmrace.runtime import live
from mmrace.runtime.enabled import Enabled
from mmrace.runtime.task import Task
from mmrace.runtime.watch import RetryGate, changes, concerns, looked_at


class Retries(Enabled):
    """The part of a controlled engine that lets retries wait."""

    __slots__ = ("alert_at", "events", "objects", "steps_max", "watched", "watching")

    def __init__(self, steps_max: int) -> None:
        super().__init__()
        self.steps_max = steps_max
        self.events: list[Any] = []
        self.objects: list[tuple[int, Any]] = []
        self.watching: list[RetryGate] = []
        self.watched = 0  # events that were looked at for those that wait
        self.alert_at = steps_max
        """The step from which on a point looks closer: the bound, or at once if something is to be watched."""

    def position(self, task: Task) -> int:
        return len(self.events)

    def retry_point(self, task: Task, since: int, code: int) -> Task:
        lanes: set[int] = set()
        changed = False
        for event in self.events[since:]:
            if event[1] < 0:
                continue
            if event[0] == task.id:
                looked_at(lanes, event[1], self.objects)
            elif changes(event) and concerns(event, lanes, self.objects):
                changed = True
                break
        if changed:
            return self._retried(live.point(None, code), lanes)  # type: ignore[arg-type]
        gate = RetryGate(code, lanes)
        if self.watching:  # what this task did last may be what another one waits for
            self._watch()
        self.watched = len(self.events)
        self.watching.append(gate)
        self.alert_at = 0
        task = live.gated(gate, code)
        if gate in self.watching:
            self.watching.remove(gate)
        return self._retried(task, lanes)

    def _retried(self, task: Task, lanes: set[int]) -> Task:
        if self.observer is not None:
            self.observer.retried(lanes)
        return task

    def _watch(self) -> None:
        """Enable each retry that something changed for since the last look."""
        events = self.events
        for i in range(self.watched, len(events)):
            event = events[i]
            if changes(event):
                for gate in self.watching[:]:
                    if concerns(event, gate.lanes, self.objects):
                        self.watching.remove(gate)
                        self.set_free(gate)
        self.watched = len(events)
        if not self.watching:
            self.alert_at = self.steps_max
