"""Two tasks use a handle.  BUGGY: whoever starts them writes the handle down only after that."""

from __future__ import annotations

from mmrace import runtime as rt


class Home(rt.Struct):
    """The handle, and things to do before it is needed."""

    handle: rt.Field[int] = rt.shared(0)
    done: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def works(home: Home, used: list[int]) -> None:
    """Do something, then use the handle."""
    for _ in range(5):
        rt.mutex_lock(home.lock)
        home.done = home.done + 1
        rt.mutex_unlock(home.lock)
    used.append(home.handle)


def _play(handle_first: bool) -> None:
    home = Home("home")
    used: list[int] = []
    if handle_first:
        home.handle = 7
    rt.spawn(works, home, used)
    rt.spawn(works, home, used)
    if not handle_first:
        home.handle = 7
    rt.join_others()
    rt.bug_on(used != [7, 7], "used before it was there")


def main() -> None:
    """BUGGY: start, then write."""
    _play(False)


def mended() -> None:
    """Write, then start."""
    _play(True)
