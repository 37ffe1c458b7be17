"""The lock order oracle of the protocol: rings through handles, for which a closing transaction waits."""

from __future__ import annotations

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
    assert "writer holds transaction:1.t_updates and wants page:1.flags.PG_locked" in finding.title


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
