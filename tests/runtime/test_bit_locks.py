"""Sleeping bit locks (PG_locked, BH_Lock): a bit, a queue, an unlock of two ops, and an owner that is judged."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Box, Flag, Outcome, Setup, asleep, box, explore

LOCK, QUEUE = "box:0.flags.LOCKED", "box:0.flags.LOCKED.queue"


def locked_out(page: Box, n: int) -> None:
    """Give way until `n` tasks sleep for the lock."""
    asleep(page.flags.queue(Flag.LOCKED), n)


def test_one_task_at_a_time_holds_the_lock(run: Setup) -> None:
    def main() -> None:
        page = box()

        def worker() -> None:
            for _ in range(5):
                rt.bit_lock(page.flags, Flag.LOCKED)
                page.x += 1
                rt.bit_unlock(page.flags, Flag.LOCKED)

        for i in range(4):
            rt.spawn(worker, cpu=i)
        rt.join_others()
        assert page.x == 20
        assert not page.flags.queue(Flag.LOCKED).entries

    assert run(main).how == "finished"


def test_a_trylock_fails_on_a_held_lock_and_takes_a_free_one(run: Setup) -> None:
    def main() -> None:
        flags = box().flags
        assert rt.bit_trylock(flags, Flag.LOCKED)
        rt.join(rt.spawn(lambda: rt.note("won", rt.bit_trylock(flags, Flag.LOCKED)), cpu=1))
        rt.bit_unlock(flags, Flag.LOCKED)
        assert rt.bit_trylock(flags, Flag.LOCKED)
        rt.bit_unlock(flags, Flag.LOCKED)

    assert run(main).notes("won") == [(False,)]


def test_an_uncontended_lock_is_one_op_and_its_unlock_two(run: Setup) -> None:
    def main() -> None:
        flags = box().flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.bit_unlock(flags, Flag.LOCKED)

    assert [op[1:4] for op in run(main).ops()[1:-1]] == [
        (Kind.TEST_AND_SET, LOCK, False),
        (Kind.CLEAR, LOCK, True),
        (Kind.WAKE, QUEUE, 0),
    ]


def test_between_clear_and_wake_another_task_can_take_the_lock() -> None:
    def main() -> None:
        flags = box().flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.spawn(rt.bit_trylock, flags, Flag.LOCKED, name="thief", cpu=1)
        rt.bit_unlock(flags, Flag.LOCKED)
        rt.join_others()

    def stolen(outcome: Outcome) -> bool:
        order = [op[:2] for op in outcome.ops(Kind.CLEAR, Kind.WAKE, Kind.TEST_AND_SET)[1:]]
        return order == [("main", Kind.CLEAR), ("thief", Kind.TEST_AND_SET), ("main", Kind.WAKE)]

    assert any(stolen(outcome) for outcome in explore(main))


def test_sleepers_get_their_wakes_in_the_order_in_which_they_queued(run: Setup) -> None:
    def main() -> None:
        page = box()
        rt.bit_lock(page.flags, Flag.LOCKED)

        def locker() -> None:
            rt.bit_lock(page.flags, Flag.LOCKED)
            rt.note("got")
            rt.bit_unlock(page.flags, Flag.LOCKED)

        for i in range(4):
            rt.spawn(locker, cpu=i)
            locked_out(page, i + 1)
        rt.bit_unlock(page.flags, Flag.LOCKED)
        rt.join_others()

    outcome = run(main)
    assert len(outcome.notes("got")) == 4
    waiting: list[str] = []
    for task, kind, lane, a, woken in outcome.ops(Kind.QUEUE, Kind.DEQUEUE, Kind.WAKE):
        assert lane == QUEUE
        if kind is Kind.QUEUE:
            assert a is True  # exclusive
            if task not in waiting:
                waiting.append(task)
        elif kind is Kind.DEQUEUE:
            if task in waiting:
                waiting.remove(task)
        else:
            names = [outcome.record.task_name(number) for number in woken]
            assert names == waiting[: len(names)]
            assert len(names) == a == min(1, len(waiting))
            del waiting[: len(names)]


def test_one_wake_lets_all_mere_waiters_go_and_one_locker(run: Setup) -> None:
    def main() -> None:
        page = box()
        rt.bit_lock(page.flags, Flag.LOCKED)
        for i, sleep in enumerate((rt.wait_on_bit, rt.bit_lock, rt.wait_on_bit, rt.wait_on_bit)):
            rt.spawn(sleep, page.flags, Flag.LOCKED, name=f"t{i}", cpu=i)
            locked_out(page, i + 1)
        rt.bit_unlock(page.flags, Flag.LOCKED)
        rt.join_others()

    wakes = run(main).ops(Kind.WAKE)
    assert wakes[0][3] == 4


def test_a_mere_waiter_takes_nothing(run: Setup) -> None:
    def main() -> None:
        page = box()
        rt.wait_on_bit(page.flags, Flag.LOCKED)
        assert not page.flags.owners
        rt.bit_lock(page.flags, Flag.LOCKED)
        rt.spawn(rt.wait_on_bit, page.flags, Flag.LOCKED, name="waiter", cpu=1)
        locked_out(page, 1)
        rt.bit_unlock(page.flags, Flag.LOCKED)
        rt.join_others()
        assert page.flags.value == 0

    assert not run(main).ops(Kind.TEST_AND_SET, task="waiter")


def test_an_unlock_by_a_stranger_is_a_violation(run: Setup) -> None:
    def main() -> None:
        """BUGGY: a task unlocks what another locked."""
        flags = box().flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.spawn(rt.bit_unlock, flags, Flag.LOCKED, name="stranger", cpu=1)
        rt.join_others()

    outcome = run(main)
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == ("lock-discipline", "unlock by a stranger")
    assert outcome.detail["facts"] == {"task": "stranger", "object": LOCK, "holder": "main"}


def test_an_unlock_of_what_a_plain_op_set_says_so(run: Setup) -> None:
    def main() -> None:
        """BUGGY: a lock bit is no lock if it is only set."""
        flags = box().flags
        rt.set_bit(flags, Flag.LOCKED)
        rt.bit_unlock(flags, Flag.LOCKED)

    outcome = run(main)
    assert outcome.detail["rule"] == "unlock of a lock that nobody holds"
    assert outcome.detail["facts"]["bit"] == "set, but by no lock op"


def test_an_unlock_of_a_free_lock_is_a_violation(run: Setup) -> None:
    def main() -> None:
        """BUGGY: unlocks twice."""
        flags = box().flags
        rt.bit_lock(flags, Flag.LOCKED)
        rt.bit_unlock(flags, Flag.LOCKED)
        rt.bit_unlock(flags, Flag.LOCKED)

    assert run(main).detail["rule"] == "unlock of a lock that nobody holds"


def test_the_io_that_a_lock_was_handed_to_may_release_it(run: Setup) -> None:
    def main() -> None:
        bh = box()
        rt.bit_lock(bh.flags, Flag.LOCKED)
        rt.hand_over(bh.flags, Flag.LOCKED, bh)
        rt.spawn(rt.bit_unlock, bh.flags, Flag.LOCKED, cpu=None, acts_for=(bh,))
        rt.bit_lock(bh.flags, Flag.LOCKED)
        rt.bit_unlock(bh.flags, Flag.LOCKED)

    outcome = run(main)
    assert outcome.how == "finished"
    [(lane, token)] = outcome.notes("hand-over")
    assert (outcome.record.lane_name(lane), token.name) == (LOCK, "box:0")


@pytest.mark.parametrize("acts_for_another", [False, True])
def test_after_the_hand_over_nobody_else_may_release_it(run: Setup, acts_for_another: bool) -> None:
    def main() -> None:
        """BUGGY: the submitter, or another I/O, unlocks what it handed to an I/O."""
        bh, wrong = box(0), box(1)
        rt.bit_lock(bh.flags, Flag.LOCKED)
        rt.hand_over(bh.flags, Flag.LOCKED, bh)
        if acts_for_another:
            rt.join(rt.spawn(rt.bit_unlock, bh.flags, Flag.LOCKED, cpu=1, acts_for=(wrong,)))
        rt.bit_unlock(bh.flags, Flag.LOCKED)

    outcome = run(main)
    assert outcome.detail["rule"] == "unlock by a stranger"
    assert outcome.detail["facts"]["holder"] == "box:0"


def test_only_declared_bits_can_be_slept_on() -> None:
    for outcome in explore(lambda: rt.wake_up_bit(box().flags, Flag.SPIN), seeds=1, raising=False):
        assert isinstance(outcome.engine.error, ValueError)
