"""Random programs for source-DPOR: what each family's tasks may do, and programs drawn of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mmrace import runtime as rt
from mmrace.runtime.task import Task
from tests.runtime.engines import Box, Flag, box
from tests.strategies.dpor_families.plain import increment, sets_x

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
        self.children.append(rt.spawn(sets_x if arg else increment, self.b, cpu=3))

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
