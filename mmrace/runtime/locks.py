"""Spinlocks and mutexes: real `threading` locks with trylock semantics.

A held lock disables its acquire; a try is never disabled, it fails.  Once the engine says that the lock is free, the
real lock is taken with ``blocking=False`` and that must succeed (InternalError otherwise).  Under `fiber` there is one
OS thread, so a real lock could detect nothing and none is made.  Invariant: `raw`, if there is one, is locked exactly
while `busy`; a spinlock keeps preemption off from success to release, an irq one interrupts too.  They go off only at
success, not while spinning: that allows more interleavings and forbids none, for whoever holds a spinlock runs.

An engine is called only if somebody waits; without waiters it has nothing to do but to note busy or free.
Source: Linux `include/linux/spinlock.h`, `mutex.h`, v3.3.
"""

from __future__ import annotations

import threading
from typing import Any, NoReturn

from mmrace.runtime import live
from mmrace.runtime.context import irqs_off, irqs_on, might_sleep, preempt_off, preempt_on
from mmrace.runtime.errors import InternalError, Violation
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import ACQUIRE, RELEASE, TRY
from mmrace.runtime.struct import joined
from mmrace.runtime.task import Gate, Guard, Task


class _Lock(Gate):
    """What spinlock and mutex share: the raw lock and its owner.  `of` is the name of the struct around it."""

    __slots__ = ("key", "of", "raw")

    def __init__(self, code: int, guard: Guard | None, struct: Owner, key: str) -> None:
        self.code = code
        self.guard = guard
        self.busy = False
        self.owner = None
        self.taken_at = None
        self.waiters = []
        self.raw = threading.Lock() if live.real_threads else None
        self.of = struct.name_
        self.key = key

    def __str__(self) -> str:
        return f"{joined(self.of)}.{self.key}"

    def _taken(self, task: Task) -> None:
        raw = self.raw
        if raw is not None and not raw.acquire(False):
            raise InternalError(f"{self} was scheduled as free but its lock is held by {self.owner}")
        self.owner = task
        self.taken_at = task.site
        task.held.append(self)
        if self.waiters:
            live.engine.set_busy(self)
        else:
            self.busy = True

    def _dropped(self, task: Task) -> None:
        if self.owner is not task:
            self._refuse(task)
        self.owner = None
        task.held.remove(self)
        if self.raw is not None:
            self.raw.release()
        if self.waiters:
            live.engine.set_free(self)
        else:
            self.busy = False

    def _refuse(self, task: Task) -> NoReturn:
        task.log((task.id, self.code + RELEASE, None, None))
        raise Violation(
            "lock-discipline",
            "released by another than its holder",
            object=str(self),
            task=task.name,
            holder=self.owner.name if self.owner else None,
        )


class SpinLock(_Lock):
    """A spinlock; irq-ness is a property of how it is taken, as in the kernel."""

    __slots__ = ()


class Mutex(_Lock):
    """A sleeping mutex."""

    __slots__ = ()


def _acquire(lock: SpinLock, irq: bool) -> None:
    code = lock.code + ACQUIRE
    task = live.gated(lock, code)
    if irq:
        irqs_off(task)
    preempt_off(task)
    lock._taken(task)
    task.log((task.id, code, "irq" if irq else None, None))


def _release(lock: SpinLock, irq: bool) -> None:
    code = lock.code + RELEASE
    task = live.point(lock, code)
    lock._dropped(task)
    preempt_on(task)
    if irq:
        irqs_on(task)
    task.log((task.id, code, "irq" if irq else None, None))


def spin_lock(lock: SpinLock) -> None:
    """Take a spinlock; preemption is off until it is released.  Point: always (disabled while held)."""
    _acquire(lock, False)


def spin_unlock(lock: SpinLock) -> None:
    """Release a spinlock.  Raises Violation if another task holds it.  Point: always."""
    _release(lock, False)


def spin_lock_irq(lock: SpinLock) -> None:
    """Take a spinlock with interrupts off on this CPU.  Nests (the irqsave form).  Point: always."""
    _acquire(lock, True)


def spin_unlock_irq(lock: SpinLock) -> None:
    """Release a spinlock and undo its irq-off.  Point: always."""
    _release(lock, True)


spin_lock_irqsave = spin_lock_irq
spin_unlock_irqrestore = spin_unlock_irq


def spin_trylock(lock: SpinLock) -> bool:
    """Try to take a spinlock; never waits.  Point: always."""
    code = lock.code + TRY
    task = live.point(lock, code)
    ok = not lock.busy
    if ok:
        preempt_off(task)
        lock._taken(task)
    task.log((task.id, code, ok, None))
    return ok


def mutex_lock(mutex: Mutex) -> None:
    """Take a mutex, sleeping while it is held.  Raises Violation in atomic context.  Point: always."""
    might_sleep()
    code = mutex.code + ACQUIRE
    task = live.gated(mutex, code)
    mutex._taken(task)
    task.log((task.id, code, None, None))


def mutex_trylock(mutex: Mutex) -> bool:
    """Try to take a mutex; never waits.  Point: always."""
    code = mutex.code + TRY
    task = live.point(mutex, code)
    ok = not mutex.busy
    if ok:
        mutex._taken(task)
    task.log((task.id, code, ok, None))
    return ok


def mutex_unlock(mutex: Mutex) -> None:
    """Release a mutex.  Raises Violation if another task holds it.  Point: always."""
    code = mutex.code + RELEASE
    task = live.point(mutex, code)
    mutex._dropped(task)
    task.log((task.id, code, None, None))


class _LockPart(Part):
    def __init__(self, cls: type[_Lock]) -> None:
        self.cls = cls

    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> _Lock:
        return self.cls(code, guard, owner, self.key)


def spinlock() -> SpinLock:
    """Declare a spinlock."""
    part: Any = _LockPart(SpinLock)
    return part  # type: ignore[no-any-return]


irq_spinlock = spinlock  # the same lock; the name tells the reader how it is taken


def mutex() -> Mutex:
    """Declare a mutex."""
    part: Any = _LockPart(Mutex)
    return part  # type: ignore[no-any-return]
