"""The lock order oracle of the protocol: rings through handles, commits and writeback."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace.oracles.protocol import lock_order
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import Kind
from mmrace.runtime.param import Value
from stress import planted
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed

UPDATES, STATE_LOCK = "transaction:1.t_updates", "journal:0.j_state_lock"


def _run() -> Hand:
    return Hand("writer", "flusher", "fsync")


def _start(hand: Hand, task: str, others: int = 0) -> Hand:
    """Start a handle, under the lock that a wait for others would drop."""
    hand.op(task, Kind.ACQUIRE, STATE_LOCK).write(task, UPDATES, others + 1, others)
    return hand.op(task, Kind.RELEASE, STATE_LOCK)


def _stop(hand: Hand, task: str, others: int = 0) -> Hand:
    hand.op(task, Kind.ACQUIRE, STATE_LOCK).write(task, UPDATES, others, others + 1)
    return hand.op(task, Kind.RELEASE, STATE_LOCK)


def _lock(hand: Hand, task: str, page: str = "page:1") -> Hand:
    return hand.op(task, Kind.TEST_AND_SET, f"{page}.flags", False, LOCK, sub="PG_locked")


def _handle_around_page(hand: Hand, task: str) -> Hand:
    return _stop(_lock(_start(hand, task), task).unlock(task, "page:1"), task)


def _page_around_handle(hand: Hand, task: str) -> Hand:
    return _stop(_start(_lock(hand, task), task), task).unlock(task, "page:1")


def test_order_oracle_catches_a_page_lock_inside_a_handle_where_another_starts_one_under_the_page_lock() -> None:
    hand = _page_around_handle(_handle_around_page(_run(), "writer"), "flusher")
    finding = caught(lock_order.judge(hand.record()), "lock-order cycle")
    assert "writer holds handle on transaction:1 and wants page:1.flags.PG_locked" in finding.title


def test_order_oracle_passes_on_page_locks_around_handles() -> None:
    passed(lock_order.judge(_page_around_handle(_page_around_handle(_run(), "writer"), "flusher").record()))


def test_order_oracle_passes_on_the_journals_own_locks_which_who_waits_has_dropped() -> None:
    """Both hold a handle while they take the lock under which handles begin."""
    hand = _start(_start(_run(), "writer"), "flusher", others=1)
    passed(lock_order.judge(_stop(_stop(hand, "writer", others=1), "flusher").record()))


def test_order_oracle_knows_that_many_hold_a_handle_at_once() -> None:
    """A ring of two page locks stays one, though both tasks have a handle on the same transaction."""
    hand = _start(_start(_run(), "writer"), "flusher", others=1)
    _lock(_lock(hand, "writer", "page:1"), "writer", "page:2").unlock("writer", "page:2").unlock("writer", "page:1")
    _lock(_lock(hand, "flusher", "page:2"), "flusher", "page:1")
    caught(lock_order.judge(hand.record()), "lock-order cycle")


# -- commits ----------------------------------------------------------------------------------------------------------


def _journal() -> Hand:
    """A writer, whom a commit waits for, and somebody who waits for the commit."""
    hand = Hand("writer", "fsync", "kjournald")
    return hand.write("main", "transaction:1.t_state", "T_RUNNING")


def _commits(hand: Hand, *doing: Callable[[Hand], object], at: str = "T_FLUSH") -> Hand:
    """Commit transaction 1; in a state of it, kjournald does something more."""
    hand.note("kjournald", "commit-begin", "journal", 1)
    for state in ("T_LOCKED", "T_FLUSH", "T_COMMIT", "T_COMMIT_RECORD"):
        if state != "T_LOCKED":
            hand.write("kjournald", "transaction:1.t_state", state)
        if state == at:
            for do in doing:
                do(hand)
    hand.write("kjournald", "journal:0.j_commit_sequence", 1, 0)
    return hand.note("kjournald", "commit-end", "journal", 1)


def _takes_page(hand: Hand) -> Hand:
    return _lock(hand, "kjournald").unlock("kjournald", "page:1")


def _waits_under_page(hand: Hand, tid: int = 1) -> Hand:
    return _lock(hand, "fsync").note("fsync", "commit-wait", "journal", tid).unlock("fsync", "page:1")


def test_order_oracle_catches_a_wait_for_a_commit_under_a_lock_that_is_taken_inside_a_handle() -> None:
    hand = _commits(_handle_around_page(_journal(), "writer"))
    finding = caught(lock_order.judge(_waits_under_page(hand).record()), "lock-order cycle")
    assert finding.facts["chain"] == (
        "commit of transaction --> handle on transaction --> page.flags.PG_locked --> commit of transaction"
    )
    assert "kjournald holds commit of transaction:1 and wants handle on transaction:1" in finding.title


def test_order_oracle_passes_on_a_wait_for_a_commit_under_a_lock_that_is_taken_around_handles() -> None:
    hand = _commits(_page_around_handle(_journal(), "writer"))
    passed(lock_order.judge(_waits_under_page(hand).record()))


def test_order_oracle_catches_a_wait_for_a_commit_with_a_handle_open_on_it() -> None:
    hand = _start(_journal(), "fsync").note("fsync", "commit-wait", "journal", 1)
    caught(lock_order.judge(_commits(_stop(hand, "fsync")).record()), "lock-order cycle")


def test_order_oracle_passes_on_a_wait_for_the_commit_before_that_of_the_handle() -> None:
    hand = _lock(_journal(), "writer").write("fsync", "transaction:2.t_updates", 1, 0)
    hand.note("fsync", "commit-wait", "journal", 1)
    passed(lock_order.judge(_commits(hand).record()))


def test_order_oracle_catches_a_lock_that_the_commit_takes_and_who_waits_for_it_holds() -> None:
    for state in ("T_LOCKED", "T_FLUSH", "T_COMMIT", "T_COMMIT_RECORD"):
        hand = _waits_under_page(_commits(_journal(), _takes_page, at=state))
        caught(lock_order.judge(hand.record()), "lock-order cycle")


@pytest.mark.parametrize(("state", "ring"), [("T_LOCKED", True), ("T_FLUSH", False), ("T_COMMIT", False)])
def test_order_oracle_knows_until_when_a_commit_keeps_new_handles_out(state: str, ring: bool) -> None:
    hand = _commits(_page_around_handle(_journal(), "writer"), _takes_page, at=state)
    judgement = lock_order.judge(hand.record())
    if ring:
        assert "closing of transaction" in str(caught(judgement, "lock-order cycle").facts["chain"])
    else:
        passed(judgement)


@pytest.mark.parametrize(("state", "ring"), [("T_FLUSH", False), ("T_COMMIT", True), ("T_COMMIT_RECORD", False)])
def test_order_oracle_knows_when_a_commit_copies_buffers_to_the_log(state: str, ring: bool) -> None:
    def sleeps(hand: Hand) -> None:
        _lock(hand, "writer", "page:1")
        hand.queue("writer", "bh:1", "BH_Unshadow", "b_state").unlock("writer", "page:1")

    hand = _journal().note("kjournald", "commit-begin", "journal", 1)
    for each in ("T_FLUSH", "T_COMMIT", "T_COMMIT_RECORD"):
        hand.write("kjournald", "transaction:1.t_state", each)
        if each == "T_COMMIT":
            sleeps(hand)
        if each == state:
            _takes_page(hand)
    judgement = lock_order.judge(hand.record())
    if ring:
        assert "log copies of transaction" in str(caught(judgement, "lock-order cycle").facts["chain"])
    else:
        passed(judgement)


def test_order_oracle_catches_a_page_lock_that_the_end_of_writeback_wants() -> None:
    hand = Hand("flusher", "writer", "worker")
    hand.op("flusher", Kind.TEST_AND_SET, "page:1.flags", False, sub="PG_writeback").op(
        "flusher", Kind.SPAWN, "cpu:0.x", 3
    )
    _lock(hand, "worker").unlock("worker", "page:1")
    hand.op("worker", Kind.TEST_AND_CLEAR, "page:1.flags", True, sub="PG_writeback")
    _lock(hand, "writer").note("writer", "writeback-wait", "page:1").unlock("writer", "page:1")
    finding = caught(lock_order.judge(hand.record()), "lock-order cycle")
    assert "worker holds page:1.flags.PG_writeback and wants page:1.flags.PG_locked" in finding.title


def test_order_oracle_passes_on_the_lock_of_another_page_before_the_end_of_writeback() -> None:
    """N1 of the bug history, by instances."""
    hand = Hand("flusher", "writer", "worker")
    hand.op("flusher", Kind.TEST_AND_SET, "page:1.flags", False, sub="PG_writeback").op(
        "flusher", Kind.SPAWN, "cpu:0.x", 3
    )
    _lock(hand, "worker", "page:2").unlock("worker", "page:2")
    hand.op("worker", Kind.TEST_AND_CLEAR, "page:1.flags", True, sub="PG_writeback")
    _lock(hand, "writer").note("writer", "writeback-wait", "page:1").unlock("writer", "page:1")
    passed(lock_order.judge(hand.record()))


# -- planted bugs ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("params", [{"data": "journal", "dirtied": 2}, {"bare": 100}], ids=["journal", "ordered"])
def test_order_oracle_predicts_from_passing_runs_that_a_handle_must_not_come_before_the_page_lock(
    params: dict[str, Value],
) -> None:
    params, row = {"idle": 20, **params}, planted.of_model(lock_order.NAME)
    assert not findings(row.twin.program, {}, params)
    found = rules(findings(row.twin.program, row.bind, params))
    assert found[lock_order.NAME, "lock-order cycle"] >= 5
