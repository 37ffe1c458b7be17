"""Spinlocks and mutexes, taken, tried and kept."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program
from tests.strategies.dpor_families.plain import y_then_x
from tests.strategies.dpor_programs import Body, played


def _nested(first: str, second: str) -> Body:
    def body(b: Box) -> None:
        one, two = rt.peek(b, first), rt.peek(b, second)
        rt.spin_lock(one)
        rt.spin_lock(two)
        rt.spin_unlock(two)
        rt.spin_unlock(one)

    return body


def _philosopher(left: str, right: str) -> Body:
    """Take two forks and leave the table with them: who comes later waits for ever."""

    def body(b: Box) -> None:
        rt.spin_lock(rt.peek(b, left))
        rt.spin_lock(rt.peek(b, right))

    return body


def locked_increment(b: Box) -> None:
    """Read x and write one more, under the spinlock."""
    rt.spin_lock(b.spin)
    b.x = b.x + 1
    rt.spin_unlock(b.spin)


def locked_write(b: Box) -> None:
    """Write x under the spinlock."""
    rt.spin_lock(b.spin)
    b.x = 1
    rt.spin_unlock(b.spin)


def _try(b: Box) -> None:
    if rt.spin_trylock(b.spin):
        rt.spin_unlock(b.spin)


def _try_and_look(b: Box) -> None:
    if rt.spin_trylock(b.spin):
        rt.spin_unlock(b.spin)
    elif b.y:
        b.y = 2


def _trying(b: Box) -> None:
    """BUGGY on purpose: never releases what it may have got."""
    rt.spin_trylock(b.spin)


def _mutex_try(b: Box) -> None:
    if rt.mutex_trylock(b.mutex):
        b.y = 1
        rt.mutex_unlock(b.mutex)


def _holds_for_ever(b: Box) -> None:
    """Lock, let a child try it, sleep: whoever waits at the end would have to be first."""
    rt.mutex_lock(b.mutex)
    rt.spawn(_mutex_try, b, name="child", cpu=3)
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


def _mutex_once(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    rt.mutex_unlock(b.mutex)


def _sleeps_with_mutex(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


PROGRAMS: dict[str, Program] = {
    "lock, write, unlock || lock, write, unlock": played(locked_increment, locked_increment),
    "ABBA": played(_nested("spin", "other"), _nested("other", "spin")),
    "three locks in a ring": played(
        _philosopher("spin", "other"), _philosopher("other", "mutex"), _philosopher("mutex", "spin")
    ),
    "lock, write, unlock || try": played(locked_write, _try),
    "lock, write, unlock || try || write": played(locked_write, _try_and_look, y_then_x),
    "lock, write, unlock || try || try": played(locked_write, _trying, _trying),
    "mutex || mutex || try": played(_mutex_once, _mutex_once, _mutex_try),
    "mutex held for ever, child tries": played(_holds_for_ever, _mutex_once),
    "mutex held for ever || mutex": played(_sleeps_with_mutex, _mutex_once),
}

AT_ONCE = {
    "three locks in a ring",
    "lock, write, unlock || try || write",
    "lock, write, unlock || try || try",
    "mutex || mutex || try",
}
