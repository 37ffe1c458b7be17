"""Five philosophers.  BUGGY: all of them take the fork on the left first."""

from __future__ import annotations

from mmrace import runtime as rt

SEATS = 5


class Fork(rt.Struct):
    """One fork."""

    lock = rt.mutex()


def dines(first: Fork, second: Fork) -> None:
    """Take two forks, one after the other."""
    rt.mutex_lock(first.lock)
    rt.mutex_lock(second.lock)
    rt.mutex_unlock(second.lock)
    rt.mutex_unlock(first.lock)


def _play(last_is_left_handed: bool) -> None:
    forks = [Fork(f"fork.{i}") for i in range(SEATS)]
    for seat in range(SEATS):
        pair = forks[seat], forks[(seat + 1) % SEATS]
        if last_is_left_handed and seat == SEATS - 1:
            pair = pair[1], pair[0]
        rt.spawn(dines, *pair)
    rt.join_others()


def main() -> None:
    """BUGGY: everybody may hold one fork and want the next."""
    _play(False)


def mended() -> None:
    """The last one takes his forks the other way round."""
    _play(True)
