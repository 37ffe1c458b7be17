"""What the controlled engines share: one task at a time, and a strategy that chooses at every point.

The floor belongs to `self.running`; only the task that has it touches anything here.  One pick is one event.
Invariant: `len(self.masks)` is the number of ops done or about to be done, `masks[i]` the set of tasks that were
enabled when op i was picked (bit = task id).

A program may ask for *fixed order* (`fix_order`) where there is nothing to explore, such as set-up: there the running
task goes on while it can, then the enabled task that was spawned first, and the strategy is not asked.

A subclass supplies `_start`, `_begin`, and the contract's `point` and `gated`, with its own way to hand the floor over
in the middle of them: every op passes there, and one more call would cost a tenth of it.

A run's objects refer to each other in rings.  `release` cuts them all, so that a run is freed when its owner lets go
of it, and not by a garbage collection, which costs as much as a small run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from mmrace.runtime import live, sites
from mmrace.runtime.ending import Ending
from mmrace.runtime.errors import Abort, InternalError
from mmrace.runtime.kinds import BEGIN, EXIT, KIND_MASK, NOTE, OF_LIFE, SHIFT
from mmrace.runtime.retries import Retries
from mmrace.runtime.strategy import FAIR_SHARE, RoundRobin, Strategy
from mmrace.runtime.struct import Struct
from mmrace.runtime.tables import EMPTY, Tables
from mmrace.runtime.task import Cpu, Gate, Guard, Site, Task

_NEVER = sys.maxsize  # tasks, above which somebody is asked
_NOBODY = RoundRobin()  # the strategy of a run that is over


class Controlled(Retries, Ending):
    """Base of the controlled engines; see the module docstring.

    Args: strategy: who chooses.  seed: of the tasks' own streams.  ncpus: CPUs of the model.  steps_max: bound of a
    run in ops.  sites: keep the site of every op (costs time; needed for reports).  promoted: the plain fields
    ("Class.field") whose accesses are switch points; None: all of them.  tables: what the program says of its names.

    Its methods implement `contract.py`; those have their docstrings there.  Attributes that no point reads are not
    slots: a default that most runs leave alone is in the class and costs a run nothing.
    """

    __slots__ = (
        "_alone", "aborting", "alive", "lanes", "log", "masks", "order_fixed", "pick", "promoted",
        "running", "strategy", "tasks", "with_sites",
    )  # fmt: skip
    name = "controlled"
    real_threads = True
    bounded_at: int | None = None
    _interrupted: tuple[Task, int] | None = None  # who ran when an op of somebody's life came first, and its step
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
        super().__init__(steps_max)
        if strategy.needs_sites:
            sites, promoted = True, None
        self.strategy = strategy
        self.seed = seed
        self.with_sites = sites
        self.promoted = promoted
        self.tables = tables
        self.aborting = False
        self.marks: dict[str, int] = {}
        self.tasks = []
        self.lanes = ncpus
        self.masks: list[int] = []
        self.sites: list[Site | None] = []
        self.windows: list[int] = []
        """Steps at which fixed order went off and on again, in turn; empty: the whole run is explored."""
        self.alive = 0  # tasks that the run waits for
        self.end = {}
        self.running: Task = None  # type: ignore[assignment]
        self.log: Callable[[tuple[Any, ...]], None] = self.events.append
        self.order_fixed = False
        self.pick: Callable[[list[Task], Task, int], Task] = strategy.pick if strategy.asked_of_life else self._pick
        self.asked_above = 0 if strategy.asked_when_alone else 1
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

    @property
    def step(self) -> int:
        """Number of the op done last or about to be done."""
        return len(self.masks) - 1

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

    def choose(self, task: Task, n: int) -> int:
        if self.order_fixed and not self.strategy.asked_in_fixed_order:
            return 0
        value = self.strategy.choose(task, n, self.step)
        if not 0 <= value < n:
            raise InternalError(f"strategy chose {value} out of {n}")
        return value

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

    def fix_order(self, fixed: bool) -> None:
        if fixed != self.order_fixed:
            self.order_fixed = fixed
            self.windows.append(self.step + 1)
            self._ask_strategy()

    def explored(self) -> tuple[int, int]:
        """Return the steps (first, end) between which the strategy was asked; of the run so far."""
        windows = self.windows
        if not windows:
            return 0, self.step + 1
        if len(windows) == 1:
            return 0, windows[0]
        return windows[1], windows[2] if len(windows) > 2 else self.step + 1

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

    # -- picking ----------------------------------------------------------------------------------------------------

    def _ask_strategy(self) -> None:
        """Settle from how many enabled tasks on the strategy chooses among them."""
        strategy = self.strategy
        self.pick = strategy.pick if strategy.asked_of_life else self._pick
        if self.order_fixed and not strategy.asked_in_fixed_order:
            self.asked_above = _NEVER
        else:
            self.asked_above = 0 if strategy.asked_when_alone else 1
        self.contested = len(self.enabled) > self.asked_above

    def _pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Pick for a strategy that is not asked of a task's life: what is pending of that is done first.

        Who runs when the strategy is asked again is whoever ran before that: to begin is not to get the floor.
        """
        if self._interrupted is not None:
            before, since = self._interrupted
            self._interrupted = None
            if all(mask & (mask - 1) for mask in self.masks[since + 1 : step]):  # nobody went on alone meanwhile
                running = before
        for task in enabled:
            if OF_LIFE >> (task.pending & KIND_MASK) & 1:
                if any(other.daemon for other in enabled):
                    break
                self._interrupted = running, step
                return task
        return self.strategy.pick(enabled, running, step)

    def _unasked(self, task: Task) -> Task:
        """Return who goes on where nobody is asked: the running task if it can, else the one spawned first.

        Without any the run is over.
        """
        if task.on:
            return task
        if not self.enabled:
            self._stuck(task)
        first = self.enabled[0]
        for other in self.enabled:
            if other.id < first.id:
                first = other
        return first

    def _not_enabled(self, chosen: Task) -> InternalError:
        return InternalError(f"strategy picked {chosen.name}, which is not enabled")

    def _disabled(self, task: Task, gate: Gate) -> InternalError:
        return InternalError(f"{task.name} was picked for a disabled op on {gate}")

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
        live.install(self)
        try:
            root = Task(0, "main", self.cpus[cpu], None, self.seed)
            self.running = root
            self.spawn(main, (), root)
            try:
                self._next_op(root)
            except Exception as error:  # a replay of another program's record: let the root's thread go
                self._failed(root, error)
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

    def abandon(self, why: str) -> None:
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
        self.error = self.error or error
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
        """The bound is reached: be fair for a while; then say livelock if nobody got anywhere, else cut the run."""
        if self.bounded_at is None:
            self.bounded_at = len(self.events)
            self.steps_max += max(1, self.steps_max // FAIR_SHARE)
            if not self.watching:
                self.alert_at = self.steps_max
            self.strategy = RoundRobin()
            self._ask_strategy()
            return
        self._passed_bound(self.events[self.bounded_at :], len(self.masks))
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
