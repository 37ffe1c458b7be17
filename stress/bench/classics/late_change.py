"""A clerk writes forty lines alone, then reads one figure twice.  BUGGY: an office boy may change it in between."""

from __future__ import annotations

from mmrace import runtime as rt

LINES = 40


class Desk(rt.Struct):
    """A figure that both know, and the clerk's own sheet."""

    figure: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()
    sheet = rt.words(0)
    drawer = rt.mutex()


def changes(desk: Desk) -> None:
    """Change the figure."""
    rt.mutex_lock(desk.lock)
    desk.figure = 1
    rt.mutex_unlock(desk.lock)


def _play(keeps_lock: bool) -> None:
    desk = Desk("desk", sheet=1)
    rt.spawn(changes, desk)
    for line in range(LINES):
        rt.mutex_lock(desk.drawer)
        desk.sheet.write(0, line)
        rt.mutex_unlock(desk.drawer)
    rt.mutex_lock(desk.lock)
    first = desk.figure
    if not keeps_lock:
        rt.mutex_unlock(desk.lock)
        rt.mutex_lock(desk.lock)
    second = desk.figure
    rt.mutex_unlock(desk.lock)
    rt.bug_on(first != second, "changed between two looks")
    rt.join_others()


def main() -> None:
    """BUGGY: lets go of the lock between its two looks."""
    _play(False)


def mended() -> None:
    """Keeps the lock."""
    _play(True)
