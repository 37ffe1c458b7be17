"""The refcount oracle of the kernel model on the ledger of one page or buffer."""

from __future__ import annotations

import pytest

from mmrace.kernel.mm import mm, swap
from mmrace.kernel.mm.mm_types import Page
from mmrace.oracles.protocol import refcount
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand, at_rest, buffer, free_page, page, rest
from tests.oracles.protocol.planted import SEEDS, findings, rules
from tests.oracles.verdicts import caught, passed, unknown

COUNT = "page:0._count"


def _cached(slot_task: str = "main") -> Hand:
    """A page in the cache: count 1, owner "slot"."""
    hand = Hand("migrator", "reader", "other")
    hand.note(slot_task, "page-alloc", "page:0").get(slot_task, COUNT, "new", 1)
    hand.note(slot_task, "rename", hand.lane("page:0", "_count"), "new", "slot")
    return hand


def _isolated() -> Hand:
    return _cached().get("migrator", COUNT, "isolation", 2)


def _end(hand: Hand, count: int) -> Hand:
    return at_rest(hand, rest([page("page:0", count=count)]))


def test_refcount_oracle_passes_on_migration() -> None:
    """The state walk of a move, both pages: freeze, replace, thaw without the slot's reference, free the old page."""
    hand = _isolated()
    hand.note("migrator", "page-alloc", "page:1").get("migrator", "page:1._count", "new", 1)
    hand.op("reader", Kind.GET_UNLESS_ZERO, COUNT, "lookup", 3)
    hand.freeze("migrator", COUNT, 2, ok=False).put("reader", COUNT, "lookup", 2)
    hand.freeze("migrator", COUNT, 2)
    hand.op("reader", Kind.GET_UNLESS_ZERO, COUNT, "lookup", 0)
    hand.get("migrator", "page:1._count", "slot", 2).unfreeze("migrator", COUNT, 1, "slot")
    hand.put("migrator", COUNT, "isolation", 0).note("migrator", "page-free", "page:0")
    hand.put("migrator", "page:1._count", "new", 1)
    snap = rest([page("page:1", count=1), free_page("page:0")])
    passed(refcount.judge(at_rest(hand, snap).record()))


def test_refcount_oracle_passes_on_reclaim() -> None:
    """The references that die with a freeze are retired, not put."""
    hand = _isolated().freeze("migrator", COUNT, 2)
    hand.note("migrator", "retire", hand.lane("page:0", "_count"), ("slot", "isolation"))
    hand.note("migrator", "page-free", "page:0")
    passed(refcount.judge(at_rest(hand, rest([free_page("page:0")], [])).record()))


def test_refcount_oracle_passes_on_a_reference_that_changes_hands() -> None:
    hand = _cached().get("reader", COUNT, "lookup", 2).put("other", COUNT, "lookup", 1)
    passed(refcount.judge(_end(hand, 1).record()))


def test_refcount_oracle_passes_on_references_from_before_the_record() -> None:
    hand = Hand("reader").get("reader", COUNT, "lookup", 3).put("reader", COUNT, "lookup", 2)
    passed(refcount.judge(_end(hand, 2).record()))


def test_refcount_oracle_passes_on_a_count_that_is_stored_at_allocation() -> None:
    hand = Hand("reader").unfreeze("reader", COUNT, 1).note("reader", "page-alloc", "page:0")
    hand.put("reader", COUNT, "new", 0).note("reader", "page-free", "page:0")
    passed(refcount.judge(at_rest(hand, rest([free_page("page:0")], [])).record()))


def test_refcount_oracle_catches_a_double_put() -> None:
    hand = _isolated().get("reader", COUNT, "lookup", 3)
    hand.put("reader", COUNT, "lookup", 2).put("reader", COUNT, "lookup", 1)
    finding = caught(refcount.judge(_end(hand, 1).record()), "put without reference")
    assert finding.facts["owners"] == ["isolation", "slot"]
    assert finding.facts["task"] == "reader"


def test_refcount_oracle_catches_a_put_of_somebody_elses_kind() -> None:
    hand = _isolated().put("reader", COUNT, "lookup", 1)
    caught(refcount.judge(_end(hand, 1).record()), "put without reference")


def test_refcount_oracle_catches_a_negative_count() -> None:
    """The ledger still has an owner, for a store wiped out the count: the put goes below zero."""
    hand = _cached().put("main", COUNT, "slot", -1)
    caught(refcount.judge(_end(hand, -1).record()), "negative count")


