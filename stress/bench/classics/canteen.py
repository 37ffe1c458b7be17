"""Ten at work: eight go to the counter of one canteen.  BUGGY: the other two take two tools in opposite order."""

from __future__ import annotations

from mmrace import runtime as rt

ALL, MEALS = 10, 4
WORKERS = (0, 1)
"""Who need both tools."""


class Bench(rt.Struct):
    """Two tools."""

    hammer = rt.mutex()
    saw = rt.mutex()


class Canteen(rt.Struct):
    """What all others share, rightly."""

    served: rt.Field[int] = rt.shared(0)
    counter = rt.mutex()


def works(bench: Bench, hammer_first: bool) -> None:
    """Take both tools, and put them back."""
    first, second = (bench.hammer, bench.saw) if hammer_first else (bench.saw, bench.hammer)
    rt.mutex_lock(first)
    rt.mutex_lock(second)
    rt.mutex_unlock(second)
    rt.mutex_unlock(first)


def eats(canteen: Canteen) -> None:
    """Go to the counter, some times."""
    for _ in range(MEALS):
        rt.mutex_lock(canteen.counter)
        canteen.served = canteen.served + 1
        rt.mutex_unlock(canteen.counter)


def _play(in_one_order: bool) -> None:
    bench, canteen = Bench("bench"), Canteen("canteen")
    for number in range(ALL):
        if number in WORKERS:
            rt.spawn(works, bench, in_one_order or number == WORKERS[0])
        else:
            rt.spawn(eats, canteen)
    rt.join_others()
    rt.bug_on(canteen.served != MEALS * (ALL - len(WORKERS)), "a meal was not counted")


def main() -> None:
    """BUGGY: one takes the hammer first, the other the saw."""
    _play(False)


def mended() -> None:
    """Both take the hammer first."""
    _play(True)
