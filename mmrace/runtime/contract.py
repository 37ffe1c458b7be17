"""The contract of an engine: what primitives ask of it, and what it promises them.

An op is ``task = live.point(obj, code)``, the deed itself in plain Python, then ``task.log((task.id, code, a, b))``.
Between the two the caller owns `obj`: under control because only one task runs, under `free` because the caller holds
the guard of `obj`.  So nothing in between may block, start another op, or raise anything but a `Violation`, which ends
the run.

An op that can be disabled belongs to a `Gate`: `gated` returns when the gate is not busy.  A primitive that makes a
gate busy or free tells the engine so inside its op, by `set_busy` or `set_free`.

Point: `point` and `gated` always are one; nothing else in the contract is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mmrace.runtime.tables import Tables
from mmrace.runtime.task import Cpu, Gate, Guard, Guarded, Task


class Engine(Protocol):
    """See the module docstring.  One instance serves one run."""

    name: str
    real_threads: bool
    """Whether tasks are OS threads, so that locks of the model must be real ones."""
    aborting: bool
    marks: dict[str, int]
    tasks: list[Task]
    observer: Any
    """Told what events do not say (`enabled.Observer`), or None."""
    objects: list[tuple[int, Any]]
    """(first lane, object) of everything registered so far."""
    tables: Tables
    """What the program says of its own names."""

    def point(self, obj: Guarded, code: int) -> Task:
        """Announce an op that is always enabled; return the current task when it may do it."""

    def gated(self, gate: Gate, code: int) -> Task:
        """Announce an op that is disabled while ``gate.busy``; return when it may be done."""

    def access(self, obj: Guarded, code: int) -> Task:
        """Like `point`, for a plain access: the engine may let the task go on without a choice."""

    def others(self, task: Task) -> Gate | None:
        """Return a gate that is busy while another task lives, daemons apart; None if there is no such task."""

    def fix_order(self, fixed: bool) -> None:
        """From the next op on there is nothing to explore (or there is again); no op, no point."""

    def set_busy(self, gate: Gate) -> None:
        """Inside an op on `gate`: from now on ops gated by it are disabled."""

    def set_free(self, gate: Gate) -> None:
        """Inside an op on `gate`: ops gated by it are enabled again."""

    def cpu(self, number: int) -> Cpu:
        """Return CPU `number`.  Raises UsageError if the model has no such CPU."""

    def home(self, number: int) -> Cpu:
        """Return the CPU of task `number`, whose spawn names none."""

    def current(self) -> Task:
        """Return the task that calls."""

    def new_guard(self) -> Guard | None:
        """Return a guard for a new object, or None where one task runs at a time."""

    def alloc(self, owner: object, lanes: int) -> int:
        """Register an object of the model and return the first of its lanes."""

    def spawn(self, fn: Callable[..., object], args: tuple[object, ...], task: Task) -> None:
        """Inside the SPAWN op: start `task`."""

    def choose(self, task: Task, n: int) -> int:
        """Inside the CHOOSE op: return a value in range(n)."""

    def hold_cpu(self, task: Task) -> None:
        """Inside an op: preemption went off for `task` (its count rose from 0)."""

    def release_cpu(self, task: Task) -> None:
        """Inside an op: preemption is on again for `task`."""

    def irqs_off(self, task: Task) -> None:
        """Inside an op: interrupts went off on the task's CPU."""

    def irqs_on(self, task: Task) -> None:
        """Inside an op: interrupts are on again on the task's CPU."""

    def irq_enter(self, cpu: Cpu, code: int) -> Task:
        """The point of an interrupt: return when it may begin on `cpu`; the CPU's task is then held up."""

    def irq_exit(self, task: Task, cpu: Cpu) -> None:
        """At the end of an op, when it is logged: the interrupt is over."""

    def position(self, task: Task) -> int:
        """Return where the record (under `free`: the task's part of it) ends now."""

    def retry_point(self, task: Task, since: int, code: int) -> Task:
        """The point of a turn that repeats: see `retry.until_changed`."""

    def note(self, kind: str, facts: tuple[object, ...]) -> None:
        """Put a remark in the record, in order; no op, no point."""
