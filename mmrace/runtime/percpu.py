"""Per-CPU data: one struct for each CPU.

Invariant: through `this_cpu` a task reaches only its own CPU's copy, and only with preemption or interrupts off
(Violation otherwise: the kernel would use another CPU's data).  `of` is for drains that the kernel does by running on
the other CPU.  Source: Linux `include/linux/percpu.h`, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from mmrace.runtime import live
from mmrace.runtime.errors import Violation
from mmrace.runtime.struct import Struct

S = TypeVar("S", bound=Struct)


class PerCpu(Generic[S]):
    """`ncpus` structs, made by ``make(cpu)``."""

    def __init__(self, ncpus: int, make: Callable[[int], S]) -> None:
        self._copies = [make(cpu) for cpu in range(ncpus)]

    def this_cpu(self) -> S:
        """Return this CPU's copy.  Raises Violation if the task could be moved or is on no CPU.  Point: never."""
        task = live.current()
        cpu = task.cpu_
        if cpu is None or not (task.preempt or task.irq_depth or task.in_irq):
            raise Violation("lock-discipline", "per-CPU data used with preemption on", task=task.name)
        return self._copies[cpu.id]

    def of(self, cpu: int) -> S:
        """Return the copy of `cpu`.  Raises IndexError if there is no such CPU.  Point: never."""
        if not 0 <= cpu < len(self._copies):
            raise IndexError(f"CPU {cpu} of {len(self._copies)}, which are numbered from 0 on")
        return self._copies[cpu]

    def __iter__(self) -> Iterator[S]:
        return iter(self._copies)
