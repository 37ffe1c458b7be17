"""BUGGY: two tasks take two locks, whose names differ in a digit only, in two orders."""

from __future__ import annotations

from mmrace import runtime as rt


class Pair(rt.Struct):
    l1 = rt.mutex()
    l2 = rt.mutex()


def main() -> None:
    pair = Pair("pair")

    def takes(first: rt.Mutex, second: rt.Mutex) -> None:
        rt.mutex_lock(first)
        rt.mutex_lock(second)
        rt.mutex_unlock(second)
        rt.mutex_unlock(first)

    rt.spawn(takes, pair.l1, pair.l2)
    rt.spawn(takes, pair.l2, pair.l1)
    rt.join_others()
