"""A readers' lock whose readers may become the writer.  BUGGY: two readers each wait for the other to leave."""

from __future__ import annotations

from mmrace import runtime as rt


class Shared(rt.Struct):
    """Readers inside, and who waits for fewer of them."""

    readers: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()
    line = rt.wait_queue()
    value: rt.Field[int] = rt.shared(0)


def enter(shared: Shared) -> None:
    """Become a reader."""
    rt.mutex_lock(shared.lock)
    shared.readers = shared.readers + 1
    rt.mutex_unlock(shared.lock)


def leave(shared: Shared) -> None:
    """Read no more; with the lock held."""
    shared.readers = shared.readers - 1
    rt.wake_up_all(shared.line)


def changes(shared: Shared, leaves_first: bool) -> None:
    """Read, then change what was read: alone, that is with nobody else (or nobody at all) inside."""
    enter(shared)
    rt.mutex_lock(shared.lock)
    if leaves_first:
        leave(shared)
    rt.wait_event(
        shared.line,
        lambda: shared.readers == (0 if leaves_first else 1),
        before_sleep=lambda: rt.mutex_unlock(shared.lock),
        after_sleep=lambda: rt.mutex_lock(shared.lock),
    )
    shared.value = shared.value + 1
    if not leaves_first:
        leave(shared)
    rt.mutex_unlock(shared.lock)


def _play(leaves_first: bool) -> None:
    shared = Shared("shared")
    for _ in range(2):
        rt.spawn(changes, shared, leaves_first)
    rt.join_others()


def main() -> None:
    """BUGGY: upgrades in place."""
    _play(False)


def mended() -> None:
    """Gives the reader's place up before it asks for the writer's."""
    _play(True)