def test_refcount_oracle_catches_a_count_that_is_not_its_owners() -> None:
    hand = _cached().get("reader", COUNT, "lookup", 3)
    caught(refcount.judge(_end(hand, 3).record()), "count is not owners")


def test_refcount_oracle_catches_a_put_that_leaves_too_many() -> None:
    hand = _isolated().put("migrator", COUNT, "isolation", 2)
    caught(refcount.judge(_end(hand, 2).record()), "count is not owners")


def test_refcount_oracle_catches_a_get_while_frozen() -> None:
    hand = _isolated().freeze("migrator", COUNT, 2).get("reader", COUNT, "lookup", 1)
    finding = caught(refcount.judge(_end(hand, 1).record()), "change while frozen")
    assert finding.facts["freezer"] == "migrator"


def test_refcount_oracle_catches_a_put_while_frozen() -> None:
    hand = _isolated().freeze("migrator", COUNT, 2).put("main", COUNT, "slot", -1)
    assert {f.rule for f in refcount.judge(_end(hand, -1).record()).findings} == {"negative count"}
    hand = _isolated().freeze("migrator", COUNT, 2).put("main", COUNT, "slot", 1)
    caught(refcount.judge(_end(hand, 1).record()), "change while frozen")


def test_refcount_oracle_catches_a_freeze_over_owners() -> None:
    hand = _isolated().get("reader", COUNT, "lookup", 3).freeze("migrator", COUNT, 2)
    caught(refcount.judge(_end(hand, 2).record()), "freeze over owners")


def test_refcount_oracle_catches_a_freeze_that_counts_a_strangers_reference_as_its_own() -> None:
    hand = _cached().get("reader", COUNT, "lookup", 2).freeze("migrator", COUNT, 2)
    finding = caught(refcount.judge(_end(hand, 2).record()), "freeze over owners")
    assert finding.facts["foreign"] == ["lookup"]


def test_refcount_oracle_passes_on_a_freeze_over_the_freezers_own_lookup() -> None:
    """invalidate_inode_page: slot and the caller's lookup."""
    hand = _cached().get("reader", COUNT, "lookup", 2).freeze("reader", COUNT, 2)
    hand.note("reader", "retire", hand.lane("page:0", "_count"), ("slot", "lookup"))
    hand.note("reader", "page-free", "page:0")
    passed(refcount.judge(at_rest(hand, rest([free_page("page:0")], [])).record()))


def test_refcount_oracle_catches_a_get_lost_by_a_plain_store() -> None:
    """BUGGY: a plain test instead of the freeze; the thaw forgets the lookup that came in between."""
    hand = _isolated().op("migrator", Kind.COUNT, COUNT, 2)
    hand.get("reader", COUNT, "lookup", 3).unfreeze("migrator", COUNT, 1, "slot")
    finding = caught(refcount.judge(_end(hand, 1).record()), "lost get")
    assert finding.facts["owners"] == ["isolation", "lookup"]


def test_refcount_oracle_catches_a_thaw_that_drops_what_nobody_holds() -> None:
    hand = _isolated().freeze("migrator", COUNT, 2).unfreeze("migrator", COUNT, 2, "private")
    caught(refcount.judge(_end(hand, 2).record()), "put without reference")


def test_refcount_oracle_catches_a_page_freed_with_owners() -> None:
    hand = _isolated().note("main", "page-free", "page:0")
    caught(refcount.judge(at_rest(hand, rest([free_page("page:0")], [])).record()), "freed while referenced")


def test_refcount_oracle_catches_a_page_allocated_with_owners() -> None:
    hand = _isolated().note("main", "page-alloc", "page:0")
    caught(refcount.judge(_end(hand, 2).record()), "allocated while referenced")


def test_refcount_oracle_catches_a_rename_of_nothing() -> None:
    hand = _cached()
    hand.note("main", "rename", hand.lane("page:0", "_count"), "new", "isolation")
    caught(refcount.judge(_end(hand, 1).record()), "put without reference")


def test_refcount_oracle_catches_a_retired_reference_that_nobody_held() -> None:
    hand = _isolated().freeze("migrator", COUNT, 2)
    hand.note("migrator", "retire", hand.lane("page:0", "_count"), ("slot", "isolation", "private"))
    hand.note("migrator", "page-free", "page:0")
    snap = rest([free_page("page:0")], [])
    caught(refcount.judge(at_rest(hand, snap).record()), "put without reference")


def test_refcount_oracle_catches_a_leaked_reference() -> None:
    hand = _cached().get("reader", COUNT, "lookup", 2)
    finding = caught(refcount.judge(_end(hand, 2).record()), "leaked reference")
    assert (finding.facts["ref"], finding.facts["tasks"]) == ("lookup", ["reader"])


