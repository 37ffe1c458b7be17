"""A run that was released leaves nothing to the garbage collector, whatever way it ended."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.noise import Noise
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.strategies.order.classes import ClassDigest
from tests.garbage import garbage
from tests.runtime.engines import Box, Flag, Program, box

NCPUS = 2
BOUND = 400  # ops of a run that goes on for ever

Controlling = type[FiberEngine] | type[GateEngine]


def everything() -> None:
    """Use one of each primitive, in several tasks, an interrupt and a daemon."""
    one, two = box(1, link=None), box(2)
    one.link, two.link = two, one  # a ring of the model's own
    per_cpu = rt.PerCpu(NCPUS, lambda cpu: Box(("per_cpu", cpu), words=1))
    done = rt.Completion("done")

    def work(number: int) -> None:
        rt.bit_lock(one.flags, Flag.LOCKED)
        one.words.write(0, number)
        rt.bit_unlock(one.flags, Flag.LOCKED)
        rt.wait_on_bit(one.flags, Flag.DIRTY)
        with_lock(one)
        for turn in rt.until_changed():
            if turn or one.x:
                break
        one.count.get("work")

    def with_lock(mine: Box) -> None:
        rt.spin_lock_irq(mine.spin)
        per_cpu.this_cpu().y += 1
        rt.spin_unlock_irq(mine.spin)
        rt.bit_spin_lock(mine.flags, Flag.SPIN)
        rt.bit_spin_unlock(mine.flags, Flag.SPIN)
        rt.mutex_lock(mine.mutex)
        rt.mutex_unlock(mine.mutex)

    def device() -> None:
        rt.irq_enter(0)
        one.x = 1
        rt.wake_up_all(one.queue)
        rt.irq_exit()
        done.complete()

    rt.spawn(lambda: rt.wait_event(two.queue, lambda: False), daemon=True)
    for number in range(2):
        rt.spawn(work, number, cpu=number)
    rt.spawn(device, cpu=None)
    rt.wait_event(one.queue, lambda: one.x == 1)
    done.wait()
    rt.join_others()
    gone = box(3)
    rt.poison(gone)
    rt.choose(2)


def two_locks() -> None:
    """BUGGY: two tasks take two locks in two orders."""
    shared = box()

    def take(first: rt.SpinLock, second: rt.SpinLock) -> None:
        rt.spin_lock(first)
        while not shared.x:
            shared.x = 1
            rt.schedule()
        rt.spin_lock(second)

    rt.spawn(take, shared.spin, shared.other, cpu=0)
    rt.spawn(take, shared.other, shared.spin, cpu=1)
    rt.join_others()


def asleep_for_ever() -> None:
    """BUGGY: sleepers that nobody wakes, on a queue and on a bit."""
    shared = box()
    shared.flags.store(1 << Flag.LOCKED)
    rt.spawn(lambda: rt.wait_event(shared.queue, lambda: shared.y == 1, holds=lambda: rt.peek(shared, "y") == 1))
    rt.spawn(lambda: rt.bit_lock(shared.flags, Flag.LOCKED), cpu=1)
    rt.join_others()


def retries() -> None:
    """BUGGY: a loop that waits for what nobody changes."""
    shared = box()
    for _ in rt.until_changed():
        if shared.x:
            break


def used_after_free() -> None:
    """BUGGY: a read of what was freed, while another task sleeps."""
    shared = box()
    rt.spawn(lambda: rt.wait_event(shared.queue, lambda: shared.y == 1), cpu=1)
    rt.schedule()
    rt.poison(shared, keep=("queue", "y"))
    shared.x = 1


def raised() -> None:
    """Raise what no oracle knows, with frames of several tasks alive."""
    shared = box()

    def fail() -> None:
        rt.spin_lock(shared.spin)
        raise ValueError(shared)

    rt.spawn(fail, cpu=1)
    rt.join_others()


def for_ever() -> None:
    """BUGGY: two tasks that give way to each other for ever."""
    shared = box()

    def turn() -> None:
        while not shared.x:
            rt.schedule()

    rt.spawn(turn, cpu=1)
    turn()


PROGRAMS: dict[str, tuple[Program, str]] = {
    "retries": (retries, "deadlock"),
    "finished": (everything, "finished"),
    "two-locks": (two_locks, "deadlock"),
    "asleep": (asleep_for_ever, "deadlock"),
    "used-after-free": (used_after_free, "violation"),
    "raised": (raised, "crash"),
    "for-ever": (for_ever, "bound"),
}


def judged(engine: Controlled | FreeEngine, program: Program) -> str:
    """Run, make the record and ask it for all that is kept with objects, release; return how the run ended."""
    engine.run(program)
    record = Record.of_run(engine, {"engine": engine.name}, {})
    assert list(record.lines())
    engine.release()
    return str(record.end["how"])


@pytest.mark.parametrize("options", [{}, {"sites": True}, {"promoted": frozenset({"Box.x"})}], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", [FiberEngine, GateEngine])
def test_a_released_run_leaves_no_garbage(kind: Controlling, name: str, options: dict[str, object]) -> None:
    program, how = PROGRAMS[name]

    def once() -> None:
        engine = kind(RoundRobin(), ncpus=NCPUS, steps_max=BOUND, **options)  # type: ignore[arg-type]
        assert judged(engine, program) == how

    assert garbage(once) == 0


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", [FiberEngine, GateEngine])
def test_a_released_run_leaves_no_garbage_if_it_was_watched(kind: Controlling, name: str) -> None:
    program, how = PROGRAMS[name]

    def once() -> None:
        engine = kind(RoundRobin(), ncpus=NCPUS, steps_max=BOUND)
        digest = ClassDigest(engine)
        engine.run(program)
        digest.value()
        engine.release()
        assert engine.end["how"] == how

    assert garbage(once) == 0


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_released_run_leaves_no_garbage_under_free(name: str) -> None:
    program, how = PROGRAMS[name]
    if program is retries:  # there it spins
        how = "bound"

    def once() -> None:
        assert judged(FreeEngine(Noise("off", 0), ncpus=NCPUS, steps_max=BOUND), program) == how

    assert garbage(once) == 0


def test_the_check_notices_a_run_that_was_not_released() -> None:
    def once() -> None:
        FiberEngine(RoundRobin(), ncpus=NCPUS, steps_max=BOUND).run(everything)

    assert garbage(once) > 0
