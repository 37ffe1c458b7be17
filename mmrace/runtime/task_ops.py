"""What a task does beside accesses: spawn, join, yield, choose, notes and marks.

Invariant: everything that can change the order or the outcome of a run goes through here or through a primitive.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from mmrace.runtime import live
from mmrace.runtime.context import might_sleep
from mmrace.runtime.errors import UsageError, Violation
from mmrace.runtime.fields import Field, shared
from mmrace.runtime.kinds import CHOOSE, JOIN, SPAWN, YIELD
from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Gate, Task
from mmrace.runtime.wait import WaitQueue, wait_event, wait_queue, wake_up_all

ITS_OWN = -1  # as a task's CPU: the engine says which


def current() -> Task:
    """Return the task that calls.  Point: never."""
    return live.current()


def spawn(
    fn: Callable[..., object],
    *args: object,
    name: object = None,
    cpu: int | None = ITS_OWN,
    acts_for: tuple[object, ...] = (),
    daemon: bool = False,
) -> Task:
    """Start a task that runs ``fn(*args)``.

    Args: name: stable name, or a tuple joined by "."; default: the spawner's name and an ordinal.  cpu: its CPU, None
    for a device; default: CPU 0, or in a program that is a function one of its own, while there are any, so that who
    holds a spinlock keeps nobody off but those who want it.  acts_for: I/O tokens whose locks it may release.  daemon:
    the run does not wait for it.

    Raises UsageError for a CPU that is not there.  Point: always.
    """
    engine = live.engine
    own = _own(live.current())
    if not callable(fn):
        raise UsageError(expected="a function", got=fn, where="spawn", try_="spawn(function, argument, ...)")
    named = None if cpu is None or cpu == ITS_OWN else engine.cpu(cpu)
    code = own.code + SPAWN
    parent = live.point(own, code)
    if name is None:
        name = (parent.name, parent.ordinal("task"))
    number = len(engine.tasks)
    home = engine.home(number) if cpu == ITS_OWN else named
    task = Task(number, name, home, parent, parent.seed)
    task.daemon = daemon
    task.acts_for = acts_for
    engine.spawn(fn, args, task)
    parent.log((parent.id, code, task.id, None))
    return task


def _own(task: Task) -> Gate:
    assert task.exit_gate is not None
    return task.exit_gate


def join(task: Task) -> None:
    """Wait until `task` ended.  Point: always (disabled before)."""
    gate = task.exit_gate
    assert gate is not None
    code = gate.code + JOIN
    me = live.gated(gate, code)
    me.log((me.id, code, task.id, None))


def join_others() -> None:
    """Wait until every other task ended, also those spawned meanwhile; daemons apart.  Point: if there is any.

    Under control that is one op; under `free` one for each.
    """
    engine = live.engine
    me = live.current()
    while (gate := engine.others(me)) is not None:
        code = gate.code + JOIN
        live.gated(gate, code)
        me.log((me.id, code, gate.owner.id if gate.owner is not None else None, None))


class _FixedOrder:
    """The block of `fixed_order`."""

    __slots__ = ("engine",)

    def __enter__(self) -> None:
        self.engine = live.engine
        self.engine.fix_order(True)

    def __exit__(self, *_: object) -> None:
        self.engine.fix_order(False)


def fixed_order() -> AbstractContextManager[None]:
    """Within the block a controlled engine explores nothing: the running task goes on while it can.  Point: never."""
    return _FixedOrder()


def schedule() -> None:
    """Give way: a point where any enabled task may run.  Point: always."""
    me = live.current()
    own = _own(me)
    code = own.code + YIELD
    me = live.point(own, code)
    me.log((me.id, code, None, None))


cond_resched = schedule


def sleep(ticks: int, what: str = "") -> None:
    """Give way for so many ticks of the model's clock: a note that says so, then a point like that of `schedule`.

    The sleep may end at any step once it has begun: no strategy but `timed` knows a clock, and what holds only because
    a sleep lasts is a race.  How long everything took is read off the record (`clock.py`).  Args: ticks: at least 1.
    what: is slept for, for the reader of the record.

    Raises Violation in atomic context.  Point: always.
    """
    if not isinstance(ticks, int) or ticks < 1:
        raise UsageError(expected="sleep(ticks) with ticks >= 1", got=ticks, where=what)
    might_sleep()
    live.engine.note("sleep", (ticks, what))
    schedule()


def choose(n: int, what: str = "") -> int:
    """Return a value in range(n); 0 is the ordinary one.  Under `free` the task's stream decides, else the strategy.

    `what` says what is chosen, for the reader of the code.  Point: always.
    """
    if not isinstance(n, int) or n < 1:
        raise UsageError(expected="choose(n) with n >= 1", got=n, where=what)
    engine = live.engine
    me = engine.current()
    own = _own(me)
    code = own.code + CHOOSE
    me = live.point(own, code)
    value = engine.choose(me, n)
    me.log((me.id, code, n, value))
    return value


def note(kind: str, *facts: object) -> None:
    """Put a remark in the record, in its order.  Point: never."""
    live.engine.note(kind, facts)


def reached(mark: str) -> None:
    """Count that a rare branch was reached.  Point: never."""
    marks = live.engine.marks
    marks[mark] = marks.get(mark, 0) + 1


def bug_on(condition: bool, text: str, **facts: object) -> None:
    """The kernel's BUG_ON: raises Violation if `condition` is true.  Point: never."""
    if condition:
        raise Violation("bug-on", text, task=live.current().name, **facts)


class Completion(Struct):
    """A one-shot event.  Source: Linux `include/linux/completion.h`, v3.3."""

    done: Field[bool] = shared(False)
    queue: WaitQueue = wait_queue()

    def complete(self) -> None:
        """Let every waiter, now and later, go on.  Point: always."""
        self.done = True
        wake_up_all(self.queue)

    def wait(self, holder: Callable[[], object] | None = None) -> None:
        """Sleep until `complete`.  Raises Violation in atomic context.  Point: always.

        Args: holder: names, without ops, the task that is to complete it, for who explains a standstill.
        """
        wait_event(self.queue, lambda: self.done, holds=lambda: bool(self._done), holder=holder)  # type: ignore[attr-defined]
