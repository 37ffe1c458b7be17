"""The clock of a record: which tick each event came at, as a pure function of what happened.

An op takes one tick of the CPU that its task lives on, and CPUs work side by side; what a device does takes none.  A
sleep lasts for the ticks of its note, whoever ended it.  Nothing comes before what stands above it in the record.
Invariant: times never fall along a record, and two ops of one CPU never share a tick.  Not modelled: interrupts take no
time of the CPU that they come to; an op costs the same whatever it does.

Strategy `timed` schedules by the same clock (`Clock.start`), so that its order is the one that these times tell of.
Under another strategy a sleep may have ended before its time had come; then the clock jumps, as if all had been idle.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record

SLEEP_NOTE = "sleep"
"""The note of a task that sleeps for ticks; its next op is where it went on."""


class Clock:
    """Follows a run event by event.  `now`: the tick of the last op."""

    __slots__ = ("_busy_until", "_wakes", "now")

    def __init__(self) -> None:
        self.now = 0
        self._busy_until: dict[int, int] = {}
        self._wakes: dict[int, int] = {}

    def start(self, task: int, cpu: int | None) -> int:
        """Return the first tick at which a task can do its next op.  Args: cpu: where it lives; None: a device."""
        start = self._wakes.get(task, 0)
        if cpu is not None:
            start = max(start, self._busy_until.get(cpu, 0))
        return max(start, self.now)

    def take(self, event: tuple[Any, ...], cpu: int | None) -> int:
        """Take in the next event of the run; return its tick."""
        task = event[0]
        if event[1] == NOTE:
            if event[2] == SLEEP_NOTE:
                self._wakes[task] = self.now + int(event[3][0])
            return self.now
        self.now = now = self.start(task, cpu)
        self._wakes.pop(task, None)
        if cpu is not None:
            self._busy_until[cpu] = now + 1
        return now


def times(record: Record) -> list[int]:
    """Return the tick of each event of a record."""
    homes = [task["cpu"] for task in record.tasks]
    return list(_times(record.events, homes))


def _times(events: Iterable[tuple[Any, ...]], homes: list[int | None]) -> Iterable[int]:
    clock = Clock()
    for event in events:
        yield clock.take(event, homes[event[0]])
