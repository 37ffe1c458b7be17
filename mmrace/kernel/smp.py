"""Functions that run on other CPUs, by an interrupt.

Invariant: what is called runs in irq context on its CPU: it waits for interrupts to be on there and for nothing else.
Not modelled: call queues of a CPU, CPUs that come and go.
Source: kernel/smp.c, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace import runtime as rt

if TYPE_CHECKING:
    from mmrace.kernel.mm.mmzone import Machine


def on_each_cpu(machine: Machine, func: Callable[[Machine], None]) -> None:
    """Run `func` on every CPU, here with interrupts off and elsewhere by an interrupt; returns when all are done.

    Does not sleep: it spins, with preemption off and interrupts on.  BUG with interrupts off (the kernel warns): two
    CPUs could wait for each other.  Source: kernel/smp.c, v3.3.
    """
    task = rt.current()
    rt.bug_on(task.irq_depth > 0 or task.in_irq, "on_each_cpu with interrupts off")
    rt.preempt_disable()
    others = [cpu for cpu in range(machine.ncpus) if cpu != task.cpu]
    calls = [rt.spawn(_interrupt, machine, cpu, func, name=rt.fresh("ipi"), cpu=None) for cpu in others]
    for call in calls:
        rt.join(call)
    rt.local_irq_disable()
    func(machine)
    rt.local_irq_enable()
    rt.preempt_enable()


def _interrupt(machine: Machine, cpu: int, func: Callable[[Machine], None]) -> None:
    """Be the interrupt of another CPU."""
    rt.irq_enter(cpu)
    func(machine)
    rt.irq_exit()
