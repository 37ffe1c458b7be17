"""How small programs are made and searched, and what is compared of their runs.

A search is complete if what it saw equals what `Enumerate`, which reduces nothing, saw: how runs ended, the final
state, what each task saw op by op.  Invariant: nothing here uses the dependence relation.  A run that ended by a
violation is known by the violation alone, for how far the others got by then differs inside one class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import factorial, prod
from typing import Any, TypeVar

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
from tests.runtime.engines import Box, Program, box
from tests.strategies.open_lock import Room

NCPUS = 4
STEPS_MAX = 2000  # no program here comes near
TABLES = Tables(compared={"write-begin": WRITE, "write-end": WRITE, "read-begin": READ, "read-end": READ})
RUNS_MAX = 60_000
FRAME = frozenset(map(int, (Kind.BEGIN, Kind.EXIT, Kind.SPAWN, Kind.JOIN)))

Body = Callable[[Box], object]
B = TypeVar("B", bound=Box)
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
            if kind in (Kind.GET, Kind.ADD):
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
    if isinstance(obj, Room):
        locks += (obj.lock.owner and obj.lock.owner.name,)
    return (*values, tuple(obj.words.values), obj.count.value, obj.flags.value, locks, tuple(sorted(waiting)))


def played(
    *bodies: Callable[[B], object],
    cpus: Iterable[int | None] | None = None,
    daemons: Iterable[int] = (),
    on: Callable[[], B] = box,  # type: ignore[assignment]
) -> Program:
    """Return the program whose tasks do these, each on the same box.

    Args: cpus: of each, its ordinal if not given, None for a device.  daemons: ordinals of those.  on: makes the box.
    """
    homes = list(range(len(bodies))) if cpus is None else list(cpus)

    def main() -> None:
        with rt.fixed_order():
            shared = on()
            shared.count.get("base")
            for number, body in enumerate(bodies):
                rt.spawn(body, shared, name=f"t{number}", cpu=homes[number], daemon=number in daemons)
        rt.join_others()

    return main
