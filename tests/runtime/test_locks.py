"""Spinlocks (plain, irq, bit) and mutexes: one holder, trylocks that fail instead of waiting, and only the holder
releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Box, Flag, Outcome, Setup, box, explore, until


@dataclass(frozen=True)
class Lock:
    """One way to lock a box."""

    name: str
    lane: str
    take: Callable[[Box], object]
    try_: Callable[[Box], bool]
    drop: Callable[[Box], object]
    spins: bool = True
    taken: tuple[Kind, object] = (Kind.ACQUIRE, None)
    tried: Kind = Kind.TRY
    failed: bool = False  # what a try that fails logs
    dropped: Kind = Kind.RELEASE


LOCKS = (
    Lock(
        "spin", "box:0.spin",
        lambda it: rt.spin_lock(it.spin), lambda it: rt.spin_trylock(it.spin), lambda it: rt.spin_unlock(it.spin),
    ),
    Lock(
        "irq", "box:0.spin",
        lambda it: rt.spin_lock_irq(it.spin), lambda it: rt.spin_trylock(it.spin),
        lambda it: rt.spin_unlock_irq(it.spin), taken=(Kind.ACQUIRE, "irq"),
    ),
    Lock(
        "bit", "box:0.flags.SPIN",
        lambda it: rt.bit_spin_lock(it.flags, Flag.SPIN), lambda it: rt.bit_spin_trylock(it.flags, Flag.SPIN),
        lambda it: rt.bit_spin_unlock(it.flags, Flag.SPIN),
        taken=(Kind.TEST_AND_SET, False), tried=Kind.TEST_AND_SET, failed=True, dropped=Kind.CLEAR,
    ),
    Lock(
        "mutex", "box:0.mutex",
        lambda it: rt.mutex_lock(it.mutex), lambda it: rt.mutex_trylock(it.mutex),
        lambda it: rt.mutex_unlock(it.mutex), spins=False,
    ),
)  # fmt: skip
every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)


@every_lock
def test_one_task_at_a_time_holds_it(run: Setup, lock: Lock) -> None:
    def main() -> None:
        shared = box()

        def worker() -> None:
            for _ in range(5):
                lock.take(shared)
                shared.x += 1
                lock.drop(shared)

        for i in range(4):
            rt.spawn(worker, cpu=i)
        rt.join_others()
        assert shared.x == 20

    outcome = run(main)
    assert outcome.how == "finished"
    holder = None
    for task, kind, lane, *_ in outcome.ops(lock.taken[0], lock.dropped):
        assert lane == lock.lane
        assert holder == (None if kind is lock.taken[0] else task)
        holder = task if kind is lock.taken[0] else None


@every_lock
def test_without_it_the_same_program_loses_updates(lock: Lock) -> None:
    def main() -> None:
        """BUGGY: takes the lock after the read."""
        shared = box()

        def worker() -> None:
            seen = shared.x
            lock.take(shared)
            shared.x = seen + 1
            lock.drop(shared)

        for i in range(2):
            rt.spawn(worker, cpu=i)
        rt.join_others()
        rt.note("x", rt.peek(shared, "x"))

    assert {outcome.notes("x")[0] for outcome in explore(main)} == {(1,), (2,)}


@every_lock
def test_taking_and_dropping_are_one_op_each(run: Setup, lock: Lock) -> None:
    def main() -> None:
        shared = box()
        lock.take(shared)
        lock.drop(shared)

    took, dropped = run(main).ops(lock.taken[0], lock.dropped)
    assert took[:4] == ("main", lock.taken[0], lock.lane, lock.taken[1])
    assert dropped[:3] == ("main", lock.dropped, lock.lane)


@every_lock
def test_a_try_fails_while_another_holds_it_and_succeeds_after(run: Setup, lock: Lock) -> None:
    def main() -> None:
        shared = box()

        def hold() -> None:
            lock.take(shared)
            shared.x = 1
            until(lambda: shared.y)
            lock.drop(shared)

        holder = rt.spawn(hold, name="holder", cpu=1)
        until(lambda: shared.x)
        assert lock.try_(shared) is False
        shared.y = 1
        rt.join(holder)
        assert lock.try_(shared) is True

    tries = [op for op in run(main).ops(lock.tried, task="main") if op[2] == lock.lane]
    assert [op[3] for op in tries] == [lock.failed, not lock.failed]


@every_lock
def test_a_release_by_another_than_the_holder_is_a_violation(run: Setup, lock: Lock) -> None:
    def main() -> None:
        """BUGGY: a task releases what another holds."""
        shared = box()

        def thief() -> None:
            until(lambda: shared.x)
            lock.drop(shared)

        rt.spawn(thief, name="thief", cpu=1)
        lock.take(shared)
        shared.x = 1
        until(lambda: shared.y)

    outcome = run(main)
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == (
        "lock-discipline", "released by another than its holder",
    )  # fmt: skip
    assert outcome.detail["facts"] == {"task": "thief", "object": lock.lane, "holder": "main"}
    assert outcome.ops(lock.dropped)[-1][:3] == ("thief", lock.dropped, lock.lane), "the op itself is in the record"


@every_lock
def test_a_release_of_a_free_lock_is_a_violation(run: Setup, lock: Lock) -> None:
    def main() -> None:
        """BUGGY: releases twice."""
        shared = box()
        lock.take(shared)
        lock.drop(shared)
        lock.drop(shared)

    outcome = run(main)
    assert outcome.detail["rule"] == "released by another than its holder"
    assert outcome.detail["facts"]["holder"] is None


@every_lock
def test_what_is_held_at_the_end_is_in_the_exit_op(run: Setup, lock: Lock) -> None:
    def main() -> None:
        """BUGGY: ends with a lock held."""
        lock.take(box())

    outcome = run(main)
    assert outcome.how == "finished"
    assert outcome.ops(Kind.EXIT)[0][3] == (lock.lane,)


@every_lock
def test_a_spinlock_keeps_preemption_off_and_a_mutex_does_not(run: Setup, lock: Lock) -> None:
    def main() -> None:
        shared = box()
        task = rt.current()
        lock.take(shared)
        assert (task.preempt, task.irq_depth) == (int(lock.spins), int(lock.name == "irq"))
        lock.drop(shared)
        assert (task.preempt, task.irq_depth) == (0, 0)
        lock.try_(shared)
        assert task.preempt == int(lock.spins)

    assert run(main).how == "finished"


def test_irq_spinlocks_nest_and_the_last_release_lets_interrupts_in(run: Setup) -> None:
    def main() -> None:
        shared = box()
        task = rt.current()
        rt.spin_lock_irqsave(shared.spin)
        rt.spin_lock_irqsave(shared.other)
        rt.spin_unlock_irqrestore(shared.other)
        assert (task.preempt, task.irq_depth) == (1, 1)
        rt.spin_unlock_irqrestore(shared.spin)
        assert (task.preempt, task.irq_depth) == (0, 0)

    assert run(main).how == "finished"


def test_a_bit_spinlock_and_its_neighbours_do_not_disturb_each_other(run: Setup) -> None:
    def main() -> None:
        word = box().flags
        rt.set_bit(word, Flag.DIRTY)
        rt.bit_spin_lock(word, Flag.SPIN)
        assert word.names() == ["DIRTY", "SPIN"]
        rt.clear_bit(word, Flag.DIRTY)
        rt.bit_spin_unlock(word, Flag.SPIN)
        assert word.names() == []

    assert run(main).how == "finished"


RELEASED = "released by another than its holder"


def test_a_plain_store_over_a_spun_bit_takes_the_lock_away(run: Setup) -> None:
    def main() -> None:
        """BUGGY: loses the lock bit."""
        word = box().flags
        rt.bit_spin_lock(word, Flag.SPIN)
        word.store(0)

        def other() -> None:
            rt.note("won", rt.bit_spin_trylock(word, Flag.SPIN))
            rt.bit_spin_unlock(word, Flag.SPIN)

        rt.join(rt.spawn(other, cpu=1))
        rt.bit_spin_unlock(word, Flag.SPIN)

    outcome = run(main)
    assert outcome.notes("won") == [(True,)]
    assert outcome.detail["rule"] == RELEASED and outcome.detail["facts"]["holder"] is None


def test_a_plain_store_lets_those_in_who_wait_for_a_bit_that_it_clears(controlled: Setup) -> None:
    def main() -> None:
        """BUGGY: loses the lock bit, and two are in."""
        shared = box()
        rt.bit_spin_lock(shared.flags, Flag.SPIN)

        def waiter() -> None:
            shared.x = 1
            rt.bit_spin_lock(shared.flags, Flag.SPIN)
            shared.x = 2
            until(lambda: shared.x == 3)

        rt.spawn(waiter, name="waiter", cpu=1)
        until(lambda: shared.x)
        shared.flags.store(0)
        until(lambda: shared.x == 2)
        rt.bit_spin_unlock(shared.flags, Flag.SPIN)

    outcome = controlled(main)
    assert outcome.detail["rule"] == RELEASED and outcome.detail["facts"]["holder"] == "waiter"


def test_a_stale_store_brings_a_bit_spinlock_back_that_nobody_holds(run: Setup) -> None:
    def main() -> None:
        """BUGGY: stores a word that it read while the lock was held."""
        word = box().flags
        rt.bit_spin_lock(word, Flag.SPIN)
        stale = word.load()
        rt.bit_spin_unlock(word, Flag.SPIN)
        word.store(stale)
        rt.note("won", rt.bit_spin_trylock(word, Flag.SPIN))
        rt.bit_spin_lock(word, Flag.SPIN)

    outcome = run(main)
    assert outcome.how == "deadlock" and outcome.notes("won") == [(False,)]
    assert [row["held_by"] for row in outcome.detail["tasks"]] == [None]


def test_a_store_that_keeps_a_spun_bit_keeps_its_lock(run: Setup) -> None:
    def main() -> None:
        word = box().flags
        rt.bit_spin_lock(word, Flag.SPIN)
        word.store(word.load() | 1 << Flag.DIRTY)
        rt.bit_spin_unlock(word, Flag.SPIN)
        word.store(word.load())
        assert word.names() == ["DIRTY"] and rt.bit_spin_trylock(word, Flag.SPIN)
        rt.bit_spin_unlock(word, Flag.SPIN)

    assert run(main).how == "finished"


def test_a_store_that_clears_a_spun_bit_is_found_by_search_to_let_two_in() -> None:
    """The walk orders the store with the lock's ops: who waits for the lock gets it by the store."""

    def main() -> None:
        """BUGGY: a plain store races with a bit spinlock in the same word."""
        shared = box()

        def locker(cpu: int) -> None:
            rt.bit_spin_lock(shared.flags, Flag.SPIN)
            rt.note("in", cpu)
            rt.bit_spin_unlock(shared.flags, Flag.SPIN)

        rt.spawn(locker, 1, name="a", cpu=1)
        rt.spawn(lambda: shared.flags.store(shared.flags.load() | 1 << Flag.DIRTY), name="b", cpu=2)
        rt.join_others()
        rt.bit_spin_lock(shared.flags, Flag.SPIN)
        rt.bit_spin_unlock(shared.flags, Flag.SPIN)

    hows = {(outcome.how, outcome.detail.get("rule", "") if outcome.detail else "") for outcome in explore(main)}
    assert {how for how, _ in hows} == {"finished", "deadlock", "violation"} and ("violation", RELEASED) in hows


def test_a_held_lock_disables_its_acquire_and_never_a_try(controlled: Setup) -> None:
    def main() -> None:
        shared = box()
        rt.spin_lock(shared.spin)
        rt.spawn(rt.spin_lock, shared.spin, name="taker", cpu=1)
        rt.spawn(rt.spin_trylock, shared.spin, name="trier", cpu=2)
        for _ in range(40):
            rt.schedule()
        rt.spin_unlock(shared.spin)
        rt.join_others()

    outcome = controlled(main)
    released, tried, acquired = (
        _step(outcome, "main", Kind.RELEASE), _step(outcome, "trier", Kind.TRY), _step(outcome, "taker", Kind.ACQUIRE),
    )  # fmt: skip
    begun = _step(outcome, "taker", Kind.BEGIN)
    assert tried < released < acquired
    assert not any(mask >> 1 & 1 for mask in outcome.record.masks[begun + 1 : released + 1]), "taker was enabled"
    assert outcome.record.masks[released + 1] >> 1 & 1


def _step(outcome: Outcome, task: str, kind: Kind) -> int:
    [step] = [i for i, op in enumerate(outcome.ops()) if op[:2] == (task, kind)]
    return step
