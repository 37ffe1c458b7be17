"""Causal orderings: those that a failure needs are found, and no others."""

from __future__ import annotations

import json

from mmrace import runtime as rt
from mmrace.examples import lost_update, two_locks
from mmrace.report.minimal import causal_line
from mmrace.runs.minimal import Minimal
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget
from tests.search.minimise.failing import Pair, failing, torn


def _named(minimal: Minimal) -> set[tuple[str, str, str, str]]:
    return {(causal.first.task, causal.first.site, causal.second.task, causal.second.site) for causal in minimal.causal}


def test_a_lost_update_needs_each_read_before_the_other_write() -> None:
    record, makers, signature = failing(lost_update.main, "exception")
    minimal = minimise(record, makers, signature, Budget())
    one, other = "main.0", "main.1"
    assert _named(minimal) == {
        (one, "deposit:balance", other, "deposit:balance#2"),
        (other, "deposit:balance", one, "deposit:balance#2"),
    }
    assert {causal.object for causal in minimal.causal} == {"account.balance"}
    assert all(causal.flips.fails == 0 and causal.flips.of > 1 for causal in minimal.causal)
    assert not any(causal.flips.others for causal in minimal.causal)


def test_runs_without_the_finding_that_fail_otherwise_are_counted_apart() -> None:
    """Swap what shows that a deadlock may come, and it comes."""
    record, makers, signature = failing(two_locks.main, "lock-order")
    (causal,) = minimise(record, makers, signature, Budget()).causal
    assert causal.flips.fails == 0
    assert causal.flips.others == causal.flips.of > 1
    assert causal_line(causal).endswith("gone in 20 of 20 runs, but all of them fail otherwise)")


def test_a_torn_read_needs_both_ends_of_its_window() -> None:
    record, makers, signature = failing(torn, "exception")
    named = _named(minimise(record, makers, signature, Budget()))
    assert ("writer", "_write_both:x", "reader", "_look:x") in named
    assert ("reader", "_look:x", "writer", "_write_both:x#2") in named
    assert ("writer", "_write_both:y#2", "reader", "_look:y") in named
    assert len(named) == 3


def test_a_deadlock_needs_each_lock_taken_before_the_other_asks_for_it() -> None:
    record, makers, signature = failing(two_locks.main, "liveness")
    minimal = minimise(record, makers, signature, Budget())
    assert _named(minimal) == {
        ("one", "eat:mutex_lock", "other", "eat:mutex_lock#2"),
        ("other", "eat:mutex_lock", "one", "eat:mutex_lock#2"),
    }
    assert {causal.object for causal in minimal.causal} == {"table.left", "table.right"}
    assert Minimal.parse(json.dumps(minimal.plain()).encode(), "x").causal == minimal.causal


def always() -> None:
    """BUGGY: fails in every schedule, though two tasks meet."""
    pair = Pair("pair")
    rt.spawn(_add, pair)
    rt.spawn(_add, pair)
    rt.join_others()
    raise AssertionError("always")


def _add(pair: Pair) -> None:
    pair.x = pair.x + 1


def test_a_failure_of_every_schedule_needs_no_ordering() -> None:
    record, makers, signature = failing(always, "exception")
    minimal = minimise(record, makers, signature, Budget())
    assert minimal.causal == ()
    assert minimal.shrunk.after.turns == 0
