"""What the controlled engines share: one task at a time, and a strategy that chooses at every point.

The floor belongs to `self.running`; only the task that has it touches anything here.  One pick is one event.
Who gets it next is settled in `asking.py`.  Invariant: `len(self.masks)` is the number of ops done or about to be done,
`masks[i]` the set of tasks that were enabled when op i was picked (bit = task id).

A subclass supplies `_start`, `_begin`, and the contract's `point` and `gated`, with its own way to hand the floor over
in the middle of them: every op passes there, and one more call would cost a tenth of it.

A run's objects refer to each other in rings.  `release` cuts them all, so that a run is freed when its owner lets go
of it, and not by a garbage collection, which costs as much as a small run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from mmrace.runtime import live, sites, standstill
from mmrace.runtime.asking import Asking
from mmrace.runtime.ending import Ending
from mmrace.runtime.errors import Abort
from mmrace.runtime.kinds import BEGIN, EXIT, NOTE, SHIFT
from mmrace.runtime.strategy import FAIR_ROUNDS, FAIR_SHARE, RoundRobin, Strategy
from mmrace.runtime.struct import Struct
from mmrace.runtime.tables import EMPTY, Tables
from mmrace.runtime.task import Cpu, Gate, Guard, Site, Task

_NOBODY = RoundRobin()  # the strategy of a run that is over


class Controlled(Asking, Ending):
    """Base of the controlled engines; see the module docstring.

    Args: strategy: who chooses.  seed: of the tasks' own streams.  ncpus: CPUs of the model.  steps_max: bound of a
    run in ops.  sites: keep the site of every op (costs time; needed for reports).  promoted: the plain fields
    ("Class.field") whose accesses are switch points; None: all of them.  tables: what the program says of its names.

    Its methods implement `contract.py`; those have their docstrings there.  Attributes that no point reads are not
    slots: a default that most runs leave alone is in the class and costs a run nothing.
    """

    __slots__ = (
        "_alone", "aborting", "alive", "lanes", "log", "promoted", "tasks", "with_sites",
    )  # fmt: skip
    name = "controlled"
    real_threads = True
    bounded_at: int | None = None
    fair_since = 0
    promoted_lanes: set[int]

    def __init__(
        self,
        strategy: Strategy,
        *,
        seed: object = 0,
        ncpus: int = 2,
        steps_max: int = 100_000,
        sites: bool = False,
        promoted: frozenset[str] | None = None,
        tables: Tables = EMPTY,
    ) -> None:
        super().__init__(strategy, steps_max)
        if strategy.needs_sites:
            sites, promoted = True, None
        self.seed = seed
        self.with_sites = sites
        self.promoted = promoted
        self.tables = tables
        self.aborting = False
        self.marks: dict[str, int] = {}
        self.tasks = []
        self.lanes = ncpus
        self.sites: list[Site | None] = []
        self.alive = 0  # tasks that the run waits for
        self.end = {}
        self.log: Callable[[tuple[Any, ...]], None] = self.events.append
        self._alone: list[tuple[Task, Gate]] = []  # free when its task is the only one that the run waits for
        if promoted is not None:
            self.promoted_lanes = set()
            self.access = self._access  # type: ignore[method-assign]
        if sites:
            self.point = self._sited(self.point)  # type: ignore[method-assign, assignment]
            self.gated = self._sited(self.gated)  # type: ignore[method-assign, assignment]
            self.access = self._sited(self.access)  # type: ignore[method-assign, assignment]
        for number in range(ncpus):  # theirs are the first lanes
            self.objects.append((number, f"cpu:{number}"))
            self.cpus.append(Cpu(number, number << SHIFT, None))
        strategy.attach(self)

    def progress(self) -> int:
        """Return a number that every op changes."""
        return len(self.masks)

    # -- contract ---------------------------------------------------------------------------------------------------

    def point(self, obj: object, code: int) -> Task:
        raise NotImplementedError

    def gated(self, gate: Gate, code: int) -> Task:
        raise NotImplementedError

    def access(self, obj: object, code: int) -> Task:
        raise NotImplementedError

    def current(self) -> Task:
        return self.running

    def new_guard(self) -> Guard | None:
        return None

    def alloc(self, owner: object, lanes: int) -> int:
        base = self.lanes
        self.lanes = base + lanes
        self.objects.append((base, owner))
        if self.promoted and isinstance(owner, Struct):
            self.promoted_lanes.update(owner.plain_lanes(base, self.promoted))
        return base

    def note(self, kind: str, facts: tuple[object, ...]) -> None:
        self.log((self.running.id, NOTE, kind, facts))

    def others(self, task: Task) -> Gate | None:
        if self.observer is not None:
            self.observer.counted()
        if self.alive <= (not task.daemon):
            return None
        assert task.exit_gate is not None
        gate = Gate(task.exit_gate.code, None)
        gate.busy = True
        self._alone.append((task, gate))
        return gate

    def spawn(self, fn: Callable[..., object], args: tuple[object, ...], task: Task) -> None:
        task.fn = fn
        task.args = args
        self._start(task)  # first: there may be no thread left, and then there is no task
        task.log = self.log
        lane = self.lanes
        self.lanes = lane + 1
        self.objects.append((lane, task))
        code = lane << SHIFT
        task.exit_gate = gate = Gate(code, None)
        gate.busy = True
        gate.owner = task
        task.pending = code + BEGIN
        self.tasks.append(task)
        if not task.daemon:
            self.alive += 1
        if task.cpu_ is not None:
            self._move_in(task, task.cpu_)
        self._maybe_on(task)

    def irq_enter(self, cpu: Cpu, code: int) -> Task:
        task = live.gated(cpu, code)
        self.irq_begin(task, cpu)
        return task

    # -- points -----------------------------------------------------------------------------------------------------

    def _alert(self) -> None:
        """Look closer at a point: the run is over, somebody's retry may go on, the bound is reached."""
        if self.aborting:
            raise Abort
        if self.watching:
            self._watch()
        if len(self.masks) >= self.steps_max:
            self._bound()

    def _access(self, obj: object, code: int) -> Task:
        """The point of a plain access where only `promoted` fields are switch points."""
        if code >> SHIFT in self.promoted_lanes:
            return type(self).point(self, obj, code)  # not `self.point`, which may keep sites: whoever calls does
        task = self.running
        task.pending = code
        if len(self.masks) >= self.alert_at:
            self._alert()
        self.masks.append(self.mask)
        return task

    def _sited(self, point: Callable[[Any, int], Task]) -> Callable[[Any, int], Task]:
        """Make `point` keep sites: a task's is set when its op is announced, the record's when it is done."""

        def sited(obj: Any, code: int) -> Task:
            self.running.site = sites.here(2)
            task = point(obj, code)
            self.sites.append(task.site)
            return task

        return sited

    # -- life and end -----------------------------------------------------------------------------------------------

    def run(self, main: Callable[[], object], cpu: int = 0) -> None:
        """Run `main` as the first task until every task has ended, daemons apart; then unwind the rest.

        The outcome is in `end`, `events` and `error`.
        """
        try:
            live.install(self)
            root = Task(0, "main", self.cpus[cpu], None, self.seed)
            self.running = root
            self.spawn(main, (), root)
            try:
                self._next_op(root)
            except Exception as error:  # a replay of another program's record: let the root's thread go
                self._failed(root, error)
            self._begin(root)
        finally:
            live.remove(self)

    def _body(self, task: Task) -> None:
        """The life of a task, called with the floor."""
        try:
            if not self.aborting:
                assert task.fn is not None and task.exit_gate is not None
                if self.with_sites:
                    self.sites.append(None)
                self.log((task.id, task.exit_gate.code + BEGIN, None, None))
                returned = task.fn(*task.args)
                if returned is not None:
                    self._returned(task, returned)
                self._exit(task)
        except Abort:
            pass
        except BaseException as error:
            self._failed(task, error)
        task.done = True
        self._off(task)
        if not self.aborting and self.alive == 0 and not task.daemon:
            self._finished()

    def _exit(self, task: Task) -> None:
        gate = task.exit_gate
        assert gate is not None
        code = gate.code + EXIT
        live.point(gate, code)
        if self.with_sites:
            task.site = self.sites[-1] = None  # nowhere in the model
        gate.busy = False
        gate.owner = None
        if gate.waiters:
            self.set_free(gate)
        if task.cpu_ is not None and not task.in_irq:
            task.cpu_.tasks.remove(task)
            if task.preempt or task.irq_depth:  # the lock discipline oracle speaks; the others may go on
                task.cpu_.preempt_owner = None
                self._stall(task.cpu_)
        self.log((task.id, code, tuple([str(lock) for lock in task.held]) if task.held else (), None))
        task.done = True
        if not task.daemon:
            self.alive -= 1
        if self._alone:
            for waiting, alone in self._alone:
                if self.alive <= (not waiting.daemon):
                    self.set_free(alone)

    def _next_op(self, task: Task) -> Task:
        """Pick who does the next op when `task` does not announce one: at the start, and after its end."""
        self.masks.append(self.mask)
        return self.pick(self.enabled, task, self.step) if self.contested else self._unasked(task)

    def _next(self, task: Task) -> Task | None:
        """After `task` ended: return who gets the floor; None if the run is over."""
        if not self.aborting:
            if self.watching:
                self._watch()
            try:
                if self.enabled:
                    return self._next_op(task)
                self._stuck(task)
            except Abort:
                pass
        return self._left()

    def _left(self) -> Task | None:
        """Return a task that did not end yet."""
        return next((other for other in self.tasks if not other.done), None)

    def _finish(self, how: str, detail: dict[str, Any]) -> None:
        if not self.end:
            self.end = {"how": how, "detail": detail}
            if self.observer is not None:
                self.observer.stopped()
        self.stop()

    def abandon(self, why: str) -> NoReturn:
        """End the run here, because a search has no use for the rest of it.  Raises Abort."""
        self._finish("abandoned", {"why": why})
        raise Abort

    def stop(self) -> None:
        """Make every task unwind at its next point."""
        self.aborting = True
        self.alert_at = -1
        self.watching = []

    def _chooser(self) -> object:
        return self.strategy

    def _lost(self, task: Task, error: BaseException) -> Task | None:
        """After a bug of the engine itself: keep the floor, and return who has to unwind next."""
        self._take_error(error)
        self.stop()
        task.done = True
        return self._left()

    def _stuck(self, task: Task) -> None:
        """Nothing is enabled: the daemons idle, a deadlock, or a lost wake-up.  Raises Abort."""
        if self.alive == 0:
            self._finished()
        else:
            self._stands_still()
        raise Abort

    def _bound(self) -> None:
        """The bound is reached: be fair for a while; then say livelock if nobody got anywhere, else cut the run.

        In fixed order nobody is given a turn, so that what was done there tells nothing.
        """
        if self.bounded_at is None:
            self.bounded_at, self.fair_since = len(self.events), len(self.masks)
            self.lost_before = standstill.describe(self.tasks)["lost"]
            self.steps_max += max(FAIR_ROUNDS * self.alive, self.steps_max // FAIR_SHARE, 1)
            if not self.watching:
                self.alert_at = self.steps_max
            self.strategy = RoundRobin()
            self._ask_strategy()
            return
        fair = not self.order_fixed and all(step <= self.fair_since for step in self.windows)
        self._passed_bound(self.events[self.bounded_at :] if fair else None, len(self.masks))
        raise Abort

    def release(self) -> None:
        """Let go of the model, and of who chose and who watched; see `Ending.release`."""
        super().release()
        self.observer = None
        self.strategy, self.pick = _NOBODY, _NOBODY.pick
        self._interrupted = None
        self._alone = []
        for name in ("point", "gated", "access"):
            self.__dict__.pop(name, None)

    def _start(self, task: Task) -> None:
        raise NotImplementedError

    def _begin(self, root: Task) -> None:
        raise NotImplementedError
