"""Wait queues: queue, test, sleep are three ops; wake is an op of its own, after the change.

A wake delivered to its queue entry enables a sleeper; that its condition became true never does.  Once woken, the
sleeper tests again.  Invariant: an entry is on its queue from QUEUE until a wake takes it off (autoremove) or the
sleeper finishes.  Simplification: a wake on a bit does not look at the bit first (the kernel skips the wake if the bit
is set again).  That adds needless wakes only, for a woken task tests anyway.  Source: Linux `kernel/wait.c`, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmrace.runtime import live
from mmrace.runtime.context import might_sleep
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import DEQUEUE, QUEUE, SLEEP, WAKE
from mmrace.runtime.struct import joined
from mmrace.runtime.task import Gate, Guard, Task


class WaitEntry(Gate):
    """One task's place on one queue; a gate that is busy until a wake comes.

    `holds` says, without an op, whether the condition is true now: it tells a lost wake-up from a deadlock when nothing
    is enabled.  `holder` names who has to go on before it can become true, one or several, if that is known.
    """

    __slots__ = ("exclusive", "holder", "holds", "queue", "task")

    def __init__(self, queue: WaitQueue, task: Task, exclusive: bool) -> None:
        super().__init__(queue.code + SLEEP, queue.guard)
        self.queue = queue
        self.task = task
        self.exclusive = exclusive
        self.holds: Callable[[], bool] | None = None
        self.holder: Callable[[], object] | None = None


class WaitQueue:
    """A queue of sleepers.  `of` is the name of the struct around it."""

    __slots__ = ("code", "entries", "guard", "key", "of")

    def __init__(self, code: int, guard: Guard | None, of: object, key: str) -> None:
        self.code = code
        self.guard = guard
        self.of = of
        self.key = key
        self.entries: list[WaitEntry] = []

    def __str__(self) -> str:
        return f"{joined(self.of)}.{self.key}"


def prepare_to_wait(queue: WaitQueue, entry: WaitEntry | None, exclusive: bool = False) -> WaitEntry:
    """Put the current task on the queue (again, after a wake); return its entry.  Point: always."""
    code = queue.code + QUEUE
    task = live.point(queue, code)
    if entry is None:
        entry = WaitEntry(queue, task, exclusive)
    if entry not in queue.entries:
        queue.entries.append(entry)
    entry.busy = True
    task.log((task.id, code, exclusive, None))
    return entry


def sleep_on(entry: WaitEntry) -> None:
    """Sleep until a wake is delivered to `entry`; returns at once if it came already.  Point: always."""
    code = entry.code
    task = live.gated(entry, code)
    task.log((task.id, code, None, None))


def finish_wait(entry: WaitEntry) -> None:
    """Leave the queue.  Point: always."""
    queue = entry.queue
    code = queue.code + DEQUEUE
    task = live.point(queue, code)
    if entry in queue.entries:
        queue.entries.remove(entry)
    entry.busy = False
    task.log((task.id, code, None, None))


def wake_up(queue: WaitQueue, exclusive: int = 1) -> int:
    """Deliver a wake to all non-exclusive sleepers and to at most `exclusive` exclusive ones (0: all).

    Returns how many were woken.  Point: always.
    """
    code = queue.code + WAKE
    task = live.point(queue, code)
    woken: tuple[int, ...] = ()
    if queue.entries:
        left = exclusive or len(queue.entries)
        for entry in list(queue.entries):
            if entry.exclusive:
                if left == 0:
                    continue
                left -= 1
            queue.entries.remove(entry)
            woken += (entry.task.id,)
            live.engine.set_free(entry)
    task.log((task.id, code, len(woken), woken))
    return len(woken)


def wake_up_all(queue: WaitQueue) -> int:
    """Deliver a wake to every sleeper; return how many.  Point: always."""
    return wake_up(queue, 0)


def wait_event(
    queue: WaitQueue,
    cond: Callable[[], bool],
    before_sleep: Callable[[], object] | None = None,
    after_sleep: Callable[[], object] | None = None,
    holds: Callable[[], bool] | None = None,
    exclusive: bool = False,
    holder: Callable[[], object] | None = None,
) -> None:
    """Sleep on `queue` until `cond` returns True; `cond` does at least one op.

    With `before_sleep` and `after_sleep` a lock that protects the condition is dropped for the sleep and taken again;
    `cond` runs with that lock held.  For explanations, without ops: `holds` is the same condition, `holder` names the
    task, or a list of tasks, all of which have to go on first.  Raises Violation in atomic context.  Point: always.
    """
    if before_sleep is None:
        might_sleep()
    if cond():
        return
    entry: WaitEntry | None = None
    while True:
        entry = prepare_to_wait(queue, entry, exclusive)
        entry.holds = holds
        entry.holder = holder
        if cond():
            break
        if before_sleep is not None:
            before_sleep()
            might_sleep()
        sleep_on(entry)
        if after_sleep is not None:
            after_sleep()
    finish_wait(entry)


class _QueuePart(Part):
    knots = True

    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> WaitQueue:
        return WaitQueue(code, guard, owner.name_, self.key)

    def untie(self, made: WaitQueue) -> None:
        made.entries = []  # sleepers that the end of the run found there; each knows its queue


def wait_queue() -> WaitQueue:
    """Declare a wait queue."""
    part: Any = _QueuePart()
    return part  # type: ignore[no-any-return]
