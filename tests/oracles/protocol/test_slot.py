"""The slot oracle: pointers during a run and at rest."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import content, slot
from tests.oracles.hand import Hand, at_rest, buffer, free_page, page, rest
from tests.oracles.hand import slot as slot_row
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

SLOT = "slot:5:0.page"


def _cached() -> Hand:
    """page:0 in the slot, with bh:1 and bh:2 on its ring."""
    hand = Hand("migrator", "other").lock("main", "page:0")
    hand.write("main", "page:0.mapping", "mapping:5").write("main", SLOT, "page:0")
    hand.write("main", "bh:1.b_this_page", "bh:2").write("main", "bh:2.b_this_page", "bh:1")
    hand.write("main", "bh:1.b_page", "page:0").write("main", "bh:2.b_page", "page:0")
    return hand.write("main", "page:0.private", "bh:1").unlock("main", "page:0")


def _begin(hand: Hand) -> Hand:
    hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC").lock("migrator", "page:0")
    return hand.lock("migrator", "page:1").write("migrator", "page:1.mapping", "mapping:5")


def _moved(hand: Hand, *left_out: str) -> Hand:
    """Do the writes of a migration of page:0 to page:1, without those that are named."""
    _begin(hand)
    for path, new in (
        (SLOT, "page:1"),
        ("page:1.private", "bh:1"),
        ("page:0.private", None),
        ("bh:1.b_page", "page:1"),
        ("bh:2.b_page", "page:1"),
        ("page:0.mapping", None),
    ):
        if path not in left_out:
            hand.write("migrator", path, new)
    hand.unlock("migrator", "page:1").unlock("migrator", "page:0")
    return hand


def _end(hand: Hand, rc: str = "0", reason: str = "moved") -> Hand:
    hand.note("migrator", "migrate-end", "page:0", "page:1", "MIGRATE_SYNC", rc, reason)
    return at_rest(hand, rest([]))


def _refused(hand: Hand, *, undo: bool = True) -> Hand:
    _begin(hand)
    if undo:
        hand.write("migrator", "page:1.mapping", None)
    return hand.unlock("migrator", "page:1").unlock("migrator", "page:0")


def test_slot_oracle_passes_on_migration() -> None:
    hand = _moved(_cached()).note("migrator", "page-free", "page:0")
    passed(slot.judge(_end(hand).record()))


def test_slot_oracle_passes_on_a_refused_migration() -> None:
    hand = _refused(_cached()).note("migrator", "page-free", "page:1")
    passed(slot.judge(_end(hand, "-EAGAIN", "refcount").record()))


def test_slot_oracle_passes_when_the_new_page_was_truncated_before_the_note() -> None:
    hand = _moved(_cached()).lock("other", "page:1").write("other", SLOT, None)
    hand.write("other", "page:1.mapping", None).unlock("other", "page:1")
    passed(slot.judge(_end(hand).record()))


def test_slot_oracle_passes_while_another_task_moves_the_new_page_on() -> None:
    hand = _moved(_cached()).lock("other", "page:1").lock("other", "page:2").write("other", SLOT, "page:2")
    passed(slot.judge(_end(hand).record()))


def test_slot_oracle_passes_when_the_old_page_was_freed_and_used_again_before_the_note() -> None:
    hand = _moved(_cached()).note("migrator", "page-free", "page:0").note("other", "page-alloc", "page:0")
    hand.write("other", "page:0.mapping", "mapping:6")
    passed(slot.judge(_end(hand).record()))


def test_slot_oracle_passes_on_a_refused_page_that_was_truncated() -> None:
    hand = _cached().lock("other", "page:0").write("other", SLOT, None).write("other", "page:0.mapping", None)
    hand.unlock("other", "page:0")
    passed(slot.judge(_end(_refused(hand), "-EAGAIN", "truncated").record()))


def test_slot_oracle_catches_an_unlocked_page_in_a_slot() -> None:
    hand = Hand().write("main", SLOT, "page:0")
    caught(slot.judge(at_rest(hand, rest([])).record()), "unlocked page in a slot")


def test_slot_oracle_catches_a_free_page_in_a_slot() -> None:
    hand = _cached().write("main", "page:0.private", None).note("main", "page-free", "page:0")
    caught(slot.judge(at_rest(hand, rest([])).record()), "slot shows a free page")


def test_slot_oracle_catches_a_page_freed_with_its_ring() -> None:
    hand = _cached().write("main", SLOT, None).note("main", "page-free", "page:0")
    caught(slot.judge(at_rest(hand, rest([])).record()), "freed with buffers")


def test_slot_oracle_catches_a_buffer_left_on_a_page_that_is_freed() -> None:
    hand = _moved(_cached(), "bh:2.b_page").note("migrator", "page-free", "page:0")
    finding = caught(slot.judge(at_rest(hand, rest([])).record()), "buffer of a free page")
    assert finding.facts["objects"] == ["page:0", "bh:2"]


def test_slot_oracle_passes_on_a_dropped_ring_that_still_points_at_its_page() -> None:
    """drop_buffers does not clear b_page; the buffers are dead."""
    hand = _cached().write("main", "page:0.private", None).write("main", SLOT, None)
    passed(slot.judge(at_rest(hand.note("main", "page-free", "page:0"), rest([])).record()))


def test_slot_oracle_catches_a_move_that_left_the_slot() -> None:
    """BUGGY: the slot was given back to the old page, yet the migration says that it succeeded."""
    hand = _moved(_cached()).lock("migrator", "page:0").write("migrator", SLOT, "page:0")
    caught(slot.judge(_end(hand.unlock("migrator", "page:0")).record()), "slot after a move")


def test_slot_oracle_catches_a_buffer_left_behind_by_a_move() -> None:
    finding = caught(slot.judge(_end(_moved(_cached(), "bh:2.b_page")).record()), "b_page after a move")
    assert finding.facts["b_page"] == "page:0"


def test_slot_oracle_catches_an_old_page_that_keeps_its_mapping() -> None:
    hand = _end(_moved(_cached(), "page:0.mapping"))
    caught(slot.judge(hand.record()), "old page keeps its mapping")


def test_slot_oracle_catches_an_old_page_that_keeps_its_ring() -> None:
    hand = _end(_moved(_cached(), "page:0.private"))
    caught(slot.judge(hand.record()), "old page keeps its ring")


def test_slot_oracle_catches_a_failed_move_that_left_the_new_page_in_the_slot() -> None:
    hand = _begin(_cached()).write("migrator", SLOT, "page:1").write("migrator", "page:1.mapping", None)
    hand.unlock("migrator", "page:0").lock("migrator", "page:0")
    caught(slot.judge(_end(hand, "-EAGAIN", "buffer-lock").record()), "slot after a failed move")


def test_slot_oracle_catches_a_failed_move_that_cleared_the_mapping() -> None:
    hand = _refused(_cached()).write("migrator", "page:0.mapping", None)
    caught(slot.judge(_end(hand, "-EAGAIN", "freeze").record()), "mapping lost in a failed move")


def test_slot_oracle_catches_a_refused_target_that_keeps_its_mapping() -> None:
    hand = _refused(_cached(), undo=False)
    caught(slot.judge(_end(hand, "-EAGAIN", "freeze").record()), "new page keeps its mapping")


# -- at rest ----------

RING = page("page:0", flags=["PG_uptodate", "PG_private"], private="bh:1", count=2)
TWO = [buffer("bh:1", next="bh:2"), buffer("bh:2", index=1, next="bh:1")]


def test_slot_oracle_passes_on_a_ring_at_rest() -> None:
    passed(slot.judge(at_rest(Hand(), rest([RING, free_page("page:1")], buffers=TWO)).record()))


NEVER_USED = [page("page:0"), free_page("page:1") | {"generation": 0}]
FREED = [page("page:0"), free_page("page:1")]
MISCOUNTED = {"name": "mapping:5", "ino": 5, "slots": [slot_row(0, "page:0")], "nrpages": 2}


@pytest.mark.parametrize(
    ("rule", "snap"),
    [
        ("slot shows a stranger", rest([page("page:0", mapping=None, index=None)])),
        ("slot shows a stranger", rest([free_page("page:0")])),
        ("slot shows a stranger", rest([page("page:0")], [slot_row(0, "page:0"), slot_row(1, "page:0")])),
        ("page is not in its slot", rest([page("page:0")], [slot_row(0, None)])),
        ("PG_private", rest([page("page:0", flags=["PG_private"])])),
        ("PG_private", rest([RING | {"flags": []}], buffers=TWO)),
        ("ring holds a dead buffer", rest([RING], buffers=[TWO[0]])),
        ("b_page", rest([RING, free_page("page:1")], buffers=[TWO[0], TWO[1] | {"page": None}])),
        ("open ring", rest([RING], buffers=[TWO[0], TWO[1] | {"next": None}])),
        ("open ring", rest([RING], buffers=[TWO[0], TWO[1] | {"next": "bh:2"}])),
        ("stray buffer", rest([RING], buffers=[*TWO, buffer("bh:3")])),
        ("stray buffer", rest(FREED, buffers=[buffer("bh:3", page="page:1", next=None)])),
        ("stray buffer", rest(NEVER_USED, buffers=[buffer("bh:3", page="page:1", next=None)])),
        ("nrpages", rest([page("page:0")], mappings=[MISCOUNTED])),
        ("NR_FILE_PAGES", rest([page("page:0")], counters={"NR_FILE_PAGES": 0})),
    ],
)
def test_slot_oracle_catches_pointers_that_disagree_at_rest(rule: str, snap: dict[str, object]) -> None:
    hand = Hand()
    hand.final = {"quiescent": snap, "synced": rest([])}
    finding = caught(slot.judge(hand.record()), rule)
    assert finding.facts["when"] == "quiescent"


def test_slot_oracle_passes_on_an_orphan_ring() -> None:
    """Truncated, but the journal still holds the buffers: no mapping, no slot, a ring."""
    orphan = RING | {"mapping": None, "index": 0}
    passed(slot.judge(at_rest(Hand(), rest([orphan], [slot_row(0, None)], TWO)).record()))


def test_slot_oracle_does_not_know_of_a_record_without_pages() -> None:
    unknown(slot.judge(at_rest(Hand(), rest([])).record()))


def test_slot_oracle_does_not_know_of_a_run_that_was_cut() -> None:
    hand = _cached()
    hand.end = {"how": "violation", "detail": {}}
    assert "violation" in unknown(slot.judge(hand.record()))


# -- truncation ------------------------------------------------------------------------------------------------------


def _truncated(emptied: bool, by: str = "truncater") -> Hand:
    """Slot 1 shows a page when a truncation from page 1 on begins; slot 0 is none of its."""
    hand = Hand("truncater", "reader").lock("reader", "page:0").lock("reader", "page:1")
    hand.write("reader", "slot:5:0.page", "page:0").write("reader", "slot:5:1.page", "page:1")
    hand.unlock("reader", "page:0").note("truncater", "drop-begin", 5, 1)
    if emptied:
        hand.write(by, "slot:5:1.page", None, "page:1").write("reader", "slot:5:1.page", "page:1")
    hand.unlock("reader", "page:1").note("truncater", "drop-end", 5)
    return at_rest(hand, rest([]))


def test_slot_oracle_catches_a_page_that_a_truncation_left() -> None:
    finding = caught(slot.judge(_truncated(False).record()), "page left by a truncation")
    assert finding.facts["objects"] == ["slot:5:1", "page:1"]


@pytest.mark.parametrize("by", ["truncater", "reader"])
def test_slot_oracle_passes_on_a_truncation_after_which_a_page_comes_back(by: str) -> None:
    passed(slot.judge(_truncated(True, by).record()))


@pytest.mark.slow
def test_slot_oracle_catches_a_truncation_that_does_nothing() -> None:
    assert not findings("reclaim-vs-truncate", {})
    bind = {"mm.truncate:truncate_inode_pages": lambda mapping, start: None}  # BUGGY
    found = set(rules(findings("reclaim-vs-truncate", bind)))
    # What is left is read, and is there when the file is made longer: that judge sees the same, from its end.
    assert {rule for rule in found if rule[0] != content.NAME} == {(slot.NAME, "page left by a truncation")}
