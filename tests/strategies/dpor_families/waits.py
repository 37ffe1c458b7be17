"""Wait queues, and retries that wait for a change."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program, box
from tests.strategies.dpor_families.bits import plain_store
from tests.strategies.dpor_families.plain import increment, sets_x, y_then_x
from tests.strategies.dpor_programs import played


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
    "lost wake-up": played(_sleeps_late, _wakes),
    "wait event": played(_waits, _wakes),
    "exclusive wakes": played(_queues_exclusive, _queues_exclusive, _wakes_one),
    "exclusive sleepers, one wake for the first": played(_queues_and_tells, _queues_exclusive, _wakes_if_told),
    "sleepers of both sorts": played(_queues, _queues_exclusive, _wakes_one),
    "retry, bounded": played(_retries, sets_x, increment),
    "retry, two conditions": played(_retries_both, y_then_x),
    "two queues": two_queues,
}

PROGRAMS_BEYOND: dict[str, Program] = {"retry || store elsewhere": played(_retries_once, plain_store)}
"""What is known to be lost: not by the search, but because the engine enables more than the model says."""

AT_ONCE = {"exclusive sleepers, one wake for the first", "sleepers of both sorts", "retry, bounded"}
