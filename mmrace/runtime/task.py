"""Tasks and CPUs: who runs, where, and in what context.

Invariant: everything here but `Task.log` belongs to the task itself or is changed inside an op; none of it is shared
state of the model.  Context (held locks, atomic depth, interrupts) is kept by the primitives and read by
`context.might_sleep`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmrace.runtime.contract import Gate, Guard, Site

if TYPE_CHECKING:
    from mmrace.runtime.wait import WaitEntry


class Cpu(Gate):
    """One CPU of the model.  As a gate it is busy while no interrupt can begin on it."""

    __slots__ = ("id", "irq_lock", "irq_task", "preempt_owner", "run_lock", "tasks")

    def __init__(self, number: int, code: int, guard: Guard | None) -> None:
        super().__init__(code, guard)
        self.id = number
        self.tasks: list[Task] = []
        self.irq_task: Task | None = None
        self.preempt_owner: Task | None = None
        self.irq_lock: Any = None  # `free` only: held by whoever keeps interrupts away from an op
        self.run_lock: Any = None  # `free` only: held by the one task of the CPU that runs


class Task:
    """A thread of control under the runtime: an OS thread, or a fiber.

    Attributes for the model: name, cpu (number, None for a device), pf (PF_* flags, task-local), journal_info
    (task-local), rng (its own stream).  The rest is the engine's.
    """

    __slots__ = (
        "acts_for", "args", "baton", "bit", "cpu_", "daemon", "done", "entry", "events", "exit_gate", "fn", "fresh",
        "gate", "guard", "has_irq", "has_run", "held", "home", "id", "in_irq", "irq_depth", "journal_info", "log",
        "name_", "noise", "on", "parent", "parked", "pending", "pf", "preempt", "rcu", "ready", "rng_", "seed",
        "site", "sites", "stalled", "stamps",
    )  # fmt: skip

    def __init__(self, number: int, name: object, cpu: Cpu | None, parent: Task | None, seed: object) -> None:
        self.id = number
        self.name_ = name
        self.bit = 1 << number
        self.cpu_ = cpu
        self.home = cpu  # where it lives outside interrupts
        self.parent = parent
        self.seed = seed
        self.rng_: random.Random | None = None
        self.pf = 0
        self.journal_info: Any = None
        self.daemon = False
        self.acts_for: tuple[object, ...] = ()
        self.fn: Callable[..., object] | None = None
        self.args: tuple[object, ...] = ()
        # context
        self.held: list[object] = []
        self.preempt = 0
        self.irq_depth = 0
        self.in_irq = False
        self.rcu = 0
        # scheduling
        self.pending = 0
        self.ready = True
        self.stalled = False
        self.on = False
        self.done = False
        self.parked = False
        self.has_run = False  # `free` only: holds its CPU's run lock, irq lock
        self.has_irq = False
        self.gate: Gate | None = None
        self.entry: WaitEntry | None = None
        self.baton: Any = None
        self.exit_gate: Gate | None = None
        # record
        self.log: Callable[[tuple[object, ...]], None] = _not_started
        self.site: Site | None = None
        self.events: list[Any] = []
        self.stamps: list[tuple[int, int]] = []
        self.sites: list[Site | None] = []
        self.guard: Guard | None = None
        self.noise: Callable[[Any, int], None] | None = None
        self.fresh: dict[str, int] = {}

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

    def __repr__(self) -> str:
        return f"<task {self.name}>"


def _not_started(event: tuple[object, ...]) -> None:
    raise AssertionError(f"event {event} of a task that no engine started")
