"""A lock that is tried or kept by the middle one of three tasks, beside a daemon that sleeps for ever.

Where it is kept the run ends in a standstill: the pending op of the daemon was once overlooked there by the walk.
"""

from __future__ import annotations

from mmrace import runtime as rt


class Box(rt.Struct):
    """What the tasks share."""

    lock = rt.mutex()
    never = rt.wait_queue()
    x: rt.Field[int] = rt.shared(0)
    y: rt.Field[int] = rt.shared(0)


def sets(box: Box) -> None:
    """Set x under the lock."""
    rt.mutex_lock(box.lock)
    box.x = 1
    rt.mutex_unlock(box.lock)


def tries(box: Box) -> None:
    """Copy x if the lock can be had."""
    if rt.mutex_trylock(box.lock):
        box.y = box.x
        rt.mutex_unlock(box.lock)


def chooses(box: Box) -> None:
    """Copy x if the lock can be had, or wait for it or not."""
    if not rt.mutex_trylock(box.lock):
        if rt.choose(2):
            return
        rt.mutex_lock(box.lock)
    box.y = box.x
    rt.mutex_unlock(box.lock)


def sleeps(box: Box) -> None:
    """Wait for what never comes."""
    rt.wait_event(box.never, lambda: False)


def keeps(box: Box) -> None:
    """BUGGY: copy x, and keep the lock."""
    rt.mutex_lock(box.lock)
    box.y = box.x


SECOND = {"tries": tries, "chooses": chooses, "keeps": keeps}


def _play(second: str) -> None:
    box = Box("box")
    rt.spawn(sleeps, box, daemon=True)
    for deed in (sets, SECOND[second], sets):
        rt.spawn(deed, box)
    rt.join_others()


def main(second: str = "keeps") -> None:
    """BUGGY: who comes after the middle one waits for ever."""
    _play(second)


def mended(second: str = "tries") -> None:
    """As `main`, but the lock is given back, if it was had."""
    _play(second)
