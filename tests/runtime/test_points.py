"""Each primitive is a point exactly where its docstring says so: `Point: always`, `never`, or on which path.

Model code is written, and schedules are read, by these lines.  Each is held to what `engine.step` counts, on every path
that could skip the point.  Invariant: a primitive that says something about points is called here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime import live
from mmrace.runtime.controlled import Controlled
from tests.runtime.engines import Box, Flag, box, fiber

LOCKED, SPIN = Flag.LOCKED, Flag.SPIN
SAYS = re.compile(r"Point: (.+?)\.(?:\s|$)")


class Statistics(rt.Struct):
    """What is counted."""

    number = rt.atomic()


class Bench:
    """What a call can be on; `kept` is for what it needs from the call before."""

    def __init__(self) -> None:
        self.box = box()
        self.statistics = Statistics("statistics")
        self.done = rt.Completion("done")
        self.per_cpu = rt.PerCpu(4, lambda cpu: Box(("per_cpu", cpu), words=1))
        self.kept: Any = None

    def keep(self, value: object) -> None:
        """Keep it."""
        self.kept = value


On = Callable[[Bench], object]


@dataclass(frozen=True)
class Case:
    """One call, after another one; `device`: in a task that is bound to no CPU."""

    call: On
    before: On = lambda b: None
    device: bool = False


def points(case: Case) -> int:
    """Return how many points the call was."""
    counted: list[int] = []

    def main() -> None:
        bench = Bench()

        def task() -> None:
            engine = live.engine
            assert isinstance(engine, Controlled)
            case.before(bench)
            step = engine.step
            case.call(bench)
            counted.append(engine.step - step)

        rt.join(rt.spawn(task, cpu=None if case.device else 1))

    fiber(main)
    (count,) = counted
    return count


def _queued(b: Bench) -> None:
    b.keep(rt.prepare_to_wait(b.box.queue, None))


def _woken(b: Bench) -> None:
    _queued(b)
    rt.wake_up(b.box.queue)


def _ended(b: Bench) -> None:
    b.keep(rt.spawn(lambda: None, cpu=2))
    rt.join(b.kept)


def _fixed(b: Bench) -> None:
    with rt.fixed_order():
        pass


def _in_irq(b: Bench) -> None:
    rt.irq_enter(0)


CASES: dict[str, tuple[Case, ...]] = {
    "Atomic.add": (Case(lambda b: b.statistics.number.add(2)),),
    "Atomic.read": (Case(lambda b: b.statistics.number.read()),),
    "Completion.complete": (Case(lambda b: b.done.complete()),),
    "Completion.wait": (Case(lambda b: b.done.wait(), lambda b: b.done.complete()),),
    "FlagWord.load": (Case(lambda b: b.box.flags.load()),),
    "FlagWord.store": (Case(lambda b: b.box.flags.store(0)),),
    "PerCpu.this_cpu": (Case(lambda b: b.per_cpu.this_cpu(), lambda b: rt.preempt_disable()),),
    "PerCpu.of": (Case(lambda b: b.per_cpu.of(2)),),
    "Refcount.get": (Case(lambda b: b.box.count.get("a")),),
    "Refcount.put": (Case(lambda b: b.box.count.put("a"), lambda b: b.box.count.get("a")),),
    "Refcount.get_unless_zero": (
        Case(lambda b: b.box.count.get_unless_zero("a")),
        Case(lambda b: b.box.count.get_unless_zero("a"), lambda b: b.box.count.get("b")),
    ),
    "Refcount.read": (Case(lambda b: b.box.count.read()),),
    "Refcount.freeze": (Case(lambda b: b.box.count.freeze(0)), Case(lambda b: b.box.count.freeze(3))),
    "Refcount.unfreeze": (Case(lambda b: b.box.count.unfreeze(1), lambda b: b.box.count.freeze(0)),),
    "Refcount.retire": (Case(lambda b: b.box.count.retire("a")),),
    "Refcount.rename": (Case(lambda b: b.box.count.rename("a", "b")),),
    "Words.preset": (Case(lambda b: b.box.words.preset([0] * len(b.box.words.values))),),
    "Words.read": (Case(lambda b: b.box.words.read(0)),),
    "Words.write": (Case(lambda b: b.box.words.write(0, 1)),),
    "bit_lock": (Case(lambda b: rt.bit_lock(b.box.flags, LOCKED)),),
    "bit_spin_lock": (Case(lambda b: rt.bit_spin_lock(b.box.flags, SPIN)),),
    "bit_spin_trylock": (
        Case(lambda b: rt.bit_spin_trylock(b.box.flags, SPIN)),
        Case(lambda b: rt.bit_spin_trylock(b.box.flags, SPIN), lambda b: rt.bit_spin_lock(b.box.flags, SPIN)),
    ),
    "bit_spin_unlock": (
        Case(lambda b: rt.bit_spin_unlock(b.box.flags, SPIN), lambda b: rt.bit_spin_lock(b.box.flags, SPIN)),
    ),
    "bit_trylock": (
        Case(lambda b: rt.bit_trylock(b.box.flags, LOCKED)),
        Case(lambda b: rt.bit_trylock(b.box.flags, LOCKED), lambda b: rt.bit_lock(b.box.flags, LOCKED)),
    ),
    "bit_unlock": (Case(lambda b: rt.bit_unlock(b.box.flags, LOCKED), lambda b: rt.bit_lock(b.box.flags, LOCKED)),),
    "bug_on": (Case(lambda b: rt.bug_on(False, "no bug")),),
    "choose": (Case(lambda b: rt.choose(1)), Case(lambda b: rt.choose(3))),
    "clear_bit": (
        Case(lambda b: rt.clear_bit(b.box.flags, Flag.DIRTY)),
        Case(lambda b: rt.clear_bit(b.box.flags, Flag.DIRTY), lambda b: rt.set_bit(b.box.flags, Flag.DIRTY)),
    ),
    "clear_bit_unlock": (
        Case(lambda b: rt.clear_bit_unlock(b.box.flags, LOCKED), lambda b: rt.bit_lock(b.box.flags, LOCKED)),
    ),
    "cond_resched": (Case(lambda b: rt.cond_resched()),),
    "current": (Case(lambda b: rt.current()),),
    "finish_wait": (
        Case(lambda b: rt.finish_wait(b.kept), _queued),
        Case(lambda b: rt.finish_wait(b.kept), _woken),
    ),
    "fixed_order": (Case(_fixed),),
    "hand_over": (Case(lambda b: rt.hand_over(b.box.flags, LOCKED, "io"), lambda b: rt.bit_lock(b.box.flags, LOCKED)),),
    "irq_enter": (Case(_in_irq, device=True),),
    "irq_exit": (Case(lambda b: rt.irq_exit(), _in_irq, device=True),),
    "join": (
        Case(lambda b: rt.join(b.kept), lambda b: b.keep(rt.spawn(lambda: None, cpu=2))),
        Case(lambda b: rt.join(b.kept), _ended),
    ),
    "local_irq_disable": (Case(lambda b: rt.local_irq_disable()),),
    "local_irq_enable": (Case(lambda b: rt.local_irq_enable(), lambda b: rt.local_irq_disable()),),
    "might_sleep": (Case(lambda b: rt.might_sleep()),),
    "mutex_lock": (Case(lambda b: rt.mutex_lock(b.box.mutex)),),
    "mutex_trylock": (
        Case(lambda b: rt.mutex_trylock(b.box.mutex)),
        Case(lambda b: rt.mutex_trylock(b.box.mutex), lambda b: rt.mutex_lock(b.box.mutex)),
    ),
    "mutex_unlock": (Case(lambda b: rt.mutex_unlock(b.box.mutex), lambda b: rt.mutex_lock(b.box.mutex)),),
    "note": (Case(lambda b: rt.note("seen", 1)),),
    "poison": (Case(lambda b: rt.poison(b.box)),),
    "preempt_disable": (Case(lambda b: rt.preempt_disable()),),
    "preempt_enable": (Case(lambda b: rt.preempt_enable(), lambda b: rt.preempt_disable()),),
    "prepare_to_wait": (
        Case(_queued),
        Case(lambda b: rt.prepare_to_wait(b.box.queue, b.kept), _queued),
        Case(lambda b: rt.prepare_to_wait(b.box.queue, b.kept), _woken),
    ),
    "rcu_read_lock": (Case(lambda b: rt.rcu_read_lock()),),
    "rcu_read_unlock": (Case(lambda b: rt.rcu_read_unlock(), lambda b: rt.rcu_read_lock()),),
    "reached": (Case(lambda b: rt.reached("a branch")),),
    "revive": (Case(lambda b: rt.revive(b.box)), Case(lambda b: rt.revive(b.box), lambda b: rt.poison(b.box))),
    "schedule": (Case(lambda b: rt.schedule()),),
    "sleep": (Case(lambda b: rt.sleep(5)),),
    "set_bit": (
        Case(lambda b: rt.set_bit(b.box.flags, Flag.DIRTY)),
        Case(lambda b: rt.set_bit(b.box.flags, Flag.DIRTY), lambda b: rt.set_bit(b.box.flags, Flag.DIRTY)),
    ),
    "sleep_on": (Case(lambda b: rt.sleep_on(b.kept), _woken),),
    "spawn": (Case(lambda b: rt.spawn(lambda: None, cpu=2)),),
    "spin_lock": (Case(lambda b: rt.spin_lock(b.box.spin)),),
    "spin_lock_irq": (Case(lambda b: rt.spin_lock_irq(b.box.spin)),),
    "spin_lock_irqsave": (Case(lambda b: rt.spin_lock_irqsave(b.box.spin)),),
    "spin_trylock": (
        Case(lambda b: rt.spin_trylock(b.box.spin)),
        Case(lambda b: rt.spin_trylock(b.box.spin), lambda b: rt.spin_lock(b.box.spin)),
    ),
    "spin_unlock": (Case(lambda b: rt.spin_unlock(b.box.spin), lambda b: rt.spin_lock(b.box.spin)),),
    "spin_unlock_irq": (Case(lambda b: rt.spin_unlock_irq(b.box.spin), lambda b: rt.spin_lock_irq(b.box.spin)),),
    "spin_unlock_irqrestore": (
        Case(lambda b: rt.spin_unlock_irqrestore(b.box.spin), lambda b: rt.spin_lock_irqsave(b.box.spin)),
    ),
    "test_and_clear_bit": (Case(lambda b: rt.test_and_clear_bit(b.box.flags, Flag.DIRTY)),),
    "test_and_set_bit": (Case(lambda b: rt.test_and_set_bit(b.box.flags, Flag.DIRTY)),),
    "test_bit": (Case(lambda b: rt.test_bit(b.box.flags, Flag.DIRTY)),),
    "wait_event": (Case(lambda b: rt.wait_event(b.box.queue, lambda: b.box.x == 0)),),
    "wait_on_bit": (Case(lambda b: rt.wait_on_bit(b.box.flags, LOCKED)),),
    "wake_up": (Case(lambda b: rt.wake_up(b.box.queue)), Case(lambda b: rt.wake_up(b.box.queue), _queued)),
    "wake_up_all": (Case(lambda b: rt.wake_up_all(b.box.queue)), Case(lambda b: rt.wake_up_all(b.box.queue), _queued)),
    "wake_up_bit": (Case(lambda b: rt.wake_up_bit(b.box.flags, LOCKED)),),
}

ON_A_PATH = {
    "join_others": "if there is any",
    "until_changed": "always, before every turn but the first",
}
"""What says on which path it is a point has a test of its own."""

ALWAYS = {
    "always": 1,
    "always (disabled while held)": 1,
    "always (disabled before)": 1,
    "always; more of them when it is contended": 1,
    "always, twice": 2,
}
"""What a docstring says of a primitive that always is a point -> how many of them at least."""


def primitives() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the functions that the runtime exports, and the public methods of its classes."""
    for name in rt.__all__:
        value = getattr(rt, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for key, method in vars(value).items():
                if inspect.isfunction(method) and not key.startswith("_"):
                    yield f"{name}.{key}", method


SAID = {name: said[1] for name, function in primitives() if (said := SAYS.search(inspect.getdoc(function) or ""))}
"""Primitive -> what it says of points."""


def test_every_primitive_that_says_something_about_points_is_called() -> None:
    assert SAID.keys() == CASES.keys() | ON_A_PATH.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_primitive_is_a_point_as_it_says(name: str) -> None:
    said = SAID[name]
    for number, case in enumerate(CASES[name]):
        counted = points(case)
        if said == "never":
            assert counted == 0, f"{name}, case {number}"
        else:
            assert counted >= ALWAYS[said], f"{name}, case {number}"


def test_join_others_is_a_point_if_there_is_any() -> None:
    assert SAID["join_others"] == ON_A_PATH["join_others"]
    counted: list[int] = []

    def main() -> None:
        engine = live.engine
        assert isinstance(engine, Controlled)
        for helpers in (0, 1):
            for _ in range(helpers):
                rt.spawn(lambda: None, cpu=1)
            step = engine.step
            rt.join_others()
            counted.append(engine.step - step)

    fiber(main)
    assert counted[0] == 0 < counted[1]


def test_until_changed_is_a_point_before_every_turn_but_the_first() -> None:
    assert SAID["until_changed"] == ON_A_PATH["until_changed"]
    counted: list[int] = []

    def turns() -> None:
        shared = box()
        engine = live.engine
        assert isinstance(engine, Controlled)
        rt.spawn(lambda: setattr(shared, "x", 1), cpu=1)
        step = engine.step
        for _ in rt.until_changed():
            counted.append(engine.step - step)
            seen = shared.x
            step = engine.step
            if seen:
                return

    fiber(turns)
    assert counted[0] == 0 < counted[1]


def test_the_count_notices_a_primitive_that_says_too_little_and_one_that_says_too_much() -> None:
    assert points(Case(lambda b: None)) == 0
    assert points(Case(lambda b: b.box.x)) == 1
    assert points(Case(lambda b: (b.box.x, b.box.y))) == 2
