"""An update without the lock, in a branch that only one order of four tasks opens."""

from __future__ import annotations

from mmrace import runtime as rt


class Box(rt.Struct):
    """What the tasks share."""

    m = rt.mutex()
    n: rt.Field[int] = rt.shared(0)
    v: rt.Field[int] = rt.shared(0)


def step(box: Box, me: int) -> None:
    """Count on, if it is this task's turn."""
    rt.mutex_lock(box.m)
    if box.n == me:
        box.n = me + 1
    rt.mutex_unlock(box.m)


def add(box: Box, last: int) -> None:
    """BUGGY: add one without the lock, if all had their turn."""
    rt.mutex_lock(box.m)
    ready = box.n == last
    rt.mutex_unlock(box.m)
    if ready:
        box.v = box.v + 1


def main(steps: int = 3) -> None:
    """BUGGY: an update is lost, if it comes to that."""
    box = Box("box")
    for task in [rt.spawn(step, box, i) for i in reversed(range(steps))]:
        rt.join(task)
    for task in [rt.spawn(add, box, steps) for _ in range(2)]:
        rt.join(task)
    assert not (box.n == steps and box.v == 1), "lost update"
