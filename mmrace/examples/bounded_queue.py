"""A bounded queue whose producers and consumers wait in one line, where each change wakes one of them: the wrong one.

mmrace explore mmrace/examples/bounded_queue.py:main --until-found       # BUGGY: ends in FAIL
mmrace explore mmrace/examples/bounded_queue.py:mended --exhaustive
"""

from __future__ import annotations

from mmrace import runtime as rt

PLACES = 1
ALL = 0  # of `wake_up`: everybody who waits


class Queue(rt.Struct):
    """A queue of so many places, its lock, and the line in which tasks wait for a place or for an item."""

    items: rt.Field[tuple[int, ...]] = rt.shared(())
    lock = rt.mutex()
    line = rt.wait_queue()

    def wait(self, low: int, high: int) -> None:
        """With the lock held, sleep until the queue has `low` to `high` items; the lock is dropped for the sleep."""
        rt.wait_event(
            self.line,
            lambda: low <= len(self.items) <= high,
            before_sleep=lambda: rt.mutex_unlock(self.lock),
            after_sleep=lambda: rt.mutex_lock(self.lock),
            exclusive=True,
        )


def put(queue: Queue, item: int, wakes: int) -> None:
    """Wait for a place, put an item there, wake so many."""
    rt.mutex_lock(queue.lock)
    queue.wait(0, PLACES - 1)
    queue.items = (*queue.items, item)
    rt.wake_up(queue.line, wakes)
    rt.mutex_unlock(queue.lock)


def take(queue: Queue, wakes: int) -> None:
    """Wait for an item, take it, wake so many."""
    rt.mutex_lock(queue.lock)
    queue.wait(1, PLACES)
    queue.items = queue.items[1:]
    rt.wake_up(queue.line, wakes)
    rt.mutex_unlock(queue.lock)


def _play(pairs: int, wakes: int) -> None:
    queue = Queue("queue")
    for i in range(pairs):
        rt.spawn(take, queue, wakes, name=f"consumer.{i}")
        rt.spawn(put, queue, i, wakes, name=f"producer.{i}")
    rt.join_others()
    assert not queue.items


def main(pairs: int = 2) -> None:
    """BUGGY: a consumer's wake can reach another consumer, who finds nothing; he and a producer sleep on."""
    _play(pairs, 1)


def mended(pairs: int = 2) -> None:
    """As `main`, but each change wakes everybody."""
    _play(pairs, ALL)
