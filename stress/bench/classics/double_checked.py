"""Three tasks need one table; each looks, takes the lock, makes it.  BUGGY: who waited does not look again."""

from __future__ import annotations

from mmrace import runtime as rt


class Room(rt.Struct):
    """A table that is made when it is first needed."""

    made: rt.Field[int] = rt.shared(0, benign="looked at before the lock is taken, and again after")
    times: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def needs(room: Room, again: bool) -> None:
    """Make the table unless it is there."""
    if room.made:
        return
    rt.mutex_lock(room.lock)
    if not (again and room.made):
        room.times = room.times + 1
        room.made = 1
    rt.mutex_unlock(room.lock)


def _play(again: bool) -> None:
    room = Room("room")
    for _ in range(3):
        rt.spawn(needs, room, again)
    rt.join_others()
    rt.bug_on(room.times != 1, "made twice")


def main() -> None:
    """BUGGY: checks once."""
    _play(False)


def mended() -> None:
    """Checks a second time, with the lock held."""
    _play(True)
