"""Small concurrent programs that benchmarks share: what each is in the abstract, as mmrace code, and counted exactly.

A `Program` is both a list of abstract ops for each thread, which `enumerate_all` walks without mmrace, and the same
thing as an mmrace struct with one function a thread, which `play` runs on an engine.  Invariant: both have the same
outcomes (tests/bench checks it).  An outcome is what a user would look at: values and logs at the end, or DEADLOCK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled

DEADLOCK = "deadlock"
ABANDONED = "abandoned"  # no outcome: a systematic search gave the run up, for it would repeat another
STEPS_MAX = 10_000  # ops of a run; none of these programs comes near
Outcome = str | tuple[object, ...]
Op = tuple[str, str]
"""(verb, object): lock, unlock; read (into the thread's register), write (register + 1); append (the thread's id)."""


@dataclass(frozen=True)
class Program:
    """One program.  `seen` reads the outcome from the struct at the end; `wrong` says whether it is a bug."""

    name: str
    threads: tuple[tuple[Op, ...], ...]
    make: Callable[[], rt.Struct]
    workers: tuple[Callable[..., None], ...]
    seen: Callable[..., Outcome]
    wrong: Callable[[Outcome], bool]
    buggy: bool = True


def play(program: Program, engine: Controlled) -> Outcome:
    """Run `program` once on a fresh engine; raise what its tasks raised, or RuntimeError if it ended in another way."""
    made: list[rt.Struct] = []

    def main() -> None:
        shared = program.make()
        made.append(shared)
        for cpu, worker in enumerate(program.workers):
            rt.spawn(worker, shared, cpu=cpu)
        rt.join_others()

    engine.run(main)
    if engine.error is not None:
        raise engine.error
    how = engine.end["how"]
    if how == "finished":
        return program.seen(made[0])
    if how in (DEADLOCK, ABANDONED):
        return str(how)
    raise RuntimeError(f"{program.name}: expected finished or deadlock, got {engine.end!r}")


# -- the exact numbers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """What there is to see: all interleavings of the ops, those that differ in the order of dependent ops, outcomes."""

    interleavings: int
    traces: int
    outcomes: frozenset[Outcome]


@dataclass(frozen=True)
class _State:
    at: tuple[int, ...]
    memory: tuple[tuple[str, object], ...]  # variables by name; a lock's value is its holder
    registers: tuple[object, ...]


def _names(program: Program) -> list[tuple[str, object]]:
    first: dict[str, object] = {}
    for verb, name in [op for thread in program.threads for op in thread]:
        first.setdefault(name, {"lock": None, "append": ()}.get(verb, 0))
    return sorted(first.items())


def _steps(program: Program, state: _State) -> Iterator[tuple[int, Op]]:
    """Yield (thread, op) of every thread that can go on."""
    memory = dict(state.memory)
    for thread, ops in enumerate(program.threads):
        if state.at[thread] < len(ops):
            op = ops[state.at[thread]]
            if op[0] != "lock" or memory[op[1]] is None:
                yield thread, op


def _after(state: _State, thread: int, op: Op) -> _State:
    verb, name = op
    memory = dict(state.memory)
    registers = list(state.registers)
    value = memory[name]
    if verb == "read":
        registers[thread] = value
    elif verb == "write":
        register = registers[thread]
        assert isinstance(register, int)
        memory[name], registers[thread] = register + 1, None
    elif verb == "append":
        assert isinstance(value, tuple)
        memory[name] = (*value, thread)
    else:
        memory[name] = thread if verb == "lock" else None
    at = tuple(place + (number == thread) for number, place in enumerate(state.at))
    return _State(at, tuple(memory.items()), tuple(registers))


def _dependent(one: Op, other: Op) -> bool:
    return one[1] == other[1] and not one[0] == other[0] == "read"


def _outcome(program: Program, state: _State) -> Outcome:
    if any(at < len(ops) for at, ops in zip(state.at, program.threads, strict=True)):
        return DEADLOCK
    locks = {name for thread in program.threads for verb, name in thread if verb == "lock"}
    return tuple(value for name, value in state.memory if name not in locks)


def enumerate_all(program: Program) -> Counts:
    """Count by brute force over the abstract program's states.

    Traces are counted as the paths that sleep sets leave: one for each class of interleavings that differ only in the
    order of independent ops.  Source: Godefroid, Partial-Order Methods (LNCS 1032), section 5.
    """
    outcomes: set[Outcome] = set()

    @cache
    def paths(state: _State) -> int:
        steps = list(_steps(program, state))
        if not steps:
            outcomes.add(_outcome(program, state))
            return 1
        return sum(paths(_after(state, thread, op)) for thread, op in steps)

    @cache
    def classes(state: _State, sleeping: frozenset[int]) -> int:
        steps = dict(_steps(program, state))
        total = 0 if steps else 1
        asleep = set(sleeping)
        for thread, op in steps.items():
            if thread not in asleep:
                still = frozenset(other for other in asleep if not _dependent(steps[other], op))
                total += classes(_after(state, thread, op), still)
                asleep.add(thread)
        return total

    count = len(program.threads)
    start = _State((0,) * count, tuple(_names(program)), (None,) * count)
    return Counts(paths(start), classes(start, frozenset()), frozenset(outcomes))


# -- the programs ---------------------------------------------------------------------------------------------------


class Counter(rt.Struct):
    """A counter without a lock."""

    value: rt.Field[int] = rt.shared(0)


class Table(rt.Struct):
    """The forks of three philosophers."""

    fork0 = rt.mutex()
    fork1 = rt.mutex()
    fork2 = rt.mutex()


class Pair(rt.Struct):
    """Two locks, and who took them in which order: a log is written under its lock."""

    a = rt.mutex()
    b = rt.mutex()
    log_a: list[int] = rt.ghost([])
    log_b: list[int] = rt.ghost([])


class Chain(rt.Struct):
    """Five locks that every thread passes, and the counter behind them, which none of them guards."""

    lock0 = rt.mutex()
    lock1 = rt.mutex()
    lock2 = rt.mutex()
    lock3 = rt.mutex()
    lock4 = rt.mutex()
    value: rt.Field[int] = rt.shared(0)


def increment(counter: Counter) -> None:
    """Add one, not atomically."""
    value = counter.value
    counter.value = value + 1


def eat0(table: Table) -> None:
    """Dine, first philosopher."""
    rt.mutex_lock(table.fork0)
    rt.mutex_lock(table.fork1)
    rt.mutex_unlock(table.fork1)
    rt.mutex_unlock(table.fork0)


def eat1(table: Table) -> None:
    """Dine, second philosopher."""
    rt.mutex_lock(table.fork1)
    rt.mutex_lock(table.fork2)
    rt.mutex_unlock(table.fork2)
    rt.mutex_unlock(table.fork1)


def eat2(table: Table) -> None:
    """Dine, third philosopher: takes the forks in ring order like the others, hence the deadlock."""
    rt.mutex_lock(table.fork2)
    rt.mutex_lock(table.fork0)
    rt.mutex_unlock(table.fork0)
    rt.mutex_unlock(table.fork2)


def nested(number: int) -> Callable[[Pair], None]:
    """Return a thread with two critical sections, each under both locks, always a before b."""

    def worker(pair: Pair) -> None:
        for _ in range(2):
            rt.mutex_lock(pair.a)
            rt.mutex_lock(pair.b)
            pair.log_a.append(number)
            rt.mutex_unlock(pair.b)
            rt.mutex_unlock(pair.a)

    return worker


def in_turn(number: int) -> Callable[[Pair], None]:
    """Return a thread with one critical section under a, then one under b."""

    def worker(pair: Pair) -> None:
        rt.mutex_lock(pair.a)
        pair.log_a.append(number)
        rt.mutex_unlock(pair.a)
        rt.mutex_lock(pair.b)
        pair.log_b.append(number)
        rt.mutex_unlock(pair.b)

    return worker


def pass_five(chain: Chain) -> None:
    """Take and drop each lock, then add one without any."""
    rt.mutex_lock(chain.lock0)
    rt.mutex_unlock(chain.lock0)
    rt.mutex_lock(chain.lock1)
    rt.mutex_unlock(chain.lock1)
    rt.mutex_lock(chain.lock2)
    rt.mutex_unlock(chain.lock2)
    rt.mutex_lock(chain.lock3)
    rt.mutex_unlock(chain.lock3)
    rt.mutex_lock(chain.lock4)
    rt.mutex_unlock(chain.lock4)
    value = chain.value
    chain.value = value + 1


def _value(shared: Counter | Chain) -> Outcome:
    return (rt.peek(shared, "value"),)


def _section(lock: str, *inside: Op) -> tuple[Op, ...]:
    return (("lock", lock), *inside, ("unlock", lock))


_ADD: tuple[Op, ...] = (("read", "value"), ("write", "value"))
_BOTH = _section("a", *_section("b", ("append", "log_a")))
_RING = (("fork0", "fork1"), ("fork1", "fork2"), ("fork2", "fork0"))
_FIVE = tuple(op for number in range(5) for op in _section(f"lock{number}"))

LOST_UPDATE = Program(
    "lost update", (_ADD,) * 2, lambda: Counter("counter"), (increment,) * 2, _value, lambda seen: seen != (2,)
)
PHILOSOPHERS = Program(
    "three philosophers",
    tuple(_section(left, *_section(right)) for left, right in _RING),
    lambda: Table("table"),
    (eat0, eat1, eat2),
    lambda table: (),
    lambda seen: seen == DEADLOCK,
)
NESTED = Program(
    "two locks, nested twice",
    (_BOTH * 2,) * 2,
    lambda: Pair("pair", log_a=[], log_b=[]),
    (nested(0), nested(1)),
    lambda pair: (tuple(pair.log_a),),
    lambda seen: seen == DEADLOCK,
    buggy=False,
)
IN_TURN = Program(
    "two locks, in turn",
    (_section("a", ("append", "log_a")) + _section("b", ("append", "log_b")),) * 2,
    lambda: Pair("pair", log_a=[], log_b=[]),
    (in_turn(0), in_turn(1)),
    lambda pair: (tuple(pair.log_a), tuple(pair.log_b)),
    lambda seen: seen == DEADLOCK,
    buggy=False,
)
FIVE_LOCKS = Program(
    "lost update behind five locks",
    (_FIVE + _ADD,) * 3,
    lambda: Chain("chain"),
    (pass_five,) * 3,
    _value,
    lambda seen: seen != (3,),
)
PROGRAMS = (LOST_UPDATE, PHILOSOPHERS, NESTED, IN_TURN, FIVE_LOCKS)
