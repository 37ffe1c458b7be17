"""The dirty oracle: dirtiness at rest, writeback against page locks and moves during a run."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import dirty
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand, at_rest, buffer, page, rest, slot
from tests.oracles.verdicts import caught, passed, unknown

CLEAN = rest([page("page:0", flags=["PG_uptodate", "PG_private"], private="bh:1")], buffers=[buffer("bh:1")])
PG_DIRTY = page("page:0", flags=["PG_uptodate", "PG_dirty", "PG_private"], private="bh:1")
BH_DIRTY = buffer("bh:1", state=["BH_Uptodate", "BH_Dirty"])
ONE = {"NR_FILE_DIRTY": 1, "NR_WRITEBACK": 0, "NR_ISOLATED": 0}
DIRTY = rest([PG_DIRTY], [slot(0, "page:0", "DIRTY")], [BH_DIRTY], counters=ONE)


def _run() -> Hand:
    return Hand("writeback", "migrator")


def _ends(quiescent: dict[str, object], synced: dict[str, object]) -> Hand:
    hand = Hand()
    hand.final = {"quiescent": quiescent, "synced": synced}
    return hand


def test_dirty_oracle_passes_on_writeback_and_then_migration() -> None:
    hand = _run().lock("writeback", "page:0").lock("writeback", "page:0", "PG_writeback")
    hand.unlock("writeback", "page:0").op("writeback", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_writeback")
    hand.lock("migrator", "page:0").write("migrator", "slot:5:0.page", "page:1", "page:0")
    hand.write("migrator", "page:0.mapping", None, "mapping:5").unlock("migrator", "page:0")
    passed(dirty.judge(at_rest(hand, CLEAN).record()))


def test_dirty_oracle_passes_on_dirt_that_sync_writes_out() -> None:
    passed(dirty.judge(_ends(DIRTY, CLEAN).record()))


def test_dirty_oracle_passes_on_a_dirty_page_with_clean_buffers() -> None:
    stale = rest([PG_DIRTY], [slot(0, "page:0", "DIRTY")], [buffer("bh:1")], counters=ONE)
    passed(dirty.judge(_ends(stale, CLEAN).record()))


def test_dirty_oracle_passes_on_a_tag_left_on_a_clean_page() -> None:
    """cancel_dirty_page leaves the DIRTY tag; writeback skips such a page."""
    passed(dirty.judge(at_rest(Hand(), rest([page("page:0")], [slot(0, "page:0", "DIRTY", "TOWRITE")])).record()))


def test_dirty_oracle_passes_on_a_dirty_buffer_of_a_truncated_page() -> None:
    orphan = PG_DIRTY | {"mapping": None, "flags": ["PG_private"]}
    passed(dirty.judge(_ends(rest([orphan], [slot(0, None)], [BH_DIRTY]), CLEAN).record()))


def test_dirty_oracle_passes_on_a_file_that_stays_dirty_because_a_writepage_got_no_handle() -> None:
    stays = rest([PG_DIRTY], [slot(0, "page:0", "DIRTY")], [buffer("bh:1")], counters=ONE)
    hand = _ends(stays, stays)
    caught(dirty.judge(hand.record()), "dirty after sync")
    hand.marks[dirty.NO_HANDLE] = 1
    passed(dirty.judge(hand.record()))


def test_dirty_oracle_catches_a_buffer_that_stays_dirty_after_its_truncation() -> None:
    orphan = rest([PG_DIRTY | {"mapping": None, "flags": ["PG_private"]}], [slot(0, None)], [BH_DIRTY])
    caught(dirty.judge(_ends(CLEAN, orphan).record()), "dirty after its truncation")


def test_dirty_oracle_catches_writeback_set_on_an_unlocked_page() -> None:
    hand = _run().lock("writeback", "page:0").unlock("writeback", "page:0")
    hand.lock("writeback", "page:0", "PG_writeback").unlock("writeback", "page:0", "PG_writeback")
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "writeback on an unlocked page")


def test_dirty_oracle_catches_a_page_replaced_under_writeback() -> None:
    hand = _run().lock("writeback", "page:0").lock("writeback", "page:0", "PG_writeback")
    hand.unlock("writeback", "page:0").lock("migrator", "page:0")
    hand.write("migrator", "slot:5:0.page", "page:1", "page:0")
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "move during writeback")


def test_dirty_oracle_catches_writeback_set_during_a_move() -> None:
    hand = _run().lock("migrator", "page:0").write("migrator", "slot:5:0.page", "page:1", "page:0")
    hand.lock("writeback", "page:0", "PG_writeback").write("migrator", "page:0.mapping", None)
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "writeback during a move")


def test_dirty_oracle_forgets_the_bits_of_a_page_that_was_freed() -> None:
    hand = _run().lock("migrator", "page:0").op("migrator", Kind.STORE, "page:0.flags", 1, 0)
    hand.lock("writeback", "page:0", "PG_writeback")
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "writeback on an unlocked page")


@pytest.mark.parametrize(
    ("rule", "snap"),
    [
        ("dirty buffer, clean page", rest([page("page:0")], [slot(0, "page:0", "DIRTY")], [BH_DIRTY])),
        ("dirty page, no tag", rest([PG_DIRTY], buffers=[buffer("bh:1")], counters=ONE)),
        ("accounting", rest([PG_DIRTY], [slot(0, "page:0", "DIRTY")], [BH_DIRTY])),
        ("accounting", rest([page("page:0")], counters={"NR_FILE_DIRTY": -1})),
        ("accounting", rest([page("page:0")], counters={"NR_WRITEBACK": 1})),
        ("accounting", rest([page("page:0")], counters={"NR_ISOLATED": 1})),
        ("writeback at rest", rest([page("page:0", flags=["PG_writeback"])])),
        ("tag at rest", rest([page("page:0")], [slot(0, "page:0", "WRITEBACK")])),
    ],
)
def test_dirty_oracle_catches_dirt_that_writeback_would_not_find(rule: str, snap: dict[str, object]) -> None:
    finding = caught(dirty.judge(_ends(snap, CLEAN).record()), rule)
    assert finding.facts["when"] == "quiescent"


def test_dirty_oracle_catches_a_dirty_buffer_without_a_tag() -> None:
    snap = rest([PG_DIRTY], buffers=[BH_DIRTY], counters=ONE)
    rules = [finding.rule for finding in dirty.judge(_ends(snap, CLEAN).record()).findings]
    assert rules == ["dirty buffer, no tag", "dirty page, no tag"]


def test_dirty_oracle_catches_dirt_after_sync() -> None:
    findings = dirty.judge(_ends(CLEAN, DIRTY).record()).findings
    assert [finding.rule for finding in findings] == ["dirty after sync", "dirty after sync"]
    assert [finding.facts["objects"] for finding in findings] == [["bh:1"], ["page:0"]]


def test_dirty_oracle_catches_accounting_that_does_not_return_to_zero() -> None:
    snap = rest([page("page:0")], counters=ONE)
    finding = caught(dirty.judge(_ends(CLEAN, snap).record()), "accounting")
    assert (finding.facts["value"], finding.facts["expected"], finding.facts["when"]) == (1, 0, "synced")


def test_dirty_oracle_does_not_know_of_a_record_without_pages() -> None:
    unknown(dirty.judge(at_rest(Hand(), rest([], counters={})).record()))


def test_dirty_oracle_does_not_know_of_a_run_that_was_cut() -> None:
    hand = _run().lock("writeback", "page:0").lock("writeback", "page:0", "PG_writeback")
    hand.end = {"how": "bound", "detail": {"kind": "cut"}}
    unknown(dirty.judge(hand.record()))
