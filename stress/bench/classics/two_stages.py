"""Four writers set a pair, one half after the other.  BUGGY: each half has a lock of its own."""

from __future__ import annotations

from mmrace import runtime as rt

WRITERS = 4


class Pair(rt.Struct):
    """Halves that should always be equal."""

    first: rt.Field[int] = rt.shared(0)
    second: rt.Field[int] = rt.shared(0)
    both = rt.mutex()
    lock_first = rt.mutex()
    lock_second = rt.mutex()


def sets(pair: Pair, value: int, whole: bool) -> None:
    """Set both halves to the value."""
    if whole:
        rt.mutex_lock(pair.both)
    rt.mutex_lock(pair.lock_first)
    pair.first = value
    rt.mutex_unlock(pair.lock_first)
    rt.mutex_lock(pair.lock_second)
    pair.second = value
    rt.mutex_unlock(pair.lock_second)
    if whole:
        rt.mutex_unlock(pair.both)


def _play(whole: bool) -> None:
    pair = Pair("pair")
    for value in range(1, WRITERS + 1):
        rt.spawn(sets, pair, value, whole)
    rt.join_others()
    rt.bug_on(pair.first != pair.second, "two halves of two pairs")


def main() -> None:
    """BUGGY: half by half."""
    _play(False)


def mended() -> None:
    """The pair as a whole."""
    _play(True)