def test_refcount_oracle_catches_a_leaked_buffer_reference() -> None:
    hand = Hand("migrator").get("migrator", "bh:1.b_count", "migrate", 1)
    snap = rest([page("page:0")], buffers=[buffer("bh:1", count=1)])
    caught(refcount.judge(at_rest(hand, snap).record()), "leaked reference")


def test_refcount_oracle_passes_on_references_that_may_stay() -> None:
    hand = _cached().get("reader", COUNT, "pagevec", 2).get("main", "bh:1.b_count", "lru", 1)
    snap = rest(
        [page("page:0", count=2)],
        buffers=[buffer("bh:1", count=1)],
        pagevecs={"percpu:0.lru_add_inactive": ["page:0"]},
        bh_lrus={"percpu:0": ["bh:1"]},
    )
    passed(refcount.judge(at_rest(hand, snap).record()))


def test_refcount_oracle_catches_a_pagevec_reference_that_no_pagevec_holds() -> None:
    hand = _cached().get("reader", COUNT, "pagevec", 2)
    snap = rest([page("page:0", count=2)])
    caught(refcount.judge(at_rest(hand, snap).record()), "leaked reference")


def test_refcount_oracle_catches_a_private_reference_without_buffers() -> None:
    hand = _cached().get("migrator", COUNT, "private", 2)
    snap = rest([page("page:0", count=2)])
    caught(refcount.judge(at_rest(hand, snap).record()), "leaked reference")


def test_refcount_oracle_catches_a_slot_without_a_reference() -> None:
    hand = _cached().put("reader", COUNT, "slot", 0)
    snap = rest([page("page:0", count=0)])
    caught(refcount.judge(at_rest(hand, snap).record()), "pointer without reference")


def test_refcount_oracle_catches_a_bh_lru_reference_that_no_lru_holds() -> None:
    hand = _cached().get("main", "bh:1.b_count", "lru", 1)
    snap = rest([page("page:0", count=1)], buffers=[buffer("bh:1", count=1)])
    caught(refcount.judge(at_rest(hand, snap).record()), "leaked reference")


def test_refcount_oracle_catches_a_final_count_without_owners() -> None:
    finding = caught(refcount.judge(_end(_cached(), 2).record()), "count is not owners")
    assert finding.facts["count"] == 2


def test_refcount_oracle_reports_one_wrong_object_once() -> None:
    hand = _cached().put("reader", COUNT, "lookup", 0).put("reader", COUNT, "slot", -1)
    hand.put("reader", COUNT, "slot", -2)
    assert len(refcount.judge(_end(hand, -2).record()).findings) == 1


def test_refcount_oracle_does_not_know_of_a_record_without_counts() -> None:
    unknown(refcount.judge(at_rest(Hand(), rest([])).record()))


def test_refcount_oracle_does_not_judge_the_rest_of_a_run_that_stopped_during_its_sync() -> None:
    """The quiescent state is older than the events."""
    hand = _cached().get("main", COUNT, "lookup", 2)
    hand.final = {"quiescent": rest([page("page:0", count=1)])}
    hand.end = {"how": "deadlock", "detail": {}}
    assert "deadlock" in unknown(refcount.judge(hand.record()))


def test_refcount_oracle_does_not_know_of_a_run_that_was_cut() -> None:
    unknown(refcount.judge(_cached().record()))


def test_refcount_oracle_catches_a_reference_of_a_name_that_is_not_declared_to_last() -> None:
    """It was taken for a lasting one, and excused every refused migration."""
    hand = _cached().get("reader", COUNT, "hwpoison", 2)
    finding = caught(refcount.judge(_end(hand, 2).record()), "leaked reference")
    assert "'hwpoison' reference of reader is never dropped" in finding.title


@pytest.mark.slow
def test_refcount_oracle_catches_a_planted_leak_of_an_unknown_name() -> None:
    mark_page_accessed = swap.mark_page_accessed

    def leaks(page_: Page) -> None:
        """BUGGY: takes a reference that nobody drops."""
        mark_page_accessed(page_)
        mm.get_page(page_, "hwpoison")

    params = {"idle": 20}
    assert not findings("async-vs-commit", {}, params)
    found = rules(findings("async-vs-commit", {"mm.swap:mark_page_accessed": leaks}, params))
    assert found[refcount.NAME, "leaked reference"] == SEEDS
    assert set(found) <= {(refcount.NAME, "leaked reference"), ("liveness", "idle page refused")}
