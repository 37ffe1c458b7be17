"""The dirty oracle: dirtiness at rest, writeback against page locks and moves during a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mmrace.kernel.errno import Errno
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import filemap, migrate, page_flags, swap, truncate
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import PAGEVEC_SIZE
from mmrace.oracles.protocol import dirty, names
from mmrace.runtime.kinds import Kind
from mmrace.runtime.param import Value
from tests.oracles.hand import Hand, at_rest, buffer, page, rest, slot
from tests.oracles.protocol.planted import OFTEN, findings, rules
from tests.oracles.verdicts import caught, passed, unknown

CLEAN = rest([page("page:0", flags=["PG_uptodate", "PG_private"], private="bh:1")], buffers=[buffer("bh:1")])
PG_DIRTY = page("page:0", flags=["PG_uptodate", "PG_dirty", "PG_private"], private="bh:1")
BH_DIRTY = buffer("bh:1", state=["BH_Uptodate", "BH_Dirty"])
ONE = {"NR_FILE_DIRTY": 1, "NR_WRITEBACK": 0, "NR_ISOLATED": 0}
DIRTY = rest([PG_DIRTY], [slot(0, "page:0", "DIRTY")], [BH_DIRTY], counters=ONE)


def _run() -> Hand:
    return Hand("writeback", "migrator", "truncater")


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
    hand.marks[names.NO_HANDLE] = 1
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


def test_dirty_oracle_catches_a_page_that_leaves_the_cache_under_writeback() -> None:
    hand = _run().lock("writeback", "page:0").lock("writeback", "page:0", "PG_writeback")
    hand.unlock("writeback", "page:0").lock("truncater", "page:0")
    hand.write("truncater", "slot:5:0.page", None, "page:0")
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "removal during writeback")


def test_dirty_oracle_catches_writeback_set_during_a_move() -> None:
    hand = _run().lock("migrator", "page:0").write("migrator", "slot:5:0.page", "page:1", "page:0")
    hand.lock("writeback", "page:0", "PG_writeback").write("migrator", "page:0.mapping", None)
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "writeback during a move")


def test_dirty_oracle_forgets_the_bits_of_a_page_that_was_freed() -> None:
    hand = _run().lock("migrator", "page:0").op("migrator", Kind.STORE, "page:0.flags", 1, 0)
    hand.lock("writeback", "page:0", "PG_writeback")
    caught(dirty.judge(at_rest(hand, CLEAN).record()), "writeback on an unlocked page")


def _gives_up(hand: Hand, *after: tuple[str, bool]) -> Hand:
    """A writer takes the dirty bit of page:0, whose buffer bh:1 is dirty and locked by the committer.

    Args: after: what it then does: bits to set on the page ("PG_dirty"), or locks of bh:1 to take ("BH_Lock").
    """
    hand.write("writeback", "bh:1.b_page", "page:0").write("writeback", "bh:1.b_this_page", "bh:1")
    hand.lock("writeback", "page:0", "PG_dirty").lock("writeback", "bh:1", "BH_Dirty", "b_state")
    hand.lock("writeback", "page:0")
    hand.op("writeback", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_dirty")
    hand.op("writeback", Kind.TEST_AND_SET, "bh:1.b_state", True, sub="BH_Lock")
    for bit, of_page in after:
        hand.lock("writeback", "page:0" if of_page else "bh:1", bit, "flags" if of_page else "b_state")
    return hand.unlock("writeback", "page:0")


def test_dirty_oracle_catches_a_page_whose_writer_skipped_a_buffer_and_left_it_clean() -> None:
    finding = caught(dirty.judge(at_rest(_gives_up(_run()), CLEAN).record()), "not dirty again")
    assert finding.facts["objects"] == ["page:0", "bh:1"]


@pytest.mark.parametrize("after", [("PG_dirty", True), ("BH_Lock", False)], ids=["dirty again", "lock awaited"])
def test_dirty_oracle_passes_on_a_skipped_buffer_of_a_page_that_is_dirty_again(after: tuple[str, bool]) -> None:
    passed(dirty.judge(at_rest(_gives_up(_run(), after), CLEAN).record()))


def test_dirty_oracle_asks_nothing_for_a_buffer_that_was_clean_or_is_on_no_ring() -> None:
    hand = _run().write("writeback", "bh:1.b_page", "page:0").write("writeback", "bh:2.b_page", "page:0")
    hand.write("writeback", "bh:1.b_this_page", "bh:1").lock("writeback", "bh:2", "BH_Dirty", "b_state")
    hand.lock("writeback", "page:0", "PG_dirty").lock("writeback", "page:0")
    hand.op("writeback", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_dirty")
    for bh in ("bh:1", "bh:2"):
        hand.op("writeback", Kind.TEST_AND_SET, f"{bh}.b_state", True, sub="BH_Lock")
    passed(dirty.judge(at_rest(hand.unlock("writeback", "page:0"), CLEAN).record()))


def _writes(hand: Hand, page_: str, mapping: str = "mapping:5") -> Hand:
    """A page is under writeback, and write(2) changes one of its words."""
    hand.write("writeback", f"{page_}.mapping", mapping).lock("writeback", page_)
    hand.lock("writeback", page_, "PG_writeback").unlock("writeback", page_)
    hand.note("writer", "write-begin", 5, 0, 7).op("writer", Kind.WRITE, f"{page_}.words", 0, 7, sub="[0]")
    return hand.note("writer", "write-end", 5, 0, 7)


def test_dirty_oracle_catches_a_write_to_a_page_under_writeback() -> None:
    finding = caught(dirty.judge(at_rest(_writes(Hand("writeback", "writer"), "page:0"), CLEAN).record()),
                     "change during writeback")  # fmt: skip
    assert finding.facts["task"] == "writer"


def test_dirty_oracle_passes_on_metadata_that_a_write_changes_under_writeback() -> None:
    """It lies in a page of the device, of which another buffer is written."""
    hand = _writes(Hand("writeback", "writer"), "page:0", "mapping:bdev")
    passed(dirty.judge(at_rest(hand, CLEAN).record()))


def _attempt(*looks: bool) -> Hand:
    """An attempt that looks at PG_writeback, and then compares the page's count."""
    hand = _run().note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC").lock("migrator", "page:0")
    for look in looks:
        hand.op("migrator", Kind.TEST, "page:0.flags", look, sub="PG_writeback")
    hand.op("migrator", Kind.COUNT, "page:0._count", 4).unlock("migrator", "page:0")
    return hand.note("migrator", "migrate-end", "page:0", "page:1", "MIGRATE_SYNC", "-EAGAIN", "refcount")


