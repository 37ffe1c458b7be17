"""Small programs for source-DPOR, random ones too, and what is compared of their runs.

A search is complete if what it saw equals what `Enumerate`, which reduces nothing, saw: how runs ended, the final
state, what each task saw op by op.  Invariant: nothing here uses the dependence relation.  A run that ended by a
violation is known by the violation alone, for how far the others got by then differs inside one class.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import factorial, prod
from typing import Any

from mmrace import runtime as rt
from mmrace.oracles.protocol import content
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy, SteeredRun
from mmrace.runtime.tables import READ, WRITE, Tables
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Systematic
from mmrace.strategies.enumerate import Enumerate
from tests.runtime.engines import Box, Flag, Program, box

NCPUS = 4
STEPS_MAX = 2000  # no program here comes near
TABLES = Tables(compared={"write-begin": WRITE, "write-end": WRITE, "read-begin": READ, "read-end": READ})
RUNS_MAX = 60_000
FRAME = frozenset(map(int, (Kind.BEGIN, Kind.EXIT, Kind.SPAWN, Kind.JOIN)))

Body = Callable[[Box], object]
End = tuple[object, ...]  # how, kind of deadlock, oracle, violated rule
Outcome = tuple[End, object, object, object]  # end, final state, what each task saw, what the content oracle says


class AtOnce(BaseStrategy):
    """Does begin and exit at once, without asking: a yardstick for programs whose every schedule is too much."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def attach(self, run: SteeredRun) -> None:
        """Pass the run on."""
        self.inner.attach(run)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the inner strategy's value."""
        value: int = self.inner.choose(task, n, step)
        return value

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a task that begins or ends, else the inner strategy's."""
        for task in enabled:
            if task.pending & KIND_MASK in (Kind.BEGIN, Kind.EXIT):
                return task
        chosen: Task = self.inner.pick(enabled, running, step) if len(enabled) > 1 else enabled[0]
        return chosen


@dataclass(slots=True)
class Seen:
    """What a search saw."""

    outcomes: set[Outcome] = field(default_factory=set)
    runs: int = 0
    blocked: int = 0
    done: bool = False  # it came to its end
    engines: list[Controlled] = field(default_factory=list)  # of all runs, if kept

    @property
    def ends(self) -> set[End]:
        """How runs ended."""
        return {outcome[0] for outcome in self.outcomes}


def explore(
    main: Program,
    search: Systematic,
    *,
    at_once: bool = False,
    runs_max: int = RUNS_MAX,
    keep: bool = False,
    engine: Callable[..., Controlled] = FiberEngine,
    watch: Callable[[Controlled], object] | None = None,
) -> Seen:
    """Run a program along each schedule of a search.  Args: keep: the runs' engines.  watch: told before each run."""
    seen = Seen()
    while seen.runs < runs_max:
        strategy: Any = search.next()
        if strategy is None:
            seen.done = True
            break
        run = engine(AtOnce(strategy) if at_once else strategy, ncpus=NCPUS, steps_max=STEPS_MAX, tables=TABLES)
        if watch is not None:
            watch(run)
        run.run(main)
        if run.error is not None:
            raise run.error
        search.learn(run)
        seen.runs += 1
        if keep:
            seen.engines.append(run)
        if run.end["how"] == "abandoned":
            seen.blocked += 1
        else:
            seen.outcomes.add(outcome_of(run))
    return seen


def enumerated(main: Program, at_once: bool = False, runs_max: int = RUNS_MAX) -> Seen:
    """See all that there is."""
    return explore(main, Enumerate(), at_once=at_once, runs_max=runs_max)


def schedules_about(main: Program, at_once: bool) -> int:
    """Estimate, from one run, how many schedules a program has: as if no op could wait."""
    run = explore(main, Enumerate(), runs_max=1, keep=True).engines[0]
    first, _ = run.explored()
    skipped = FRAME if at_once else frozenset[int]()
    ops = [event for event in run.events if event[1] != NOTE][first:]
    counts = Counter(number for number, op, _, _ in ops if number and op & KIND_MASK not in skipped)
    return factorial(counts.total()) // prod(factorial(count) for count in counts.values())


