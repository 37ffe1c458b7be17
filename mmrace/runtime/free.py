"""Engine `free`: real threads, all at once; the operating system decides, noise helps it.

An op holds its object's guard from its point to its log, and its CPU's irq lock with it, so that an interrupt begins
between ops and a CPU's task does not go on while one runs.  While the guard is held the op gets a stamp from one
counter for the whole run.  Beside the event the engine keeps that stamp and the one of the op before on the same
object: so a read names the write that it saw, and the merged record is a linear extension of task order and object
order.

Lock order inside the engine: a CPU's run lock, its irq lock, the object's guard; none is held while a task is parked.
Invariant: no task blocks where an abort cannot reach it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import Any

from mmrace.runtime import live, pool, sites
from mmrace.runtime.errors import Abort, InternalError, Violation
from mmrace.runtime.kinds import BEGIN, EXIT, NOTE, SHIFT
from mmrace.runtime.leftover import GivenUp
from mmrace.runtime.noise import Noise
from mmrace.runtime.poison import check_alive
from mmrace.runtime.tables import EMPTY, Tables
from mmrace.runtime.task import Cpu, Gate, Guard, Task
from mmrace.runtime.watchdog import Watchdog

POLL_SECONDS = 0.02  # how often a blocked CPU lock looks for an abort
RETRY_PAUSE_SECONDS = 20e-6


class FreeEngine(Watchdog):
    """The free-running engine.  Its methods implement `contract.py`; those have their docstrings there.

    Args: noise: what disturbs the run, and what it changes in the process.  seed: of noise and of the tasks' own
    streams.  ncpus: CPUs of the model.  steps_max: bound of a run in ops.  sites: keep the site of every op.
    record: keep events (False only in benchmarks).  tables: what the program says of its names.
    """

    name = "free"
    real_threads = True

    def __init__(
        self,
        noise: Noise,
        *,
        seed: object = 0,
        ncpus: int = 2,
        steps_max: int = 200_000,
        sites: bool = True,
        record: bool = True,
        tables: Tables = EMPTY,
    ) -> None:
        super().__init__(steps_max, record)
        self.noise = noise
        self.seed = seed
        self.with_sites = sites
        self.tables = tables
        self.observer = None
        self.marks: dict[str, int] = {}
        self.objects = []
        self.lanes = 0
        self.cpus = []
        for i in range(ncpus):
            cpu = Cpu(i, self.alloc(f"cpu:{i}", 1) << SHIFT, self.new_guard())
            cpu.irq_lock = threading.Lock()
            cpu.run_lock = threading.Lock()
            self.cpus.append(cpu)

    # -- contract ---------------------------------------------------------------------------------------------------

    def point(self, obj: Any, code: int) -> Task:
        task = self.by_ident[get_ident()]
        if task.noise is not None:
            task.noise(obj, code)
        if self.aborting:
            raise Abort
        if self.with_sites:
            task.site = sites.here(2)
        cpu = task.cpu_
        if cpu is not None and not task.in_irq:
            if not task.has_run:
                self._take(cpu.run_lock)
                task.has_run = True
            if not task.has_irq:
                self._take(cpu.irq_lock)
                task.has_irq = True
        guard: Guard = obj.guard
        guard.lock.acquire()
        task.guard = guard
        try:
            check_alive(obj, code)
        except Violation:  # a `finally` of the model may still use what was kept of the object
            task.refused = next(self.stamps)
            self._drop(task)
            raise
        return task

    def gated(self, gate: Gate, code: int) -> Task:
        while True:
            task = self.point(gate, code)
            if not gate.busy:
                task.gate = None
                return task
            gate.waiters.append(task)
            task.gate = gate
            task.pending = code  # for explanations only
            self._drop(task)
            self._park(task)
            task.pending = 0

    def access(self, obj: Any, code: int) -> Task:
        return self.point(obj, code)

    def others(self, task: Task) -> Gate | None:
        for other in list(self.tasks):
            gate = other.exit_gate
            if other is not task and not other.daemon and gate is not None and gate.busy:
                task.joins_others = True
                return gate
        task.joins_others = False
        return None

    def fix_order(self, fixed: bool) -> None:
        """Nothing to do: the operating system decides."""

    def set_busy(self, gate: Gate) -> None:
        gate.busy = True

    def set_free(self, gate: Gate) -> None:
        gate.busy = False
        if gate.waiters:
            waiters, gate.waiters = gate.waiters, []
            for task in waiters:
                self._unpark(task)

    def current(self) -> Task:
        return self.by_ident[get_ident()]

    def new_guard(self) -> Guard | None:
        return Guard(threading.Lock())

    def alloc(self, owner: object, lanes: int) -> int:
        with self.state:
            base = self.lanes
            self.lanes = base + lanes
            self.objects.append((base, owner))
        return base

    def choose(self, task: Task, n: int) -> int:
        return task.choices.randrange(n)

    def note(self, kind: str, facts: tuple[object, ...]) -> None:
        task = self.by_ident[get_ident()]
        if self.recording:
            task.events.append((task.id, NOTE, kind, facts))
            task.stamps.append((next(self.stamps), 0))
            task.sites.append(None)

    def position(self, task: Task) -> int:
        return 0

    def retry_point(self, task: Task, since: int, code: int) -> Task:
        time.sleep(RETRY_PAUSE_SECONDS)
        return self.point(task.exit_gate, code)

    def spawn(self, fn: Callable[..., object], args: tuple[object, ...], task: Task) -> None:
        task.fn, task.args = fn, args
        begin = pool.start(partial(self._thread, task))  # first: there may be no thread left, and then there is no task
        gate = Gate(self.alloc(task, 1) << SHIFT, self.new_guard())
        gate.busy = True
        gate.owner = task
        task.exit_gate = gate
        task.baton = threading.Lock()
        task.baton.acquire()
        task.log = self._logger(task)
        with self.state:
            task.id = len(self.tasks)
            task.bit = 1 << task.id
            self.tasks.append(task)
            self.awake += 1
            if not task.daemon:
                self.alive += 1
            if task.cpu_ is not None:
                task.cpu_.tasks.append(task)
        task.noise = self.noise.for_task(task)
        begin.release()

    # -- ops --------------------------------------------------------------------------------------------------------

    def _logger(self, task: Task) -> Callable[[tuple[object, ...]], None]:
        append, stamp, mark, stamps = task.events.append, task.stamps.append, task.sites.append, self.stamps
        recording, give_back = self.recording, self._give_back

        def log(event: tuple[object, ...]) -> None:
            guard = task.guard
            assert guard is not None
            if recording:
                append(event)
                number = next(stamps)
                stamp((number, guard.ver))
                guard.ver = number
                mark(task.site)
            task.guard = None
            guard.lock.release()
            if task.has_run and not task.irq_depth:
                give_back(task)

        return log

    @staticmethod
    def _give_back(task: Task) -> None:
        """Between ops: let interrupts, and the CPU's other tasks, in as far as the task's context allows."""
        cpu = task.home
        assert cpu is not None
        if task.has_irq and not task.irq_depth:
            task.has_irq = False
            cpu.irq_lock.release()
        if task.has_run and not task.preempt and not task.irq_depth:
            task.has_run = False
            cpu.run_lock.release()

    def _take(self, lock: Any) -> None:
        if lock.acquire(blocking=False):
            return
        while not lock.acquire(timeout=POLL_SECONDS):
            if self.aborting:
                raise Abort

    def _drop(self, task: Task) -> None:
        """End an op that was not done: give back what `point` took."""
        guard, task.guard = task.guard, None
        if guard is None:
            return
        guard.lock.release()
        if task.has_run:
            self._give_back(task)

    # -- parking ----------------------------------------------------------------------------------------------------

    def _park(self, task: Task) -> None:
        task.parked = True
        with self.state:
            self.awake -= 1
            if self.awake == 0:
                self._alert()
        if self.aborting:
            raise Abort
        task.baton.acquire()
        task.parked = False
        if self.aborting:
            raise Abort

    def _unpark(self, task: Task) -> None:
        with self.state:
            self.awake += 1
        try:
            task.baton.release()
        except RuntimeError:  # an abort released it already
            if not self.aborting:
                raise InternalError(f"{task.name} was unparked twice") from None

    # -- contexts ---------------------------------------------------------------------------------------------------

    def hold_cpu(self, task: Task) -> None:
        if task.cpu_ is not None and not task.in_irq:
            task.cpu_.preempt_owner = task

    def release_cpu(self, task: Task) -> None:
        if task.cpu_ is not None and not task.in_irq and not task.irq_depth:
            task.cpu_.preempt_owner = None

    def irqs_off(self, task: Task) -> None:
        """Nothing to do: the task keeps its irq lock while `irq_depth` is not 0."""

    def irqs_on(self, task: Task) -> None:
        """Nothing to do: the end of this op gives the irq lock back."""

    def irq_enter(self, cpu: Cpu, code: int) -> Task:
        task = self.by_ident[get_ident()]
        self._take(cpu.irq_lock)
        task.in_irq = True
        task.cpu_ = cpu
        cpu.irq_task = task
        return self.point(cpu, code)

    def irq_exit(self, task: Task, cpu: Cpu) -> None:
        task.in_irq = False
        task.cpu_ = None
        cpu.irq_task = None
        cpu.irq_lock.release()

    # -- life and end -----------------------------------------------------------------------------------------------

    def run(self, main: Callable[[], object], cpu: int = 0) -> None:
        """Run `main` as the first task until every task has ended, daemons apart; then unwind the rest.

        The outcome is in `end`, `error` and each task's events.  What noise changed in the process is restored.
        """
        try:
            live.install(self)
            self.noise.begin()
            try:
                root = Task(0, "main", self.cpus[cpu], None, self.seed)
                self.spawn(main, (), root)
                self._watch()
            finally:
                self._unwind()
                self._note_broken()
            if self.given_up is not None and not self.end:
                raise self.given_up
        finally:
            self.noise.finish()
            live.remove(self)

    def movers(self) -> dict[int, Task]:
        """Return who could do an op now, by ident of the thread."""
        return {ident: task for ident, task in list(self.by_ident.items()) if not (task.parked or task.done)}

    def give_up(self, why: GivenUp) -> None:
        """From another thread: end the run without these tasks, which do nothing."""
        with self.state:  # before any of them can end
            self.given_up = why
        for ident, task in self.movers().items():
            if task in why.tasks:
                pool.leave(ident)
                task.done = True
        self._alert()

    def _thread(self, task: Task) -> None:
        self.by_ident[get_ident()] = task
        try:
            if not self.aborting:
                assert task.fn is not None and task.exit_gate is not None
                spawner = task.parent.exit_gate if task.parent is not None else None
                if spawner is not None and spawner.guard is not None:
                    with spawner.guard.lock:  # held from the SPAWN op to its log: begin after it
                        pass
                code = task.exit_gate.code + BEGIN
                self.point(task.exit_gate, code)
                task.site = None  # nowhere in the model
                task.log((task.id, code, None, None))
                returned = task.fn(*task.args)
                if returned is not None:
                    self._returned(task, returned)
                self._exit(task)
        except Abort:
            pass
        except BaseException as error:
            self._failed(task, error)
        finally:
            self._gone(task)

    def _exit(self, task: Task) -> None:
        gate = task.exit_gate
        assert gate is not None
        code = gate.code + EXIT
        self.point(gate, code)
        task.site = None  # nowhere in the model
        self.set_free(gate)
        task.log((task.id, code, tuple(str(lock) for lock in task.held), None))

    def _gone(self, task: Task) -> None:
        if task.guard is not None:
            task.guard.lock.release()
            task.guard = None
        task.irq_depth = task.preempt = 0
        if task.has_run:
            self._give_back(task)
        if task.in_irq and task.cpu_ is not None:
            task.cpu_.irq_lock.release()
        with self.state:
            task.done = True
            self.awake -= 1
            if not task.daemon:
                self.alive -= 1
            if self.alive == 0 and self.given_up is None:
                self.end = self.end or {"how": "finished", "detail": {}}
            if self.awake == 0 or self.alive == 0 or self.aborting:
                self._alert()
        self.by_ident.pop(get_ident(), None)
