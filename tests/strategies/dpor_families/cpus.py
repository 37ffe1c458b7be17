"""Tasks that keep others, or interrupts, off their CPU."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program, box
from tests.strategies.dpor_families.locks import locked_increment, locked_write
from tests.strategies.dpor_families.plain import increment, sets_x
from tests.strategies.dpor_programs import played


def _irq_locked(b: Box) -> None:
    rt.spin_lock_irq(b.spin)
    b.x = b.x + 1
    rt.spin_unlock_irq(b.spin)


def _interrupt(b: Box) -> None:
    rt.irq_enter(0)
    rt.spin_lock(b.spin)
    b.y = 1
    rt.spin_unlock(b.spin)
    rt.irq_exit()


def _interrupt_reads(b: Box) -> None:
    rt.irq_enter(0)
    if b.x:
        b.y = b.y + 1
    rt.irq_exit()


def works(b: Box) -> None:
    """Write x, then y."""
    b.x = 1
    b.y = 5


def _irqs_off(b: Box) -> None:
    rt.local_irq_disable()
    b.x = 1
    rt.local_irq_enable()


def _preempt_off_waits(b: Box) -> None:
    rt.preempt_disable()
    for _ in rt.until_changed():
        if b.x:
            break
    rt.preempt_enable()


def _waits_for_x(b: Box) -> None:
    for _ in rt.until_changed():
        if b.x:
            break
    b.y = 1


def _takes_mutex_sets_y(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    b.y = 1


def _preempt_off_waits_for_y(b: Box) -> None:
    rt.preempt_disable()
    for _ in rt.until_changed():
        if b.y:
            break
    rt.preempt_enable()


def _ends_atomic(b: Box) -> None:
    rt.preempt_disable()
    b.y = 1


def main_works() -> None:
    """The main task shares its CPU with one that keeps it off and waits for a third, which waits for main."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_preempt_off_waits_for_y, b, name="t0", cpu=0)
        rt.spawn(_waits_for_x, b, name="t1", cpu=1)
    b.x = 1
    rt.join_others()


def main_releases() -> None:
    """The main task holds the mutex; one on its CPU keeps it off and waits for a third, which waits for the mutex."""
    with rt.fixed_order():
        b = box()
        rt.mutex_lock(b.mutex)
        rt.spawn(_preempt_off_waits_for_y, b, name="t0", cpu=0)
        rt.spawn(_takes_mutex_sets_y, b, name="t1", cpu=1)
    rt.mutex_unlock(b.mutex)
    rt.join_others()


PROGRAMS: dict[str, Program] = {
    "irq spinlocks": played(_irq_locked, _irq_locked),
    "interrupt takes a lock held on its CPU": played(locked_write, _interrupt, cpus=(0, None)),
    "interrupt, lock with irqs off": played(_irq_locked, _interrupt, cpus=(0, None)),
    "interrupt where a task works": played(works, _interrupt_reads, cpus=(0, None)),
    "interrupt, irqs off for a while": played(_irqs_off, _interrupt_reads, cpus=(0, None)),
    "shared CPU, preemption off": played(locked_increment, increment, cpus=(1, 1)),
    "shared CPU, waits with preemption off": played(_preempt_off_waits, sets_x, cpus=(1, 1)),
    "shared CPU, a task ends atomic": played(_ends_atomic, works, cpus=(1, 1)),
    "shared CPU, main works": main_works,
    "shared CPU, main releases": main_releases,
}