def outcome_of(run: Controlled) -> Outcome:
    """Return what can be told of a run: its end, what each task saw, the final state, what the content oracle says."""
    how, detail = run.end["how"], run.end["detail"]
    end = (how, detail.get("kind"), detail.get("oracle"), detail.get("rule"))
    if how == "violation":  # of several uses of what was freed the first one ends the run: which one is no outcome
        return end[:3] if end[2] == "use-after-free" else end, None, None, None
    saw: dict[str, list[object]] = {}
    noted = False
    for number, op, a, b in run.events:
        if op == NOTE:
            noted = True
        elif (kind := op & KIND_MASK) not in FRAME:
            fact = b if kind != Kind.WAKE else tuple(sorted(run.tasks[woken].name for woken in b))
            if kind == Kind.GET:
                fact = None  # the ledger keeps it, the task does not look
            saw.setdefault(run.tasks[number].name, []).append((Kind(kind).name, op >> SHIFT, a, fact))
    state = tuple(_state(obj) for _, obj in run.objects if isinstance(obj, Box))
    judged = content.judge(Record.of_run(run, {}, {})).findings if noted else []
    rules = tuple(sorted(str(finding.rule) for finding in judged))
    return end, state, tuple(sorted((name, tuple(ops)) for name, ops in saw.items())), rules


def _state(obj: Box) -> object:
    if obj.dead is not None:
        return "freed"
    waiting = tuple(entry.task.name for entry in obj.queue.entries)
    locks = tuple(lock.owner and lock.owner.name for lock in (obj.spin, obj.other, obj.mutex))
    values = tuple(map(rt.peek, [obj] * 3, ("x", "y", "link")))
    return (*values, tuple(obj.words.values), obj.count.value, obj.flags.value, locks, tuple(sorted(waiting)))


def played(*bodies: Body, cpus: Iterable[int | None] | None = None, daemons: Iterable[int] = ()) -> Program:
    """Return the program whose tasks do these, each on the same box.

    Args: cpus: of each, its ordinal if not given, None for a device.  daemons: ordinals of those.
    """
    homes = list(range(len(bodies))) if cpus is None else list(cpus)

    def main() -> None:
        with rt.fixed_order():
            shared = box()
            shared.count.get("base")
            for number, body in enumerate(bodies):
                rt.spawn(body, shared, name=f"t{number}", cpu=homes[number], daemon=number in daemons)
        rt.join_others()

    return main


# -- locks -----------------------------------------------------------------------------------------------------------


def _nested(first: str, second: str) -> Body:
    def body(b: Box) -> None:
        one, two = rt.peek(b, first), rt.peek(b, second)
        rt.spin_lock(one)
        rt.spin_lock(two)
        rt.spin_unlock(two)
        rt.spin_unlock(one)

    return body


def _philosopher(left: str, right: str) -> Body:
    """Take two forks and leave the table with them: who comes later waits for ever."""

    def body(b: Box) -> None:
        rt.spin_lock(rt.peek(b, left))
        rt.spin_lock(rt.peek(b, right))

    return body


def _locked_increment(b: Box) -> None:
    rt.spin_lock(b.spin)
    b.x = b.x + 1
    rt.spin_unlock(b.spin)


def _locked_write(b: Box) -> None:
    rt.spin_lock(b.spin)
    b.x = 1
    rt.spin_unlock(b.spin)


def _try(b: Box) -> None:
    if rt.spin_trylock(b.spin):
        rt.spin_unlock(b.spin)


def _try_and_look(b: Box) -> None:
    if rt.spin_trylock(b.spin):
        rt.spin_unlock(b.spin)
    elif b.y:
        b.y = 2


def _trying(b: Box) -> None:
    """BUGGY on purpose: never releases what it may have got."""
    rt.spin_trylock(b.spin)


def _increment(b: Box) -> None:
    b.x = b.x + 1


