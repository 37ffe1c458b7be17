"""The counts of a run, from a record written by hand, and the shares that follow."""

from __future__ import annotations

from mmrace.measure.counting import (
    ALLOC,
    BLOCKED,
    ELAPSED,
    FAILED,
    FALLBACK,
    MOVED,
    REFUSED,
    STALLS,
    SUCCESS,
    counted,
    with_shares,
)
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand


def test_a_run_is_counted_by_vmstats_names_and_by_reason() -> None:
    hand = Hand("hugepage", "streamer")
    for name, times in (("THP_FAULT_ALLOC", 3), ("THP_FAULT_FALLBACK", 1), ("COMPACTSTALL", 2)):
        hand.note("hugepage", "vm-event", name, times)
    for rc, reason in (("0", "moved"), ("0", "moved"), ("-EAGAIN", "page-lock"), ("-EBUSY", "writeback")):
        hand.note("hugepage", "migrate-begin", "page:0", "MIGRATE_ASYNC")
        hand.note("hugepage", "migrate-end", "page:0", "page:1", "MIGRATE_ASYNC", rc, reason)
    found = counted(hand.record(), "hugepage")
    assert (found[ALLOC], found[FALLBACK], found[STALLS]) == (3, 1, 2)
    assert (found[MOVED], found[REFUSED]) == (2, 2)
    assert (found[f"{REFUSED}: page-lock"], found[f"{REFUSED}: writeback"]) == (1, 1)
    shown = with_shares(found)
    assert (shown[SUCCESS], shown[FAILED]) == (75.0, 50.0)


def test_what_did_not_happen_is_zero_and_a_share_of_nothing_is_left_out() -> None:
    found = counted(Hand("hugepage").record(), "hugepage")
    assert all(found[name] == 0 for name in (ALLOC, FALLBACK, STALLS, MOVED, REFUSED, BLOCKED, ELAPSED))
    assert SUCCESS not in with_shares(found) and FAILED not in with_shares(found)


def test_only_the_actor_that_is_measured_and_its_own_tasks_count_for_stalls() -> None:
    hand = Hand("hugepage", "hugepage.0", "streamer")
    for task in ("hugepage", "hugepage.0", "streamer"):
        hand.note(task, "sleep", 100, "congestion").op(task, Kind.YIELD, "cpu:0.tasks")
    assert counted(hand.record(), "hugepage")[f"{BLOCKED}: congestion"] == 200
