"""Programs with a planted bug each, for judges of any program; with `planted=0` they are correct.

mmrace explore stress/planted_programs.py:double_put --until-found      # BUGGY: ends in FAIL
mmrace explore stress/planted_programs.py:double_put --param planted=0
"""

from __future__ import annotations

from mmrace import runtime as rt


class Box(rt.Struct):
    """Something that two tasks share."""

    count = rt.refcount()
    full: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()
    other = rt.mutex()
    waiters = rt.wait_queue()


def forgotten_wake(planted: int = 1) -> None:
    """One task fills the box, for which the other waits."""
    box = Box("box")

    def fill() -> None:
        box.full = 1
        if not planted:
            rt.wake_up(box.waiters)

    rt.spawn(fill, name="filler")
    rt.spawn(rt.wait_event, box.waiters, lambda: box.full, name="taker")
    rt.join_others()


def unlock_by_stranger(planted: int = 1) -> None:
    """Two tasks lock the box; one of them does not wait until it has the lock."""
    box = Box("box")

    def locks(waits: bool) -> None:
        if waits:
            rt.mutex_lock(box.lock)
        elif not rt.mutex_trylock(box.lock) and not planted:
            return
        box.full += 1
        rt.mutex_unlock(box.lock)

    for waits in (True, False):
        rt.spawn(locks, waits, name=f"locker.{waits:d}")
    rt.join_others()


def either_order(planted: int = 1) -> None:
    """Two tasks take both locks, one inside the other."""
    box = Box("box")

    def locks(first: rt.Mutex, second: rt.Mutex) -> None:
        rt.mutex_lock(first)
        rt.mutex_lock(second)
        rt.mutex_unlock(second)
        rt.mutex_unlock(first)

    rt.spawn(locks, box.lock, box.other, name="one")
    rt.spawn(locks, *((box.other, box.lock) if planted else (box.lock, box.other)), name="other")
    rt.join_others()


def double_put(planted: int = 1) -> None:
    """Two tasks look whether they are to drop a reference of the box, which one of them has to."""
    box = Box("box")
    box.count.get("owner")

    def drops() -> None:
        rt.mutex_lock(box.lock)
        mine = not box.full
        if not planted:
            box.full = 1
        rt.mutex_unlock(box.lock)
        if mine:
            box.full = 1
            box.count.put("owner")

    for i in range(2):
        rt.spawn(drops, name=f"dropper.{i}")
    rt.join_others()