def _under_mutex(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    b.x = b.x + 1
    rt.mutex_unlock(b.mutex)


def _mutex_try(b: Box) -> None:
    if rt.mutex_trylock(b.mutex):
        b.y = 1
        rt.mutex_unlock(b.mutex)


def _holds_for_ever(b: Box) -> None:
    """Lock, let a child try it, sleep: whoever waits at the end would have to be first."""
    rt.mutex_lock(b.mutex)
    rt.spawn(_mutex_try, b, name="child", cpu=3)
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


def _mutex_once(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    rt.mutex_unlock(b.mutex)


def _sleeps_with_mutex(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


# -- interrupts and CPUs ---------------------------------------------------------------------------------------------


def _irq_locked(b: Box) -> None:
    rt.spin_lock_irq(b.spin)
    b.x = b.x + 1
    rt.spin_unlock_irq(b.spin)


def _plain_locked(b: Box) -> None:
    rt.spin_lock(b.spin)
    b.x = 1
    rt.spin_unlock(b.spin)


def _interrupt(b: Box) -> None:
    rt.irq_enter(0)
    rt.spin_lock(b.spin)
    b.y = 1
    rt.spin_unlock(b.spin)
    rt.irq_exit()


def _interrupt_reads(b: Box) -> None:
    rt.irq_enter(0)
    if b.x:
        b.y = b.y + 1
    rt.irq_exit()


def _works(b: Box) -> None:
    b.x = 1
    b.y = 5


def _irqs_off(b: Box) -> None:
    rt.local_irq_disable()
    b.x = 1
    rt.local_irq_enable()


def _preempt_off_waits(b: Box) -> None:
    rt.preempt_disable()
    for _ in rt.until_changed():
        if b.x:
            break
    rt.preempt_enable()


def _waits_for_x(b: Box) -> None:
    for _ in rt.until_changed():
        if b.x:
            break
    b.y = 1


def _takes_mutex_sets_y(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    b.y = 1


def _preempt_off_waits_for_y(b: Box) -> None:
    rt.preempt_disable()
    for _ in rt.until_changed():
        if b.y:
            break
    rt.preempt_enable()


def _ends_atomic(b: Box) -> None:
    rt.preempt_disable()
    b.y = 1


def _sets_x(b: Box) -> None:
    b.x = 1


# -- counts and bits -------------------------------------------------------------------------------------------------


def _freezer(b: Box) -> None:
    if b.count.freeze(1):
        b.count.unfreeze(1)


def _lookup(b: Box) -> None:
    if b.count.get_unless_zero("lookup"):
        b.count.put("lookup")


def _gets(b: Box) -> None:
    b.count.get("user")


def _puts(b: Box) -> None:
    b.count.put("base")


def _puts_and_gets(b: Box) -> None:
    b.count.put("base")
    b.count.get("new")


def _counts(b: Box) -> None:
    b.count.read()


def _plain_store(b: Box) -> None:
    b.flags.store(b.flags.load() | 1 << Flag.DIRTY)


def _sets_waiters(b: Box) -> None:
    rt.set_bit(b.flags, Flag.WAITERS)


def _looks_at_waiters(b: Box) -> None:
    if rt.test_bit(b.flags, Flag.WAITERS):
        rt.clear_bit(b.flags, Flag.WAITERS)


def _tests_and_sets(b: Box) -> None:
    if not rt.test_and_set_bit(b.flags, Flag.DIRTY):
        b.x = b.x + 1


def _tests_and_clears(b: Box) -> None:
    if rt.test_and_clear_bit(b.flags, Flag.DIRTY):
        b.y = 1


def _bit_locked(b: Box) -> None:
    rt.bit_lock(b.flags, Flag.LOCKED)
    b.x = b.x + 1
    rt.bit_unlock(b.flags, Flag.LOCKED)


def _waits_on_bit(b: Box) -> None:
    rt.wait_on_bit(b.flags, Flag.LOCKED)


def _bit_spun(b: Box) -> None:
    rt.bit_spin_lock(b.flags, Flag.SPIN)
    b.x = b.x + 1
    rt.bit_spin_unlock(b.flags, Flag.SPIN)


def _bit_spun_store(b: Box) -> None:
    rt.bit_spin_lock(b.flags, Flag.SPIN)
    b.flags.store(b.flags.load() | 1 << Flag.DIRTY)
    rt.bit_spin_unlock(b.flags, Flag.SPIN)


def _bit_spin_tries(b: Box) -> None:
    if rt.bit_spin_trylock(b.flags, Flag.SPIN):
        rt.bit_spin_unlock(b.flags, Flag.SPIN)


# -- waiting ---------------------------------------------------------------------------------------------------------


def _sleeps_late(b: Box) -> None:
    """BUGGY on purpose: tests before it queues, so a wake in between is lost."""
    if not b.x:
        entry = rt.prepare_to_wait(b.queue, None)
        entry.holds = lambda: bool(rt.peek(b, "x"))
        rt.sleep_on(entry)
        rt.finish_wait(entry)


def _wakes(b: Box) -> None:
    b.x = 1
    rt.wake_up(b.queue)


def _waits(b: Box) -> None:
    rt.wait_event(b.queue, lambda: bool(b.x), holds=lambda: bool(rt.peek(b, "x")))


def _queues_exclusive(b: Box) -> None:
    entry = rt.prepare_to_wait(b.queue, None, exclusive=True)
    rt.sleep_on(entry)


def _queues_and_tells(b: Box) -> None:
    entry = rt.prepare_to_wait(b.queue, None, exclusive=True)
    b.y = 1
    rt.sleep_on(entry)


def _wakes_if_told(b: Box) -> None:
    if b.y:
        rt.wake_up(b.queue)


def _queues(b: Box) -> None:
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


def _wakes_one(b: Box) -> None:
    rt.wake_up(b.queue)


def _woken_writes(b: Box) -> None:
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))
    b.x = 1


def _retries(b: Box) -> None:
    for turn in rt.until_changed():
        if b.x or turn == 2:
            break


def _retries_once(b: Box) -> None:
    for turn in rt.until_changed():
        if b.x or turn == 1:
            break


def _retries_both(b: Box) -> None:
    for _ in rt.until_changed():
        if b.x and b.y:
            break


def _y_then_x(b: Box) -> None:
    b.y = 1
    b.x = 1


# -- the rest --------------------------------------------------------------------------------------------------------


def _chooses(b: Box) -> None:
    b.x = 1 + rt.choose(3)


def _reads_x(b: Box) -> None:
    _ = b.x


def _frees_perhaps(b: Box) -> None:
    if rt.choose(2) == 0:
        rt.poison(b)


def _frees(b: Box) -> None:
    rt.poison(b)


def _w_x(b: Box) -> None:
    b.x = 1


def _w_z_w_y(b: Box) -> None:
    b.link = 1
    b.y = 1


def _r_z_r_y_r_x(b: Box) -> None:
    if b.link and b.y == 0:
        _ = b.x


def _spawns(b: Box) -> None:
    child = rt.spawn(_increment, b, name="child", cpu=2)
    b.x = b.x + 1
    rt.join(child)
    b.y = b.x


def _bugs(b: Box) -> None:
    rt.bug_on(b.x == 0, "x is 0")


def _y_x(b: Box) -> None:
    b.y = 1
    b.x = 1


def _note_write(b: Box) -> None:
    rt.note("write-begin", 1, 0, 7)
    b.words.write(0, 7)
    rt.note("write-end", 1, 0, 7)
    b.words.read(1)


def _note_read(b: Box) -> None:
    b.words.read(1)
    rt.note("read-begin", 1, 0)
    value = b.words.values[0] if b.x else 0  # BUGGY on purpose: from a copy that may be old
    rt.note("read-end", 1, 0, value)


def main_works() -> None:
    """The main task shares its CPU with one that keeps it off and waits for a third, which waits for main."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_preempt_off_waits_for_y, b, name="t0", cpu=0)
        rt.spawn(_waits_for_x, b, name="t1", cpu=1)
    b.x = 1
    rt.join_others()


def main_releases() -> None:
    """The main task holds the mutex; one on its CPU keeps it off and waits for a third, which waits for the mutex."""
    with rt.fixed_order():
        b = box()
        rt.mutex_lock(b.mutex)
        rt.spawn(_preempt_off_waits_for_y, b, name="t0", cpu=0)
        rt.spawn(_takes_mutex_sets_y, b, name="t1", cpu=1)
    rt.mutex_unlock(b.mutex)
    rt.join_others()


def main_reads_after_join() -> None:
    """A join of all others does not wait for the daemon."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_sets_x, b, name="daemon", cpu=1, daemon=True)
        rt.spawn(_sets_waiters, b, name="t1", cpu=2)
    rt.join_others()
    _ = b.x


def two_queues() -> None:
    """A task stands on two queues; only the wake of the one that it sleeps on lets it go on."""
    with rt.fixed_order():
        b, c = box(), box(1)

        def sleeper() -> None:
            entry = rt.prepare_to_wait(b.queue, None)
            rt.prepare_to_wait(c.queue, None)
            rt.sleep_on(entry)
            _ = b.x

        def waker() -> None:
            rt.wake_up(b.queue)
            b.x = 1
            rt.wake_up(c.queue)

        rt.spawn(sleeper, name="t0", cpu=1)
        rt.spawn(waker, name="t1", cpu=2)
    rt.join_others()


PROGRAMS: dict[str, Program] = {
    "lost update": played(_increment, _increment),
    "lock, write, unlock || lock, write, unlock": played(_locked_increment, _locked_increment),
    "ABBA": played(_nested("spin", "other"), _nested("other", "spin")),
    "three locks in a ring": played(
        _philosopher("spin", "other"), _philosopher("other", "mutex"), _philosopher("mutex", "spin")
    ),
    "lock, write, unlock || try": played(_locked_write, _try),
    "lock, write, unlock || try || write": played(_locked_write, _try_and_look, _y_then_x),
    "lock, write, unlock || try || try": played(_locked_write, _trying, _trying),
    "mutex || mutex || try": played(_mutex_once, _mutex_once, _mutex_try),
    "mutex held for ever, child tries": played(_holds_for_ever, _mutex_once),
    "mutex held for ever || mutex": played(_sleeps_with_mutex, _mutex_once),
    "irq spinlocks": played(_irq_locked, _irq_locked),
    "interrupt takes a lock held on its CPU": played(_plain_locked, _interrupt, cpus=(0, None)),
    "interrupt, lock with irqs off": played(_irq_locked, _interrupt, cpus=(0, None)),
    "interrupt where a task works": played(_works, _interrupt_reads, cpus=(0, None)),
    "interrupt, irqs off for a while": played(_irqs_off, _interrupt_reads, cpus=(0, None)),
    "freeze || get unless zero": played(_freezer, _lookup),
    "freeze || get || put": played(_freezer, _gets, _puts),
    "put, get || get unless zero": played(_puts_and_gets, _lookup),
    "get || get || count": played(_gets, _gets, _counts),
    "lost waiters bit": played(_plain_store, _sets_waiters, _looks_at_waiters),
    "test-and-set || test-and-set || test-and-clear": played(_tests_and_sets, _tests_and_sets, _tests_and_clears),
    "sleeping bit lock": played(_bit_locked, _bit_locked),
    "wait on bit": played(_bit_locked, _waits_on_bit),
    "bit spinlock": played(_bit_spun, _bit_spun, _bit_spin_tries),
    "bit spinlock around a plain store": played(_bit_spun_store, _bit_spun_store),
    "lost wake-up": played(_sleeps_late, _wakes),
    "wait event": played(_waits, _wakes),
    "exclusive wakes": played(_queues_exclusive, _queues_exclusive, _wakes_one),
    "exclusive sleepers, one wake for the first": played(_queues_and_tells, _queues_exclusive, _wakes_if_told),
    "sleepers of both sorts": played(_queues, _queues_exclusive, _wakes_one),
    "retry, bounded": played(_retries, _sets_x, _increment),
    "retry, two conditions": played(_retries_both, _y_then_x),
    "choose": played(_chooses, _reads_x, _chooses),
    "choose frees || read": played(_frees_perhaps, _reads_x),
    "Wx || Wz;Wy || if Rz: if Ry==0: Rx": played(_w_x, _w_z_w_y, _r_z_r_y_r_x),
    "spawn, join": played(_spawns, _reads_x),
    "shared CPU, preemption off": played(_locked_increment, _increment, cpus=(1, 1)),
    "shared CPU, waits with preemption off": played(_preempt_off_waits, _sets_x, cpus=(1, 1)),
    "shared CPU, a task ends atomic": played(_ends_atomic, _works, cpus=(1, 1)),
    "shared CPU, main works": main_works,
    "shared CPU, main releases": main_releases,
    "shared CPU, bit spinlock || free": played(_bit_spun, _frees, cpus=(1, 1)),
    "free || read": played(_frees, _reads_x),
    "bug || write, write": played(_bugs, _y_x),
    "daemon || task": played(_sets_x, _sets_waiters, daemons=(0,)),
    "daemon, main reads after join": main_reads_after_join,
    "two queues": two_queues,
    "notes": played(_note_write, _note_read),
}
"""Name -> program.  Those of `AT_ONCE` have too many schedules to see them all: tasks begin and end at once there."""

PROGRAMS_BEYOND: dict[str, Program] = {"retry || store elsewhere": played(_retries_once, _plain_store)}
"""What is known to be lost: not by the search, but because the engine enables more than the model says."""

AT_ONCE = frozenset((
    "three locks in a ring", "lock, write, unlock || try || write", "lock, write, unlock || try || try",
    "mutex || mutex || try", "test-and-set || test-and-set || test-and-clear", "sleeping bit lock", "bit spinlock",
    "freeze || get || put", "lost waiters bit", "sleepers of both sorts", "retry, bounded", "choose", "wait on bit",
    "spawn, join", "exclusive sleepers, one wake for the first",
    "Wx || Wz;Wy || if Rz: if Ry==0: Rx",
))  # fmt: skip


# -- random programs -------------------------------------------------------------------------------------------------

Op = tuple[str, int]
FAMILIES: dict[str, tuple[str, ...]] = {
    "plain": ("read", "write", "increment"),
    "locks": ("lock", "unlock", "try", "increment", "read"),
    "irq": ("irq lock", "lock", "unlock", "irq off", "irq on", "write", "read"),
    "mutex": ("mutex", "mutex unlock", "mutex try", "increment", "lock", "unlock"),
    "refs": ("get", "put", "get unless zero", "count", "freeze"),
    "bits": ("set", "clear", "test", "test and set", "test and clear", "toggle", "load"),
    "bit locks": ("bit lock", "bit unlock", "bit try", "wait on bit", "increment"),
    "bit spinlocks": ("bit spin", "bit spin unlock", "bit spin try", "toggle", "increment"),
    "waits": ("wait", "late wait", "wake", "write", "queue"),
    "retry": ("retry", "write", "wake", "retry both", "set"),
    "choose": ("choose", "read", "write", "try", "unlock"),
    "memory": ("free", "read", "write", "choose free", "lock", "unlock"),
    "bugs": ("bug", "read", "write", "increment"),
    "spawn": ("spawn", "join", "increment", "read", "lock", "unlock"),
    "preempt": ("preempt off", "preempt on", "retry", "write", "lock", "unlock", "try"),
    "mixed": (
        "lock", "unlock", "try", "read", "write", "get", "put", "freeze", "get unless zero", "set", "wake", "test",
        "late wait", "retry", "choose", "mutex", "mutex unlock", "bit lock", "bit unlock", "bit spin",
        "bit spin unlock", "free",
    ),
}  # fmt: skip


class Player:
    """Does random ops where they are legal; what it holds at the end it releases, in the order of taking reversed."""

    def __init__(self, b: Box) -> None:
        self.b = b
        self.held: dict[object, Callable[[], object]] = {}
        self.children: list[Task] = []

    def play(self, ops: Iterable[Op]) -> None:
        """Do all ops."""
        for name, arg in ops:
            _DEEDS[name](self, self.b, arg)
        for key in reversed(list(self.held)):
            self.drop(key)

    def atomic(self) -> bool:
        """Say whether it must not sleep."""
        task = rt.current()
        return bool(task.preempt or task.irq_depth or task.in_irq)

    def take(self, key: object, take: Callable[[], object], drop: Callable[[], object], sleeps: bool = False) -> None:
        """Take what is not held yet."""
        if key not in self.held and not (sleeps and self.atomic()) and take() is not False:
            self.held[key] = drop

    def drop(self, key: object) -> None:
        """Release it if it is held."""
        if key in self.held:
            self.held.pop(key)()

    def lock(self, arg: int, take: Callable[[Any], object], drop: Callable[[Any], object] = rt.spin_unlock) -> None:
        """Take one of the two spinlocks."""
        lock = self.b.spin if arg else self.b.other
        self.take(arg, lambda: take(lock), lambda: drop(lock))

    def cpu(self, key: str, take: Callable[[], object], drop: Callable[[], object]) -> None:
        """Keep others off the CPU; a device has none."""
        if rt.current().home is not None:
            self.take(key, take, drop)

    def spawn(self, arg: int) -> None:
        """Start a child."""
        self.children.append(rt.spawn(_sets_x if arg else _increment, self.b, cpu=3))

    def retry(self, done: Callable[[], object], turns: int) -> None:
        """Repeat until done."""
        for turn in rt.until_changed():
            if done() or turn == turns:
                break

    def waits(self, b: Box, arg: int) -> None:
        """Wait as one ought to."""
        if not self.atomic():
            rt.wait_event(b.queue, lambda: bool(b.x), exclusive=bool(arg), holds=lambda: bool(rt.peek(b, "x")))

    def sleeps(self, b: Box, arg: int, looks: bool) -> None:
        """Sleep without a second look."""
        if not self.atomic() and not (looks and b.x):
            entry = rt.prepare_to_wait(b.queue, None, bool(arg))
            rt.sleep_on(entry)
            rt.finish_wait(entry)


def _bit(arg: int) -> Flag:
    return Flag.DIRTY if arg else Flag.WAITERS


def _set(b: Box, name: str, value: object) -> None:
    setattr(b, name, value)


def _field(arg: int) -> str:
    return "x" if arg else "y"


_DEEDS: dict[str, Callable[[Player, Box, int], object]] = {
    "read": lambda p, b, i: getattr(b, _field(i)),
    "write": lambda p, b, i: _set(b, _field(i), rt.current().id),
    "increment": lambda p, b, i: _set(b, _field(i), getattr(b, _field(i)) + 1),
    "lock": lambda p, b, i: p.lock(i, rt.spin_lock),
    "try": lambda p, b, i: p.lock(i, rt.spin_trylock),
    "irq lock": lambda p, b, i: p.lock(i, rt.spin_lock_irq, rt.spin_unlock_irq),
    "unlock": lambda p, b, i: p.drop(i),
    "mutex": lambda p, b, i: p.take(
        "m", lambda: rt.mutex_lock(b.mutex), lambda: rt.mutex_unlock(b.mutex), sleeps=True),
    "mutex try": lambda p, b, i: p.take("m", lambda: rt.mutex_trylock(b.mutex), lambda: rt.mutex_unlock(b.mutex)),
    "mutex unlock": lambda p, b, i: p.drop("m"),
    "irq off": lambda p, b, i: p.cpu("i", rt.local_irq_disable, rt.local_irq_enable),
    "irq on": lambda p, b, i: p.drop("i"),
    "preempt off": lambda p, b, i: p.cpu("p", rt.preempt_disable, rt.preempt_enable),
    "preempt on": lambda p, b, i: p.drop("p"),
    "get": lambda p, b, i: b.count.get("g"),
    "put": lambda p, b, i: b.count.put("g"),
    "get unless zero": lambda p, b, i: b.count.get_unless_zero("g"),
    "count": lambda p, b, i: b.count.read(),
    "freeze": lambda p, b, i: b.count.freeze(1 + i) and b.count.unfreeze(1),
    "set": lambda p, b, i: rt.set_bit(b.flags, _bit(i)),
    "clear": lambda p, b, i: rt.clear_bit(b.flags, _bit(i)),
    "test": lambda p, b, i: rt.test_bit(b.flags, _bit(i)),
    "test and set": lambda p, b, i: rt.test_and_set_bit(b.flags, _bit(i)),
    "test and clear": lambda p, b, i: rt.test_and_clear_bit(b.flags, _bit(i)),
    "load": lambda p, b, i: b.flags.load(),
    "toggle": lambda p, b, i: b.flags.store(b.flags.load() ^ 1 << _bit(i)),
    "bit lock": lambda p, b, i: p.take(
        "b", lambda: rt.bit_lock(b.flags, Flag.LOCKED), lambda: rt.bit_unlock(b.flags, Flag.LOCKED), sleeps=True),
    "bit try": lambda p, b, i: p.take(
        "b", lambda: rt.bit_trylock(b.flags, Flag.LOCKED), lambda: rt.bit_unlock(b.flags, Flag.LOCKED)),
    "bit unlock": lambda p, b, i: p.drop("b"),
    "wait on bit": lambda p, b, i: "b" in p.held or p.atomic() or rt.wait_on_bit(b.flags, Flag.LOCKED),
    "bit spin": lambda p, b, i: p.take(
        "s", lambda: rt.bit_spin_lock(b.flags, Flag.SPIN), lambda: rt.bit_spin_unlock(b.flags, Flag.SPIN)),
    "bit spin try": lambda p, b, i: p.take(
        "s", lambda: rt.bit_spin_trylock(b.flags, Flag.SPIN), lambda: rt.bit_spin_unlock(b.flags, Flag.SPIN)),
    "bit spin unlock": lambda p, b, i: p.drop("s"),
    "wait": lambda p, b, i: p.waits(b, i),
    "late wait": lambda p, b, i: p.sleeps(b, i, looks=True),
    "queue": lambda p, b, i: p.sleeps(b, i, looks=False),
    "wake": lambda p, b, i: rt.wake_up(b.queue, 1 - i),
    "retry": lambda p, b, i: p.retry(lambda: getattr(b, _field(i)), 2),
    "retry both": lambda p, b, i: p.retry(lambda: rt.test_bit(b.flags, _bit(i)) and b.y, 3),
    "choose": lambda p, b, i: rt.choose(2) and _set(b, _field(i), 7),
    "free": lambda p, b, i: rt.poison(b),
    "choose free": lambda p, b, i: rt.choose(2) or rt.poison(b),
    "bug": lambda p, b, i: rt.bug_on(getattr(b, _field(i)) == 1 + i, "bug", field=_field(i)),
    "spawn": lambda p, b, i: p.spawn(i),
    "join": lambda p, b, i: p.children and not p.atomic() and rt.join(p.children.pop()),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """A random program; calling it plays the main task.  `irq`: the last task is an interrupt on CPU 0."""

    ops: tuple[tuple[Op, ...], ...]
    cpus: tuple[int | None, ...]
    irq: bool = False
    daemon: bool = False  # the first task is one

    @property
    def apart(self) -> bool:
        """Say whether begin and end of a task concern nobody else, so that they need not be enumerated."""
        if any("free" in name for ops in self.ops for name, _ in ops):
            return False  # what freed memory concerns includes who has announced an op on it
        return not self.irq and not self.daemon and len(set(self.cpus)) == len(self.cpus) and 0 not in self.cpus

    def __call__(self) -> None:
        """Play."""

        def body(b: Box, number: int) -> None:
            interrupt = self.irq and number == len(self.ops) - 1
            if interrupt:
                rt.irq_enter(0)
            Player(b).play(self.ops[number])
            if interrupt:
                rt.irq_exit()

        with rt.fixed_order():
            b = box()
            b.count.get("base")
            for number in range(len(self.ops)):
                daemon = self.daemon and number == 0
                rt.spawn(body, b, number, name=f"t{number}", cpu=self.cpus[number], daemon=daemon)
        rt.join_others()


def drawn(family: str, seed: object, ops_max: int = 4) -> Drawn:
    """Draw a program: two tasks or three, on CPUs of their own or together, some with an interrupt or a daemon."""
    rng = random.Random(f"{family}/{seed}")
    tasks = rng.choice((2, 2, 2, 3))
    kinds = FAMILIES[family]
    ops = tuple(
        tuple((rng.choice(kinds), rng.randrange(2)) for _ in range(rng.randint(1, ops_max if tasks == 2 else 2)))
        for _ in range(tasks)
    )
    together = rng.random() < 0.4
    cpus: list[int | None] = [rng.randrange(2) if together else 1 + number for number in range(tasks)]
    irq = rng.random() < (0.5 if family == "irq" else 0.15)
    if irq:
        cpus[-1] = None
    return Drawn(ops, tuple(cpus), irq, daemon=not irq and family != "spawn" and rng.random() < 0.1)
