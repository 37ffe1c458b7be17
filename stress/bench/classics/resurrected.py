"""A cache gives an object out while its last reference is put.  BUGGY: a finder looks at the count, then takes one.

The object is freed when the count falls to nothing; whoever takes a reference after that holds a dead object.
"""

from __future__ import annotations

from mmrace import runtime as rt


class Thing(rt.Struct):
    """An object with a count, and whether it was freed."""

    count: rt.Field[int] = rt.shared(1)
    freed: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def finds(thing: Thing, in_one: bool) -> None:
    """Take a reference if there is one left, look, put it."""
    rt.mutex_lock(thing.lock)
    alive = thing.count > 0
    if not in_one:
        rt.mutex_unlock(thing.lock)
        rt.mutex_lock(thing.lock)
    if alive:
        thing.count = thing.count + 1
    rt.mutex_unlock(thing.lock)
    if alive:
        rt.mutex_lock(thing.lock)
        rt.bug_on(bool(thing.freed), "used after it was freed")
        rt.mutex_unlock(thing.lock)
        puts(thing)


def puts(thing: Thing) -> None:
    """Put a reference; free the object with the last one."""
    rt.mutex_lock(thing.lock)
    thing.count = thing.count - 1
    if thing.count == 0:
        thing.freed = 1
    rt.mutex_unlock(thing.lock)


def _play(in_one: bool) -> None:
    thing = Thing("thing")
    rt.spawn(finds, thing, in_one)
    rt.spawn(finds, thing, in_one)
    rt.spawn(puts, thing)
    rt.join_others()


def main() -> None:
    """BUGGY: look, and take later."""
    _play(False)


def mended() -> None:
    """Look and take under one lock."""
    _play(True)
