"""What the controlled engines share: one task at a time, and a strategy that chooses at every point.

The floor belongs to `self.running`; only the task that has it touches anything here.  The enabled list is kept
incrementally: a task is on it while its pending op can be done (`ready`) and its CPU lets it run (not `stalled`).
One pick is one event.  Invariant: `len(self.masks)` is the number of ops done or about to be done, `masks[i]` the set
of tasks that were enabled when op i was picked (bit = task id).

A subclass supplies `_switch` (hand the floor over and wait for it), `_start` and `_leave`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from mmrace.runtime import explain, live, sites
from mmrace.runtime.contract import Gate, Guard, Site
from mmrace.runtime.errors import Abort, InternalError, UsageError, Violation, of_unwinding
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.strategy import FAIR_SHARE, RoundRobin, Strategy
from mmrace.runtime.task import Cpu, Task
from mmrace.runtime.watch import RetryGate, changes, concerns, looked_at

_BEGIN, _EXIT = int(Kind.BEGIN), int(Kind.EXIT)


class Controlled:
    """Base of the controlled engines; see the module docstring.

    Args: strategy: who chooses.  seed: of the tasks' own streams.  ncpus: CPUs of the model.  steps_max: bound of a
    run in ops.  sites: keep the site of every op (costs time; needed for reports).
    """

    name = "controlled"

    def __init__(
        self, strategy: Strategy, *, seed: object = 0, ncpus: int = 2, steps_max: int = 100_000, sites: bool = False
    ) -> None:
        self.strategy = strategy
        self.seed = seed
        self.steps_max = steps_max
        self.with_sites = sites
        self.aborting = False
        self.marks: dict[str, int] = {}
        self.tasks: list[Task] = []
        self.objects: list[tuple[int, Any]] = []
        self.lanes = 0
        self.events: list[Any] = []
        self.masks: list[int] = []
        self.sites: list[Site | None] = []
        self.enabled: list[Task] = []
        self.mask = 0
        self.budget = steps_max
        self.bounded_at: int | None = None
        self.alive = 0  # tasks that the run waits for
        self.switches = 0
        self.end: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.watching: list[RetryGate] = []
        self.watched = 0
        self.running: Task = None  # type: ignore[assignment]
        self.log: Callable[[tuple[Any, ...]], None] = self.events.append
        self._always = strategy.every_step
        self.cpus = [Cpu(i, self.alloc(f"cpu:{i}", 1) << SHIFT, None) for i in range(ncpus)]

    # -- contract ---------------------------------------------------------------------------------------------------

    def point(self, obj: object, code: int) -> Task:
        task = self.running
        task.pending = code
        if self.watching:
            self._watch()
        enabled = self.enabled
        self.budget -= 1
        if self.budget < 0:
            self._bound()
        if len(enabled) == 1 and task.on and not self._always:
            self.masks.append(self.mask)
        else:
            chosen = self._pick(task)
            if chosen is not task:
                self._switch(task, chosen)
        if self.with_sites:
            task.site = site = sites.here(2)
            self.sites.append(site)
        return task

    def gated(self, gate: Gate, code: int) -> Task:
        task = self.running
        task.pending = code
        if self.watching:
            self._watch()
        self.budget -= 1
        if self.budget < 0:
            self._bound()
        task.gate = gate
        if self.with_sites:
            task.site = sites.here(2)
        gate.waiters.append(task)
        if gate.busy:
            task.ready = False
            self._off(task)
        chosen = self._pick(task)
        if chosen is not task:
            self._switch(task, chosen)
        gate.waiters.remove(task)
        task.gate = None
        if gate.busy:
            raise InternalError(f"{task.name} was picked for a disabled op on {gate}")
        if self.with_sites:
            self.sites.append(task.site)
        return task

    def set_busy(self, gate: Gate) -> None:
        gate.busy = True
        for task in gate.waiters:
            if task.ready:
                task.ready = False
                self._off(task)

    def set_free(self, gate: Gate) -> None:
        gate.busy = False
        for task in gate.waiters:
            task.ready = True
            self._maybe_on(task)

    def current(self) -> Task:
        return self.running

    def cpu(self, number: int) -> Cpu:
        if not 0 <= number < len(self.cpus):
            raise UsageError(expected=f"a CPU in 0..{len(self.cpus) - 1}", got=number, where="the model's CPUs")
        return self.cpus[number]

    def new_guard(self) -> Guard | None:
        return None

    def alloc(self, owner: object, lanes: int) -> int:
        base = self.lanes
        self.lanes = base + lanes
        self.objects.append((base, owner))
        return base

    def choose(self, task: Task, n: int) -> int:
        value = self.strategy.choose(task, n, len(self.masks) - 1)
        if not 0 <= value < n:
            raise InternalError(f"strategy chose {value} out of {n}")
        return value

    def note(self, kind: str, facts: tuple[object, ...]) -> None:
        self.log((self.running.id, NOTE, kind, facts))

    def position(self, task: Task) -> int:
        return len(self.events)

    def spawn(self, fn: Callable[..., object], args: tuple[object, ...], task: Task) -> None:
        task.fn, task.args = fn, args
        task.log = self.log
        gate = Gate(self.alloc(task, 1) << SHIFT, None)
        gate.busy = True
        gate.owner = task
        task.exit_gate = gate
        task.pending = gate.code + _BEGIN
        self.tasks.append(task)
        if not task.daemon:
            self.alive += 1
        if task.cpu_ is not None:
            self._move_in(task, task.cpu_)
        self._start(task)
        self._maybe_on(task)

    # -- contexts ---------------------------------------------------------------------------------------------------

    def hold_cpu(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq:
            cpu.preempt_owner = task
            if len(cpu.tasks) > 1:
                self._stall(cpu)

    def release_cpu(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq and not task.irq_depth:
            cpu.preempt_owner = None
            if len(cpu.tasks) > 1:
                self._stall(cpu)

    def irqs_off(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq:
            cpu.preempt_owner = task
            self.set_busy(cpu)
            if len(cpu.tasks) > 1:
                self._stall(cpu)

    def irqs_on(self, task: Task) -> None:
        cpu = task.cpu_
        if cpu is not None and not task.in_irq:
            if not task.preempt:
                cpu.preempt_owner = None
            self.set_free(cpu)
            if len(cpu.tasks) > 1:
                self._stall(cpu)

    def irq_enter(self, cpu: Cpu, code: int) -> Task:
        task = self.gated(cpu, code)
        task.in_irq = True
        task.cpu_ = cpu
        cpu.irq_task = task
        self.set_busy(cpu)
        self._stall(cpu)
        return task

    def irq_exit(self, task: Task, cpu: Cpu) -> None:
        task.in_irq = False
        task.cpu_ = None
        cpu.irq_task = None
        self.set_free(cpu)
        self._stall(cpu)

    def _move_in(self, task: Task, cpu: Cpu) -> None:
        cpu.tasks.append(task)
        task.stalled = self._stalls(task, cpu)

    def _stalls(self, task: Task, cpu: Cpu) -> bool:
        if cpu.irq_task is not None:
            return cpu.irq_task is not task
        return cpu.preempt_owner is not None and cpu.preempt_owner is not task

    def _stall(self, cpu: Cpu) -> None:
        """Recompute who of this CPU's own tasks may run."""
        for task in cpu.tasks:
            stalled = self._stalls(task, cpu)
            if stalled != task.stalled:
                task.stalled = stalled
                if stalled:
                    self._off(task)
                else:
                    self._maybe_on(task)

    # -- enabled list -----------------------------------------------------------------------------------------------

    def _off(self, task: Task) -> None:
        if task.on:
            task.on = False
            self.enabled.remove(task)
            self.mask ^= task.bit

    def _maybe_on(self, task: Task) -> None:
        if not task.on and task.ready and not task.stalled and not task.done:
            task.on = True
            self.enabled.append(task)
            self.mask ^= task.bit

    def _pick(self, task: Task) -> Task:
        enabled = self.enabled
        if not enabled:
            self._stuck(task)
        step = len(self.masks)
        self.masks.append(self.mask)
        if len(enabled) == 1 and not self._always:
            return enabled[0]
        chosen = self.strategy.pick(enabled, task, step)
        if not chosen.on:
            raise InternalError(f"strategy picked {chosen.name}, which is not enabled")
        return chosen

    # -- retry ------------------------------------------------------------------------------------------------------

    def retry_point(self, task: Task, since: int, code: int) -> Task:
        lanes: set[int] = set()
        changed = False
        for event in self.events[since:]:
            if event[1] < 0:
                continue
            if event[0] == task.id:
                looked_at(lanes, event[1])
            elif changes(event) and concerns(event, lanes):
                changed = True
                break
        if changed:
            return self.point(None, code)
        gate = RetryGate(code, lanes)
        if self.watching:  # what this task did last may be what another one waits for
            self._watch()
        self.watched = len(self.events)
        self.watching.append(gate)
        task = self.gated(gate, code)
        if gate in self.watching:
            self.watching.remove(gate)
        return task

    def _watch(self) -> None:
        events = self.events
        for i in range(self.watched, len(events)):
            event = events[i]
            if changes(event):
                for gate in self.watching[:]:
                    if concerns(event, gate.lanes):
                        self.watching.remove(gate)
                        self.set_free(gate)
        self.watched = len(events)

    # -- life and end -----------------------------------------------------------------------------------------------

    def run(self, main: Callable[[], object], cpu: int = 0) -> None:
        """Run `main` as the first task, to the end of every task that is no daemon; then unwind the rest.

        What came of it is in `end`, `events`, `error` (an exception of the model that is no verdict, or None).
        """
        live.install(self)
        try:
            root = Task(0, "main", self.cpus[cpu], None, self.seed)
            self.running = root
            self.spawn(main, (), root)
            try:
                self._pick(root)
            except Exception as error:  # a replay of another program's record: let the root's thread go
                self._fail(root, error)
            self._begin(root)
        finally:
            live.remove()

    def _body(self, task: Task) -> None:
        """The life of a task, called with the floor."""
        try:
            if not self.aborting:
                assert task.fn is not None and task.exit_gate is not None
                if self.with_sites:
                    self.sites.append(None)
                self.log((task.id, task.exit_gate.code + _BEGIN, None, None))
                task.fn(*task.args)
                self._exit(task)
        except Abort:
            pass
        except BaseException as error:
            self._fail(task, error)
        task.done = True
        self._off(task)
        if not self.aborting and self.alive == 0 and not task.daemon:
            self._finish({"how": "finished", "detail": {}})

    def _exit(self, task: Task) -> None:
        gate = task.exit_gate
        assert gate is not None
        code = gate.code + _EXIT
        self.point(gate, code)
        if self.with_sites:
            task.site = self.sites[-1] = None  # nowhere in the model
        self.set_free(gate)
        gate.owner = task
        if task.cpu_ is not None and not task.in_irq:
            task.cpu_.tasks.remove(task)
            if task.preempt or task.irq_depth:  # the lock discipline oracle speaks; the others may go on
                task.cpu_.preempt_owner = None
                self._stall(task.cpu_)
        self.log((task.id, code, tuple(str(lock) for lock in task.held), None))
        task.done = True
        if not task.daemon:
            self.alive -= 1

    def _next(self, task: Task) -> Task | None:
        """After `task` ended: who gets the floor; None if the run is over."""
        if not self.aborting:
            if self.watching:
                self._watch()
            if not self.enabled:
                with contextlib.suppress(Abort):
                    self._stuck(task)
            else:
                return self._pick(task)
        return next((other for other in self.tasks if not other.done), None)

    def _finish(self, end: dict[str, Any]) -> None:
        if not self.end:
            self.end = end
        self.stop()

    def stop(self) -> None:
        """Make every task unwind at its next point."""
        self.aborting = True
        self.budget = -1
        self.watching = []

    def _fail(self, task: Task, error: BaseException) -> None:
        if of_unwinding(error):
            return
        if isinstance(error, Violation):
            facts = {"task": task.name, **error.facts}
            self.log((task.id, NOTE, "violation", (error.oracle, error.rule, facts)))
            detail = {"oracle": error.oracle, "rule": error.rule, "facts": facts, "at": sites.site_name(task.site)}
            self._finish({"how": "violation", "detail": detail})
        else:
            self.error = self.error or error
            self._finish({"how": "abort", "detail": {"task": task.name, "error": repr(error)}})

    def _stuck(self, task: Task) -> None:
        """Nothing is enabled: the daemons idle, a deadlock, or a lost wake-up.  Raises Abort."""
        if self.alive == 0:
            self._finish({"how": "finished", "detail": {}})
        else:
            self._finish({"how": "deadlock", "detail": explain.standstill(self.tasks)})
        raise Abort

    def _bound(self) -> None:
        """The bound is reached: be fair for a while; then say livelock if nobody got anywhere, else cut the run."""
        if self.aborting:  # set by `_finish`: every further point unwinds
            raise Abort
        if self.bounded_at is None:
            self.bounded_at = len(self.events)
            self.budget = max(1, self.steps_max // FAIR_SHARE)
            self.strategy = RoundRobin()
            return
        detail = explain.bound(self.tasks, self.events[self.bounded_at :], len(self.masks))
        self._finish({"how": "bound", "detail": detail})
        raise Abort

    def _switch(self, task: Task, chosen: Task) -> None:
        raise NotImplementedError

    def _start(self, task: Task) -> None:
        raise NotImplementedError

    def _begin(self, root: Task) -> None:
        raise NotImplementedError
