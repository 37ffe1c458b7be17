"""A bounded queue of one place, two producers, one consumer.  BUGGY: a sleeper looks, and lies down only afterwards."""

from __future__ import annotations

from mmrace import runtime as rt

ITEMS = 2


class Queue(rt.Struct):
    """One place, and who waits for it to be filled or emptied."""

    items: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()
    line = rt.wait_queue()


def fits(queue: Queue, wanted: int) -> bool:
    """Look under the lock whether there are so many items; if so, change them."""
    rt.mutex_lock(queue.lock)
    right = queue.items == wanted
    if right:
        queue.items = 1 - wanted
    rt.mutex_unlock(queue.lock)
    return right


def waits(queue: Queue, wanted: int, looks_again: bool) -> None:
    """Sleep until the queue has as many items as are wanted, then turn it over and tell the others."""
    if looks_again:
        rt.wait_event(queue.line, lambda: fits(queue, wanted))
    else:
        while not fits(queue, wanted):
            entry = rt.prepare_to_wait(queue.line, None)
            rt.sleep_on(entry)
            rt.finish_wait(entry)
    rt.wake_up_all(queue.line)


def produces(queue: Queue, looks_again: bool) -> None:
    """Put one item."""
    waits(queue, 0, looks_again)


def consumes(queue: Queue, looks_again: bool) -> None:
    """Take all items."""
    for _ in range(ITEMS):
        waits(queue, 1, looks_again)


def _play(looks_again: bool) -> None:
    queue = Queue("queue")
    rt.spawn(consumes, queue, looks_again)
    for _ in range(ITEMS):
        rt.spawn(produces, queue, looks_again)
    rt.join_others()


def main() -> None:
    """BUGGY: a wake between the look and the bed is lost."""
    _play(False)


def mended() -> None:
    """Looks again once it is on the line."""
    _play(True)
