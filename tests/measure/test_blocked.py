"""Blocked ticks by place, on records written by hand: a wait lasts from the queue to the leaving of it."""

from __future__ import annotations

import pytest

from mmrace.measure import blocked
from mmrace.measure.blocked import BUFFER_LOCK, CONGESTION, OTHER, PAGE_LOCK, WRITEBACK, WRITEPAGE
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import CLASSES, Hand

QUEUES = {
    PAGE_LOCK: ("page:0.flags", "PG_locked.queue"),
    WRITEBACK: ("page:0.flags", "PG_writeback.queue"),
    BUFFER_LOCK: ("bh:1.b_state", "BH_Lock.queue"),
    WRITEPAGE: ("queue:disk.wait", ""),
    OTHER: ("journal:0.j_wait", ""),
}
CLASSES.setdefault("queue", "RequestQueue")


def hand() -> Hand:
    """Two tasks, each on a CPU of its own: what the other does is how time passes."""
    made = Hand("hugepage", "other")
    made.tasks[1]["cpu"], made.tasks[2]["cpu"] = 0, 1
    return made


def passing(made: Hand, ops: int) -> Hand:
    """Let the other task do some ops, each a tick."""
    for _ in range(ops):
        made.op("other", Kind.READ, "page:7.mapping")
    return made


def wait(made: Hand, place: str, ticks: int) -> Hand:
    """Have the measured task sleep on a queue while the other does so many ops."""
    path, sub = QUEUES[place]
    made.op("hugepage", Kind.QUEUE, path, True, sub=sub)
    passing(made, ticks + 1)
    made.op("hugepage", Kind.SLEEP, path, sub=sub)
    return made.op("hugepage", Kind.DEQUEUE, path, sub=sub)


@pytest.mark.parametrize("place", QUEUES)
def test_a_wait_counts_at_its_place_for_as_long_as_others_went_on(place: str) -> None:
    found = blocked.blocked(wait(hand(), place, 40).record(), {1})
    assert set(found) == {place}
    assert 40 <= found[place] <= 42


def test_waits_of_several_places_are_kept_apart_and_those_of_one_added() -> None:
    made = wait(wait(wait(hand(), PAGE_LOCK, 10), WRITEBACK, 100), PAGE_LOCK, 20)
    found = blocked.blocked(made.record(), {1})
    assert 30 <= found[PAGE_LOCK] <= 34
    assert 100 <= found[WRITEBACK] <= 102


def test_only_the_tasks_that_are_asked_for_count() -> None:
    made = wait(hand(), PAGE_LOCK, 10)
    assert not blocked.blocked(made.record(), {2})
    assert blocked.blocked(made.record(), {1, 2}) == blocked.blocked(made.record(), {1})


def test_a_task_that_is_queued_again_and_again_waits_once() -> None:
    """A woken task that finds the lock taken again goes back on the queue: the wait goes on."""
    made = hand()
    path, sub = QUEUES[PAGE_LOCK]
    for _ in range(3):
        made.op("hugepage", Kind.QUEUE, path, True, sub=sub)
        passing(made, 10)
        made.op("hugepage", Kind.SLEEP, path, sub=sub)
    made.op("hugepage", Kind.DEQUEUE, path, sub=sub)
    assert 30 <= blocked.blocked(made.record(), {1})[PAGE_LOCK] <= 36


def test_a_sleep_for_ticks_is_congestion_or_something_else() -> None:
    made = hand().note("hugepage", "sleep", 100, "congestion").op("hugepage", Kind.YIELD, "cpu:0.tasks")
    made.note("hugepage", "sleep", 30, "transfer").op("hugepage", Kind.YIELD, "cpu:0.tasks")
    found = blocked.blocked(made.record(), {1})
    assert (found[CONGESTION], found[OTHER]) == (100, 30)


def test_a_wait_that_the_end_of_the_run_cut_lasts_to_that_end() -> None:
    made = hand()
    made.op("hugepage", Kind.QUEUE, "page:0.flags", True, sub="PG_locked.queue")
    assert blocked.blocked(passing(made, 51).record(), {1})[PAGE_LOCK] == 50


def test_who_never_waits_is_never_blocked() -> None:
    made = passing(hand().op("hugepage", Kind.TEST_AND_SET, "page:0.flags", False, "lock", sub="PG_locked"), 9)
    assert not blocked.blocked(made.record(), {1})


def test_elapsed_is_from_the_first_to_the_last_deed() -> None:
    made = passing(hand(), 5).op("hugepage", Kind.READ, "page:0.mapping")
    passing(made, 20).op("hugepage", Kind.READ, "page:0.mapping")
    assert blocked.elapsed(passing(made, 5).record(), {1}) == 20
    assert blocked.elapsed(made.record(), {0}) == 0
