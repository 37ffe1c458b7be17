"""Who may run: the enabled list of a controlled engine, and the CPUs that keep tasks off it.

The list is kept incrementally: a task is on it while its pending op can be done (`ready`) and its CPU lets it run (not
`stalled`).  `mask` is the same set as a number (bit = task id).  Invariant: `task.on` says whether the task is on the
list.  Only the task that has the floor touches anything here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Cpu, Gate, Task


class Observer(Protocol):
    """Is told what events do not say, inside the op that does it."""

    def cpu_changed(self, cpu: Cpu) -> None:
        """A CPU began, or ceased, to keep interrupts or its other tasks away."""

    def retried(self, lanes: Iterable[int]) -> None:
        """A turn repeats because one of these lanes changed."""

    def peeked(self, obj: Struct, field: str) -> None:
        """A plain field was looked at without an op."""

    def freed(self, obj: Struct, keep: tuple[str, ...]) -> None:
        """The memory of an object was given back, but for the fields in `keep`."""

    def counted(self) -> None:
        """A task looked whether any other lives that the run waits for."""

    def stopped(self) -> None:
        """The run is over; tasks that did not end are about to be unwound."""


class Enabled:
    """The part of a controlled engine that says who may run.

    `observer` serves searches, which must know what enables what.  `contested`: more than `asked_above` tasks are
    enabled, so that the strategy has to be asked who goes next.
    """

    __slots__ = ("asked_above", "contested", "cpus", "enabled", "mask", "observer")

    def __init__(self) -> None:
        self.enabled: list[Task] = []
        self.mask = 0
        self.contested = False
        self.asked_above = 1
        self.cpus: list[Cpu] = []
        self.observer: Observer | None = None

    # -- gates ------------------------------------------------------------------------------------------------------

    def set_busy(self, gate: Gate) -> None:
        gate.busy = True
        for task in gate.waiters:
            if task.ready:
                task.ready = False
                self._off(task)

    def set_free(self, gate: Gate) -> None:
        gate.busy = False
        for task in gate.waiters:
            task.ready = True
            self._maybe_on(task)

    def _off(self, task: Task) -> None:
        if task.on:
            task.on = False
            enabled = self.enabled
            enabled.remove(task)
            self.mask ^= task.bit
            self.contested = len(enabled) > self.asked_above

    def _maybe_on(self, task: Task) -> None:
        if not task.on and task.ready and not task.stalled and not task.done:
            task.on = True
            enabled = self.enabled
            enabled.append(task)
            self.mask ^= task.bit
            self.contested = len(enabled) > self.asked_above

    # -- CPUs -------------------------------------------------------------------------------------------------------

    def hold_cpu(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq and cpu.preempt_owner is not task:  # it is if interrupts are off
            cpu.preempt_owner = task
            self._changed(cpu)

    def release_cpu(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq and not task.irq_depth:
            cpu.preempt_owner = None
            self._changed(cpu)

    def irqs_off(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq:
            cpu.preempt_owner = task
            cpu.busy = True
            if cpu.waiters:
                self.set_busy(cpu)
            self._changed(cpu)

    def irqs_on(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq:
            if not task.preempt:
                cpu.preempt_owner = None
            cpu.busy = False
            if cpu.waiters:
                self.set_free(cpu)
            self._changed(cpu)

    def irq_begin(self, task: Task, cpu: Cpu) -> None:
        """Inside the op of an interrupt's entry: it runs on `cpu` now, and the CPU's own task is held up."""
        task.in_irq = True
        task.cpu_ = cpu
        cpu.irq_task = task
        self.set_busy(cpu)
        self._stall(cpu)
        self._changed(cpu)

    def irq_exit(self, task: Task, cpu: Cpu) -> None:
        task.in_irq = False
        task.cpu_ = None
        cpu.irq_task = None
        self.set_free(cpu)
        self._stall(cpu)
        self._changed(cpu)

    def _move_in(self, task: Task, cpu: Cpu) -> None:
        cpu.tasks.append(task)
        owner = cpu.irq_task or cpu.preempt_owner
        task.stalled = owner is not None and owner is not task

    def _changed(self, cpu: Cpu) -> None:
        if len(cpu.tasks) > 1:
            self._stall(cpu)
        if self.observer is not None:
            self.observer.cpu_changed(cpu)

    def _stall(self, cpu: Cpu) -> None:
        """Recompute who of this CPU's own tasks may run."""
        owner = cpu.irq_task or cpu.preempt_owner
        for task in cpu.tasks:
            stalled = owner is not None and owner is not task
            if stalled != task.stalled:
                task.stalled = stalled
                if stalled:
                    self._off(task)
                else:
                    self._maybe_on(task)
