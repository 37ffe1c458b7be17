"""A torn read: a reader that takes no lock sees one half of a pair as it was, and the other as it is.

mmrace explore mmrace/examples/torn_read.py:main --until-found       # BUGGY: ends in FAIL
mmrace explore mmrace/examples/torn_read.py:mended --exhaustive
"""

from __future__ import annotations

from mmrace import runtime as rt

WORDS = 2


class Clock(rt.Struct):
    """A time in two words that belong together, and the lock that says so."""

    time = rt.words()
    lock = rt.spinlock()


def tick(clock: Clock) -> None:
    """Write both words, under the lock."""
    rt.spin_lock(clock.lock)
    for i in range(WORDS):
        clock.time.write(i, 1)
    rt.spin_unlock(clock.lock)


def look(clock: Clock) -> None:
    """Read both words, without the lock."""
    seen = [clock.time.read(i) for i in range(WORDS)]
    rt.bug_on(len(set(seen)) > 1, "torn", seen=seen)


def locked_look(clock: Clock) -> None:
    """Read both words, with the lock held."""
    rt.spin_lock(clock.lock)
    look(clock)
    rt.spin_unlock(clock.lock)


def main() -> None:
    """BUGGY: the reader may see a time that never was, and the accesses race in all schedules."""
    clock = Clock("clock", time=WORDS)
    rt.spawn(tick, clock, name="writer")
    rt.spawn(look, clock, name="reader")
    rt.join_others()


def mended() -> None:
    """As `main`, but the reader takes the lock too."""
    clock = Clock("clock", time=WORDS)
    rt.spawn(tick, clock, name="writer")
    rt.spawn(locked_look, clock, name="reader")
    rt.join_others()
