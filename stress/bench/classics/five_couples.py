"""Five couples, each with two locks of its own.  BUGGY: one couple takes them in opposite order; the others do not."""

from __future__ import annotations

from mmrace import runtime as rt

COUPLES, TIMES = 5, 3


class Home(rt.Struct):
    """What a couple shares."""

    kitchen = rt.mutex()
    cellar = rt.mutex()


def fetches(home: Home, times: int, kitchen_first: bool) -> None:
    """Go through both rooms, some times."""
    first, second = (home.kitchen, home.cellar) if kitchen_first else (home.cellar, home.kitchen)
    for _ in range(times):
        rt.mutex_lock(first)
        rt.mutex_lock(second)
        rt.mutex_unlock(second)
        rt.mutex_unlock(first)


def _play(in_one_order: bool) -> None:
    for number in range(COUPLES):
        home = Home(f"home.{number}")
        crosses = number == 0
        times = 1 if crosses else TIMES
        rt.spawn(fetches, home, times, True)
        rt.spawn(fetches, home, times, in_one_order or not crosses)
    rt.join_others()


def main() -> None:
    """BUGGY: the second of the first couple begins in the cellar."""
    _play(False)


def mended() -> None:
    """Everybody begins in the kitchen."""
    _play(True)
