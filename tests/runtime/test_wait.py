"""Wait queues: queue, test and sleep are three ops, a wake is an op of its own, and only a wake ends a sleep."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Outcome, Setup, asleep, box

QUEUES = (Kind.QUEUE, Kind.SLEEP, Kind.WAKE, Kind.DEQUEUE)


def sleeps_follow_wakes(outcome: Outcome) -> int:
    """Assert that each sleep ended by a wake that was delivered to it after it queued; return how many there were."""
    woken: set[str] = set()
    sleeps = 0
    for task, kind, _, _, b in outcome.ops(*QUEUES):
        if kind is Kind.QUEUE:
            woken.discard(task)
        elif kind is Kind.WAKE:
            woken.update(outcome.record.task_name(number) for number in b)
        elif kind is Kind.SLEEP:
            assert task in woken
            sleeps += 1
    return sleeps


def test_a_sleep_is_queue_test_sleep_and_test_again(controlled: Setup) -> None:
    def main() -> None:
        shared = box()
        rt.spawn(rt.wait_event, shared.queue, lambda: shared.x, name="sleeper", cpu=1)
        asleep(shared.queue, 1)
        shared.x = 1
        rt.wake_up(shared.queue)
        rt.join_others()

    outcome = controlled(main)
    kinds = [op[1].name for op in outcome.ops(task="sleeper")]
    assert kinds == ["BEGIN", "READ", "QUEUE", "READ", "SLEEP", "QUEUE", "READ", "DEQUEUE", "EXIT"]


def test_a_wake_between_test_and_sleep_is_not_lost(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def sleeper() -> None:
            entry = rt.prepare_to_wait(shared.queue, None)
            assert shared.x == 0
            shared.y = 1
            while rt.peek(shared, "x") == 0:
                rt.schedule()
            rt.sleep_on(entry)  # the wake was there before it
            rt.finish_wait(entry)

        task = rt.spawn(sleeper, cpu=1)
        while rt.peek(shared, "y") == 0:
            rt.schedule()
        assert rt.wake_up(shared.queue) == 1
        shared.x = 1
        rt.join(task)

    assert sleeps_follow_wakes(run(main)) == 1


def test_nobody_sleeps_whose_condition_holds(run: Setup) -> None:
    def main() -> None:
        shared = box(x=1)
        rt.wait_event(shared.queue, lambda: bool(shared.x))

    assert not run(main).ops(*QUEUES)


def test_a_condition_that_comes_true_wakes_nobody_by_itself(controlled: Setup) -> None:
    def main() -> None:
        """BUGGY: makes the condition true and wakes nobody."""
        shared = box()
        rt.spawn(rt.wait_event, shared.queue, lambda: shared.x, cpu=1)
        asleep(shared.queue, 1)
        shared.x = 1

    assert controlled(main).how == "deadlock"


def test_producers_and_consumers_end_on_every_schedule(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def consume() -> None:
            rt.mutex_lock(shared.mutex)
            rt.wait_event(
                shared.queue,
                lambda: shared.x > 0,
                before_sleep=lambda: rt.mutex_unlock(shared.mutex),
                after_sleep=lambda: rt.mutex_lock(shared.mutex),
            )
            shared.x -= 1
            rt.mutex_unlock(shared.mutex)

        def produce() -> None:
            rt.mutex_lock(shared.mutex)
            shared.x += 1
            rt.mutex_unlock(shared.mutex)
            rt.wake_up(shared.queue)

        for i in range(4):
            rt.spawn(consume, cpu=i)
        for i in range(4):
            rt.spawn(produce, cpu=i)
        rt.join_others()
        assert shared.x == 0
        assert not shared.queue.entries

    outcome = run(main)
    assert outcome.how == "finished"
    sleeps_follow_wakes(outcome)


def test_the_lock_is_dropped_for_the_sleep_and_taken_again(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def waiter() -> None:
            rt.spin_lock(shared.spin)
            rt.wait_event(
                shared.queue,
                lambda: bool(shared.x),
                before_sleep=lambda: rt.spin_unlock(shared.spin),
                after_sleep=lambda: rt.spin_lock(shared.spin),
            )
            assert shared.spin.owner is rt.current()
            rt.spin_unlock(shared.spin)

        task = rt.spawn(waiter, name="waiter", cpu=1)
        asleep(shared.queue, 1)
        rt.spin_lock(shared.spin)  # only to be had if the waiter gave it back
        shared.x = 1
        rt.spin_unlock(shared.spin)
        rt.wake_up(shared.queue)
        rt.join(task)

    outcome = run(main)
    holds = 0
    for _, kind, *_ in outcome.ops(Kind.ACQUIRE, Kind.RELEASE, Kind.SLEEP, task="waiter"):
        if kind is Kind.SLEEP:
            assert holds == 0
        holds += {Kind.ACQUIRE: 1, Kind.RELEASE: -1, Kind.SLEEP: 0}[kind]
    assert holds == 0


def test_a_sleep_that_keeps_a_spinlock_is_a_violation(run: Setup) -> None:
    def main() -> None:
        """BUGGY: before_sleep drops the wrong lock."""
        shared = box()
        rt.spin_lock(shared.spin)
        rt.spin_lock(shared.other)
        rt.wait_event(
            shared.queue, lambda: False, before_sleep=lambda: rt.spin_unlock(shared.other), after_sleep=lambda: None
        )

    outcome = run(main)
    assert outcome.detail["rule"] == "sleep in atomic context"
    assert outcome.detail["facts"]["held"] == ("box:0.spin",)


def test_wake_up_takes_one_exclusive_sleeper_and_wake_up_all_takes_all(run: Setup) -> None:
    def main() -> None:
        shared = box()
        sleepers = []
        for i in range(3):
            sleepers.append(
                rt.spawn(lambda: rt.wait_event(shared.queue, lambda: bool(shared.x), exclusive=True), cpu=i)
            )
            asleep(shared.queue, i + 1)
        shared.x = 1
        assert rt.wake_up(shared.queue) == 1
        rt.join(sleepers[0])  # who was woken stands in the queue again while it tests
        assert rt.wake_up_all(shared.queue) == 2
        rt.join_others()

    outcome = run(main)
    assert [(op[3], op[4]) for op in outcome.ops(Kind.WAKE)] == [(1, (1,)), (2, (2, 3))]
    assert sleeps_follow_wakes(outcome) == 3


def test_a_completion_lets_earlier_and_later_waiters_go(run: Setup) -> None:
    def main() -> None:
        done = rt.Completion("done:0")
        for i in range(3):
            rt.spawn(done.wait, cpu=i)
        rt.spawn(done.complete, cpu=3)
        rt.join_others()
        done.wait()

    outcome = run(main)
    assert outcome.how == "finished"
    sleeps_follow_wakes(outcome)
