"""Contexts: who may sleep, and that nobody else runs on a CPU with preemption off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.contended import contended
from tests.runtime.engines import ONE_OF_EACH, Box, Flag, Outcome, Setup, box, explore


@contextmanager
def _between(enter: Callable[[], object], leave: Callable[[], object]) -> Iterator[None]:
    enter()
    yield  # an abort passes: it must not be caught here
    leave()


ATOMIC = {
    "spinlock": lambda it: _between(lambda: rt.spin_lock(it.spin), lambda: rt.spin_unlock(it.spin)),
    "trylock": lambda it: _between(lambda: rt.spin_trylock(it.spin), lambda: rt.spin_unlock(it.spin)),
    "irq spinlock": lambda it: _between(lambda: rt.spin_lock_irq(it.spin), lambda: rt.spin_unlock_irq(it.spin)),
    "bit spinlock": lambda it: _between(
        lambda: rt.bit_spin_lock(it.flags, Flag.SPIN), lambda: rt.bit_spin_unlock(it.flags, Flag.SPIN)
    ),
    "preempt off": lambda it: _between(rt.preempt_disable, rt.preempt_enable),
    "irqs off": lambda it: _between(rt.local_irq_disable, rt.local_irq_enable),
    "rcu": lambda it: _between(rt.rcu_read_lock, rt.rcu_read_unlock),
    "irq": lambda it: _between(lambda: rt.irq_enter(1), rt.irq_exit),
}
SLEEPS: dict[str, Callable[[Box], object]] = {
    "might_sleep": lambda it: rt.might_sleep(),
    "mutex_lock": lambda it: rt.mutex_lock(it.mutex),
    "bit_lock": lambda it: rt.bit_lock(it.flags, Flag.LOCKED),
    "wait_on_bit": lambda it: rt.wait_on_bit(it.flags, Flag.LOCKED),
    "wait_event": lambda it: rt.wait_event(it.queue, lambda: True),
    "completion": lambda it: rt.Completion("done:0").wait(),
}
DOES_NOT_SLEEP: dict[str, Callable[[Box], object]] = {
    "mutex_trylock": lambda it: rt.mutex_trylock(it.mutex) and rt.mutex_unlock(it.mutex),
    "bit_trylock": lambda it: rt.bit_trylock(it.flags, Flag.LOCKED) and rt.bit_unlock(it.flags, Flag.LOCKED),
    "wake_up": lambda it: rt.wake_up(it.queue),
    "count": lambda it: it.count.get("gup"),
    "other spinlock": lambda it: (rt.spin_lock(it.other), rt.spin_unlock(it.other)),
}
each_atomic = pytest.mark.parametrize("atomic", ATOMIC)
each_engine = pytest.mark.parametrize("engine", ONE_OF_EACH, ids=lambda setup: setup.name)


def _in_context(atomic: str, deed: Callable[[Box], object]) -> Callable[[], None]:
    def main() -> None:
        """BUGGY if the deed sleeps: does it in atomic context."""
        shared = box()

        def actor() -> None:
            with ATOMIC[atomic](shared):
                deed(shared)

        rt.join(rt.spawn(actor, name="actor", cpu=None if atomic == "irq" else 1))

    return main


@each_engine
@each_atomic
@pytest.mark.parametrize("sleep", SLEEPS)
def test_sleeping_in_atomic_context_is_a_violation_even_if_it_would_not_have_slept(
    engine: Setup, atomic: str, sleep: str
) -> None:
    outcome = engine(_in_context(atomic, SLEEPS[sleep]))
    assert outcome.how == "violation", outcome.record.end
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == ("lock-discipline", "sleep in atomic context")
    facts = outcome.detail["facts"]
    assert facts["task"] == "actor"
    said = {"preempt off": "preempt", "irqs off": "irqs_off", "rcu": "rcu", "irq": "in_irq"}.get(atomic, "preempt")
    assert facts[said]
    assert facts["held"] == {
        "spinlock": ("box:0.spin",), "trylock": ("box:0.spin",), "irq spinlock": ("box:0.spin",),
        "bit spinlock": ("box:0.flags.SPIN",),
    }.get(atomic, ())  # fmt: skip


@each_engine
@each_atomic
@pytest.mark.parametrize("deed", DOES_NOT_SLEEP)
def test_what_never_waits_is_allowed_in_atomic_context(engine: Setup, atomic: str, deed: str) -> None:
    assert engine(_in_context(atomic, DOES_NOT_SLEEP[deed])).how == "finished"


@each_engine
@pytest.mark.parametrize("sleep", SLEEPS)
def test_after_the_context_ended_the_task_may_sleep(engine: Setup, sleep: str) -> None:
    def main() -> None:
        shared = box()
        for name, context in ATOMIC.items():
            if name != "irq":
                with context(shared):
                    pass
        if sleep != "completion":
            SLEEPS[sleep](shared)

    assert engine(main).how == "finished"


def _preempt_change(kind: Kind, lane: str, a: object) -> int:
    """Return by how much an op of a box's task changes the reasons not to be preempted."""
    if kind in (Kind.PREEMPT, Kind.IRQ):
        return {"disable": 1, "enable": -1}.get(str(a), 0)
    if lane.endswith(".mutex"):
        return 0
    if lane.endswith(".SPIN"):
        return {Kind.TEST_AND_SET: int(not a), Kind.CLEAR: -1}.get(kind, 0)
    return {Kind.ACQUIRE: 1, Kind.TRY: int(a is True), Kind.RELEASE: -1}.get(kind, 0)


