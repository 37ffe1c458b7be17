"""A task that polls for what another one does: without an end, if it is never the other's turn."""

from __future__ import annotations

from mmrace import runtime as rt


class Box(rt.Struct):
    """What the tasks share."""

    flag: rt.Field[int] = rt.shared(0)
    x: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def sees(box: Box) -> bool:
    """Look at the flag under the lock."""
    rt.mutex_lock(box.lock)
    found = bool(box.flag)
    rt.mutex_unlock(box.lock)
    return found


def polls(box: Box) -> None:
    """Look until it is there, give way in between."""
    while not sees(box):
        rt.schedule()
    box.x = 1


def waits(box: Box) -> None:
    """Look again only after a change."""
    for _ in rt.until_changed():
        if sees(box):
            break
    box.x = 1


def sets(box: Box) -> None:
    """Set the flag under the lock, after x."""
    box.x = 2
    rt.mutex_lock(box.lock)
    box.flag = 1
    rt.mutex_unlock(box.lock)


def main(steps_max: int = 1000) -> None:
    """Poll.  Right, but a walk cannot come to its end."""
    box = Box("box")
    rt.spawn(polls, box)
    rt.spawn(sets, box)
    rt.join_others()


def mended() -> None:
    """As `main`, but each turn waits for a change."""
    box = Box("box")
    rt.spawn(waits, box)
    rt.spawn(sets, box)
    rt.join_others()
