"""BUGGY: a counter that loses an update, behind a door that one of a hundred schedules opens.

Some tasks raise a stage, each only if the one before it came first.  Two more then raise the counter without its lock,
if the last stage was reached.  A few walks seldom see that the counter races; the bug needs a switch inside its update.
"""

from __future__ import annotations

from mmrace import runtime as rt


class Door(rt.Struct):
    """What the tasks share."""

    lock = rt.mutex()
    stage: rt.Field[int] = rt.shared(0)
    passed: rt.Field[int] = rt.shared(0)


def raise_stage(door: Door, mine: int) -> None:
    """Go on from stage `mine`, if it has been reached."""
    rt.mutex_lock(door.lock)
    if door.stage == mine:
        door.stage = mine + 1
    rt.mutex_unlock(door.lock)


def go_through(door: Door, last: int) -> None:
    """Count who passes, if the last stage was reached; the update is not locked."""
    rt.mutex_lock(door.lock)
    is_open = door.stage == last
    rt.mutex_unlock(door.lock)
    if is_open:
        door.passed = door.passed + 1


def main(stages: int = 4) -> None:
    """Open the door, if the order is right, and send two through."""
    door = Door("door")
    raising = [rt.spawn(raise_stage, door, i, cpu=i + 1) for i in reversed(range(stages))]
    for task in raising:
        rt.join(task)
    passing = [rt.spawn(go_through, door, stages, cpu=cpu) for cpu in (6, 7)]
    for task in passing:
        rt.join(task)
    rt.bug_on(door.stage == stages and door.passed == 1, "an update is lost")