def alone_on_its_cpu(outcome: Outcome) -> int:
    """Assert that no other task of a CPU did an op while one had preemption off; return how many ops had."""
    home = {task["name"]: task["cpu"] for task in outcome.record.tasks}
    depth = dict.fromkeys(home, 0)
    alone = 0
    for task, kind, lane, a, _ in outcome.ops():
        others = [other for other in home if other != task and home[other] == home[task] is not None]
        assert not any(depth[other] for other in others), f"{task}: {kind.name} beside {depth}"
        alone += bool(depth[task])
        depth[task] += _preempt_change(kind, lane, a)
        assert depth[task] >= 0
    return alone


def _shares_a_cpu(enter: Callable[[Box], object], leave: Callable[[Box], object]) -> Callable[[], None]:
    def main() -> None:
        def worker() -> None:
            own = box()
            for _ in range(4):
                enter(own)
                own.x += 1
                own.x += 1
                leave(own)

        for i in range(4):
            rt.spawn(worker, name=f"w{i}", cpu=1 + i % 2)
        rt.join_others()

    return main


CPU_HOLDERS = {
    "preempt": (lambda it: rt.preempt_disable(), lambda it: rt.preempt_enable()),
    "irqs": (lambda it: rt.local_irq_disable(), lambda it: rt.local_irq_enable()),
    "spinlock": (lambda it: rt.spin_lock(it.spin), lambda it: rt.spin_unlock(it.spin)),
    "irq spinlock": (lambda it: rt.spin_lock_irq(it.spin), lambda it: rt.spin_unlock_irq(it.spin)),
}


@pytest.mark.parametrize("holder", CPU_HOLDERS)
def test_with_preemption_off_no_other_task_of_the_cpu_runs(run: Setup, holder: str) -> None:
    outcome = run(_shares_a_cpu(*CPU_HOLDERS[holder]))
    assert outcome.how == "finished"
    assert alone_on_its_cpu(outcome) >= 4 * 4 * 4


def test_a_cpu_is_not_shared_while_it_is_held_where_everything_is_contended(run: Setup) -> None:
    assert alone_on_its_cpu(run(contended)) > 0


def test_with_preemption_on_the_tasks_of_a_cpu_do_mix() -> None:
    program = _shares_a_cpu(lambda it: None, lambda it: None)
    mixed = [
        [op[0] for op in outcome.ops(Kind.READ, Kind.WRITE) if op[0] in ("w0", "w2")] for outcome in explore(program, 5)
    ]
    assert all(names not in (sorted(names), sorted(names, reverse=True)) for names in mixed)


def test_tasks_of_other_cpus_go_on_meanwhile() -> None:
    def main() -> None:
        def elsewhere() -> None:
            rt.schedule()

        rt.preempt_disable()
        rt.spawn(elsewhere, name="elsewhere", cpu=1)
        for _ in range(20):
            rt.schedule()
        rt.preempt_enable()

    for outcome in explore(main, 10):
        order = [(op[0], op[1]) for op in outcome.ops(Kind.PREEMPT, Kind.EXIT)]
        assert order.index(("elsewhere", Kind.EXIT)) < 2


def test_a_task_that_ends_with_preemption_off_lets_its_cpu_go(run: Setup) -> None:
    def main() -> None:
        """BUGGY: ends with preemption off."""
        rt.spawn(rt.preempt_disable, cpu=1)
        rt.spawn(rt.schedule, cpu=1)
        rt.join_others()

    assert run(main).how == "finished"


@pytest.mark.parametrize(
    "deed", [rt.local_irq_disable, rt.local_irq_enable, rt.preempt_disable, rt.preempt_enable], ids=lambda f: f.__name__
)
def test_a_device_has_no_cpu_whose_context_it_could_change(run: Setup, deed: Callable[[], None]) -> None:
    def main() -> None:
        """BUGGY: a device task switches preemption or interrupts outside an interrupt."""
        rt.join(rt.spawn(deed, name="device", cpu=None))

    outcome = run(main)
    assert outcome.detail["rule"] == f"{deed.__name__} outside any CPU"
