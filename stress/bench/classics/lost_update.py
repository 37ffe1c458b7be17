"""Three tellers pay in twice each; BUGGY: two of them read the same total before either writes."""

from __future__ import annotations

from mmrace import runtime as rt


class Till(rt.Struct):
    """What the tellers share."""

    total: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def pays_in(till: Till, locked: bool) -> None:
    """Add one, twice."""
    for _ in range(2):
        if locked:
            rt.mutex_lock(till.lock)
        till.total = till.total + 1
        if locked:
            rt.mutex_unlock(till.lock)


def _play(locked: bool) -> None:
    till = Till("till")
    for _ in range(3):
        rt.spawn(pays_in, till, locked)
    rt.join_others()
    rt.bug_on(till.total != 6, "a payment is lost")


def main() -> None:
    """BUGGY: without the lock."""
    _play(False)


def mended() -> None:
    """Each payment under the lock."""
    _play(True)
