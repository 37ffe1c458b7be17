"""Contexts: preemption, interrupts, RCU read sections, and who may sleep.

Invariant: `Task.preempt`, `irq_depth`, `in_irq` and `rcu` say at any moment whether the task is atomic; a primitive
that can sleep calls `might_sleep` first, whether or not it would have slept this time.  Source: Linux
`include/linux/preempt.h`, `kernel.h` (might_sleep), v3.3.
"""

from __future__ import annotations

from mmrace.runtime import live
from mmrace.runtime.errors import Violation
from mmrace.runtime.kinds import IRQ, PREEMPT
from mmrace.runtime.task import Cpu, Task


def might_sleep() -> None:
    """Refuse to go on in atomic context.  Raises Violation.  Point: never."""
    task = live.current()
    if task.preempt or task.irq_depth or task.in_irq or task.rcu:
        raise Violation(
            "lock-discipline",
            "sleep in atomic context",
            task=task.name,
            preempt=task.preempt,
            irqs_off=task.irq_depth,
            in_irq=task.in_irq,
            rcu=task.rcu,
            held=tuple(str(lock) for lock in task.held),
        )


def preempt_off(task: Task) -> None:
    """Count one reason not to be preempted (inside an op)."""
    depth = task.preempt
    task.preempt = depth + 1
    if not depth:
        live.engine.hold_cpu(task)


def preempt_on(task: Task) -> None:
    """Undo `preempt_off` (inside an op)."""
    task.preempt = depth = task.preempt - 1
    if not depth:
        live.engine.release_cpu(task)


def irqs_off(task: Task) -> None:
    """Count one reason to keep interrupts off (inside an op)."""
    depth = task.irq_depth
    task.irq_depth = depth + 1
    if not depth:
        live.engine.irqs_off(task)


def irqs_on(task: Task) -> None:
    """Undo `irqs_off` (inside an op)."""
    task.irq_depth = depth = task.irq_depth - 1
    if not depth:
        live.engine.irqs_on(task)


def _cpu_of(task: Task, what: str) -> Cpu:
    cpu = task.cpu_
    if cpu is None:
        raise Violation("lock-discipline", f"{what} outside any CPU", task=task.name)
    return cpu


def local_irq_disable() -> None:
    """Keep interrupts off this CPU.  Point: always."""
    cpu = _cpu_of(live.current(), "local_irq_disable")
    code = cpu.code + IRQ
    task = live.point(cpu, code)
    irqs_off(task)
    task.log((task.id, code, "disable", None))


def local_irq_enable() -> None:
    """Let interrupts come again.  Point: always."""
    cpu = _cpu_of(live.current(), "local_irq_enable")
    code = cpu.code + IRQ
    task = live.point(cpu, code)
    irqs_on(task)
    task.log((task.id, code, "enable", None))


def preempt_disable() -> None:
    """Keep other tasks off this CPU.  Point: always."""
    cpu = _cpu_of(live.current(), "preempt_disable")
    code = cpu.code + PREEMPT
    task = live.point(cpu, code)
    preempt_off(task)
    task.log((task.id, code, "disable", None))


def preempt_enable() -> None:
    """Let other tasks of this CPU run again.  Point: always."""
    cpu = _cpu_of(live.current(), "preempt_enable")
    code = cpu.code + PREEMPT
    task = live.point(cpu, code)
    preempt_on(task)
    task.log((task.id, code, "enable", None))


def rcu_read_lock() -> None:
    """Begin a read section: what it reads was published in place, and it must not sleep.  Point: never.

    Nothing waits for a grace period, so a section is context only.
    """
    live.current().rcu += 1


def rcu_read_unlock() -> None:
    """End a read section.  Point: never."""
    live.current().rcu -= 1


def irq_enter(cpu: int) -> None:
    """A device task raises its interrupt: from here to `irq_exit` it runs in irq context on that CPU.

    It begins only while interrupts are on there and no other one runs, and the CPU's own task does not go on before
    it ended.  Point: always.
    """
    engine = live.engine
    target = engine.cpu(cpu)
    code = target.code + IRQ
    task = engine.irq_enter(target, code)
    task.log((task.id, code, "enter", cpu))


def irq_exit() -> None:
    """End the interrupt that this task runs.  Point: always."""
    engine = live.engine
    task = engine.current()
    cpu = task.cpu_
    if not task.in_irq or cpu is None:
        raise Violation("lock-discipline", "irq_exit outside an interrupt", task=task.name)
    code = cpu.code + IRQ
    task = live.point(cpu, code)
    task.log((task.id, code, "exit", cpu.id))
    engine.irq_exit(task, cpu)  # after the log: under `free` it lets the CPU's task go on