def test_dirty_oracle_catches_a_move_that_does_not_wait_for_the_writeback_that_it_saw() -> None:
    """Whether it gets through or not."""
    caught(dirty.judge(at_rest(_attempt(True), CLEAN).record()), "move without waiting for writeback")


@pytest.mark.parametrize("looks", [(False,), (True, True, False)], ids=["none", "waited"])
def test_dirty_oracle_passes_on_a_move_whose_mover_saw_no_writeback_last(looks: tuple[bool, ...]) -> None:
    passed(dirty.judge(at_rest(_attempt(*looks), CLEAN).record()))


def _moves_what_is_written(page_: Page, newpage: Page, force: bool, mode: migrate.MigrateMode) -> int:
    """BUGGY: it sees the writeback, and does not wait."""
    if page_flags.PageWriteback(page_) and not (force and mode is migrate.MIGRATE_SYNC):
        return migrate._stop(-Errno.EAGAIN, "writeback", "migrate: under writeback, retry")
    return migrate.move_to_new_page(newpage, page_, True, mode) if page_.mapping is not None else -Errno.EAGAIN


def _does_not_wait(mapping: AddressSpace, index: int) -> Page | None:
    """BUGGY: the page is locked for a write, whatever is under way."""
    return filemap.find_or_create_page(mapping, index)


def _takes_what_is_written(mapping: AddressSpace, lstart: int) -> None:
    """BUGGY: pages leave the cache as soon as they can be locked."""
    pages = filemap.find_get_pages(mapping, -(-lstart // mapping.machine.words_per_page), PAGEVEC_SIZE)
    for one in pages:
        filemap.lock_page(one)
        truncate.truncate_inode_page(mapping, one)
        filemap.unlock_page(one)
    swap.pagevec_release(mapping.machine, pages)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bind", "params", "rule"),
    [
        (
            "migrate-vs-writeback",
            {"mm.filemap:grab_cache_page_write_begin": _does_not_wait},
            {"idle": 0, "rounds": 6},
            "change during writeback",
        ),
        (
            "migrate-vs-writeback",
            {"mm.migrate:_unmap_and_move_locked": _moves_what_is_written},
            {"mode": "MIGRATE_SYNC", "passes": 6},
            "move without waiting for writeback",
        ),
    ],
    ids=["write", "migration"],
)
def test_dirty_oracle_catches_who_does_not_wait_for_writeback(
    scenario: str, bind: Mapping[str, Callable[..., object]], params: Mapping[str, Value], rule: str
) -> None:
    assert not findings(scenario, {}, params)
    assert rules(findings(scenario, bind, params))[dirty.NAME, rule]


@pytest.mark.slow
def test_dirty_oracle_alone_catches_a_writepage_that_gives_a_page_up() -> None:
    params: dict[str, Value] = {"rounds": 8, "idle": 20, "bare": 0, "without": "reader,reclaimer,migrator"}
    assert not findings("four", {}, params)
    bind = {"mm.page_writeback:redirty_page_for_writepage": lambda wbc, page: False}  # BUGGY: it stays clean
    assert set(rules(findings("four", bind, params, *OFTEN))) == {(dirty.NAME, "not dirty again")}


@pytest.mark.slow
def test_dirty_oracle_alone_catches_a_truncation_that_does_not_wait_for_writeback() -> None:
    params: dict[str, Value] = {"rounds": 12, "idle": 20, "pages": 1, "dirtied": 1, "without": "migrator"}
    assert not findings("truncate-vs-writeback", {}, params)
    bind = {"mm.truncate:truncate_inode_pages": _takes_what_is_written}
    found = rules(findings("truncate-vs-writeback", bind, params, *OFTEN))
    assert set(found) == {(dirty.NAME, "removal during writeback")}


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
    found = [finding.rule for finding in dirty.judge(_ends(snap, CLEAN).record()).findings]
    assert found == ["dirty buffer, no tag", "dirty page, no tag"]


def test_dirty_oracle_catches_dirt_after_sync() -> None:
    found = dirty.judge(_ends(CLEAN, DIRTY).record()).findings
    assert [finding.rule for finding in found] == ["dirty after sync", "dirty after sync"]
    assert [finding.facts["objects"] for finding in found] == [["bh:1"], ["page:0"]]


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
