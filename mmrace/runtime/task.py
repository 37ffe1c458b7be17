"""Tasks, CPUs, and what tasks wait at: who runs, where, and in what context.

Invariant: everything here but `Task.log` belongs to the task itself or changes inside an op; it is never shared state
of the model.  Primitives keep the context (held locks, atomic depth, interrupts), and `context.might_sleep` reads it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

Site = tuple[Any, int, Any, int]
"""(code object, instruction offset, caller's code object, caller's offset); named by `sites.site_name`."""


class Guard:
    """What makes one op on an object atomic under `free`: a lock, and the stamp of the object's last op."""

    __slots__ = ("lock", "ver")

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.ver = 0


class Guarded(Protocol):
    """Anything that an op can be on."""

    guard: Guard | None


class Gate:
    """An object whose op may have to wait: disabled while `busy`.

    `waiters` are the tasks with an op pending on it; `owner` made it busy, at the site `taken_at`.
    """

    __slots__ = ("busy", "code", "guard", "owner", "taken_at", "waiters")

    def __init__(self, code: int, guard: Guard | None) -> None:
        self.code = code
        self.guard = guard
        self.busy = False
        self.owner: Task | None = None
        self.taken_at: Site | None = None
        self.waiters: list[Task] = []


class Cpu(Gate):
    """One CPU of the model.  As a gate it is busy while no interrupt can begin on it."""

    __slots__ = ("id", "irq_lock", "irq_task", "preempt_owner", "run_lock", "tasks")

    def __init__(self, number: int, code: int, guard: Guard | None) -> None:
        self.code = code
        self.guard = guard
        self.busy = False
        self.owner = None
        self.taken_at = None
        self.waiters = []
        self.id = number
        self.tasks: list[Task] = []
        self.irq_task: Task | None = None
        self.preempt_owner: Task | None = None
        self.irq_lock: Any = None  # `free` only: held by whoever keeps interrupts away from an op
        self.run_lock: Any = None  # `free` only: held by the one task of the CPU that runs


class Task:
    """A thread of control under the runtime: an OS thread, or a fiber.

    Attributes for the program: name, cpu (number, None for a device), rng (its own stream); pf (flags) and info (any
    value), which only the task itself uses.  The rest is the engine's.

    A run may have many tasks of few ops each: attributes that most tasks never set are class-level defaults, not slots.
    A `__getattr__` would not do: CPython then slows down every attribute access.
    """

    __slots__ = (
        "__dict__", "acts_for", "args", "baton", "bit", "cpu_", "daemon", "done", "exit_gate", "fn", "gate",
        "held", "home", "id", "in_irq", "irq_depth", "log", "name_", "named", "on", "parent", "pending", "preempt",
        "rcu", "ready", "seed", "site", "stalled",
    )  # fmt: skip
    pf = 0
    info: Any = None
    rng_: random.Random | None = None
    left = False  # left behind (`leftover.py`)
    # `free` only
    parked = False
    has_run = False  # holds its CPU's run lock, irq lock
    has_irq = False
    guard: Guard | None = None
    joins_others = False  # all of them, though its gate is the end of one
    refused = 0  # number of the op that it may not do
    noise: Callable[[Any, int], None] | None = None

    def __init__(self, number: int, name: object, cpu: Cpu | None, parent: Task | None, seed: object) -> None:
        self.id = number
        self.name_ = name
        self.named: dict[str, int] | None = None
        self.bit = 1 << number
        self.cpu_ = self.home = cpu  # `home`: where it lives outside interrupts
        self.parent = parent
        self.seed = seed
        self.fn: Callable[..., object] | None = None
        self.args: tuple[object, ...] = ()
        self.daemon = False
        self.acts_for: tuple[object, ...] = ()
        # context
        self.held: list[object] = []
        self.preempt = 0
        self.irq_depth = 0
        self.in_irq = False
        self.rcu = 0
        # scheduling
        self.pending = 0
        self.ready = True
        self.stalled = self.on = self.done = False
        self.gate: Gate | None = None
        self.baton: Any = None
        self.exit_gate: Gate | None = None
        # record
        self.log: Callable[[tuple[object, ...]], None] = not_started
        self.site: Site | None = None

    def ordinal(self, kind: str) -> int:
        """Return how many objects of a kind the task has named so far, and count one more."""
        named = self.named
        if named is None:
            named = self.named = {}
        number = named.get(kind, 0)
        named[kind] = number + 1
        return number

    @cached_property
    def events(self) -> list[Any]:
        """Under `free`: its part of the record; beside it `stamps` and `sites`."""
        return []

    @cached_property
    def stamps(self) -> list[tuple[int, int]]:
        """See `events`."""
        return []

    @cached_property
    def sites(self) -> list[Site | None]:
        """See `events`."""
        return []

    @property
    def name(self) -> str:
        """The stable name: who spawned it, and its ordinal, or the name that the scenario gave."""
        name = self.name_
        return name if isinstance(name, str) else ".".join(str(part) for part in name)  # type: ignore[attr-defined]

    @property
    def cpu(self) -> int | None:
        """Number of the CPU it runs on now; None for a device outside an interrupt."""
        return None if self.cpu_ is None else self.cpu_.id

    @property
    def rng(self) -> random.Random:
        """The task's own stream of random numbers, a function of the run's seed and the task's name."""
        if self.rng_ is None:
            self.rng_ = random.Random(f"{self.seed}/{self.name}")
        return self.rng_

    @cached_property
    def choices(self) -> random.Random:
        """Under `free`: the stream that `choose` draws from; `rng` is the program's, and the same on each engine."""
        return random.Random(f"{self.seed}/{self.name}/choices")

    def __repr__(self) -> str:
        return f"<task {self.name}>"


def not_started(event: tuple[object, ...]) -> None:
    """Be the `log` of a task that does not run: before its engine starts it, and after its run."""
    raise AssertionError(f"event {event} of a task that no engine runs")
