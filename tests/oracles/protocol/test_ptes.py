"""The ptes oracle: how page tables agree with locks, slots, dirt and counts, during a run and at rest."""

from __future__ import annotations

import pytest

from mmrace.kernel.mm import pgtable, swapops
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.protocol import content, durability, errno, pte, ptes, refcount
from mmrace.oracles.protocol.pte import Pte
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand, at_rest, page, rest, slot
from tests.oracles.verdicts import caught, passed, unknown

SLOT = "slot:5:0.page"
FRAME_1 = 1 << pte.PFN_SHIFT
READ_ONLY = FRAME_1 | pte.PRESENT | pte.ACCESSED
DIRTY = READ_ONLY | pte.WRITE | pte.DIRTY
ENTRY = FRAME_1 | swapops.SWP_MIGRATION_WRITE << 1
MAPPED = {"name": "vma:main:0", "mapping": "mapping:5", "start": 0, "end": 1, "pgoff": 0}


def _row(*bits: str, of: str = "page:1") -> dict[str, object]:
    return {"address": 0, "page": of, "bits": list(bits)}


def _mapped() -> Hand:
    """page:1 in slot 0, which is mapped at address 0, without a pte; the page is not locked."""
    hand = Hand("faulter", "other").lock("main", "page:1").write("main", SLOT, "page:1").unlock("main", "page:1")
    return hand.note("main", "map", "vma:main:0", 5, 0, 1, 0)


def _pte(hand: Hand, task: str, new: int, old: int = 0) -> Hand:
    return hand.op(task, Kind.WRITE, "mm.ptes", old, new, sub="[0]")


def _faulted() -> Hand:
    hand = _pte(_mapped().lock("faulter", "page:1"), "faulter", READ_ONLY)
    return hand.unlock("faulter", "page:1")


def _end(hand: Hand, *rows: dict[str, object], **over: object) -> Hand:
    row = page("page:1", **{"mapcount": len(rows), **over})
    return at_rest(hand, rest([row], [slot(0, "page:1")], mapped=[MAPPED], ptes=list(rows)))


def judged(hand: Hand) -> Judgement:
    return ptes.judge(hand.record())


def test_words_are_read_as_the_kernel_model_means_them() -> None:
    assert (pte.PRESENT, pte.WRITE, pte.ACCESSED, pte.DIRTY) == (
        pgtable._PAGE_PRESENT, pgtable._PAGE_RW, pgtable._PAGE_ACCESSED, pgtable._PAGE_DIRTY,
    )  # fmt: skip
    assert pte.PFN_SHIFT == pgtable.PTE_PFN_SHIFT
    assert pte.pte(DIRTY) == Pte("page:1", entry=False, dirty=True, accessed=True)
    assert pte.pte(ENTRY) == Pte("page:1", entry=True, dirty=False, accessed=False)
    assert pte.pte(0) == pte.NONE and not pte.NONE.present
    assert swapops.is_swap_pte(ENTRY) and swapops.is_write_migration_entry(ENTRY)


def test_ptes_oracle_passes_on_a_fault_a_move_and_a_zap() -> None:
    hand = _faulted()
    hand.lock("other", "page:1")
    _pte(hand, "other", 0, READ_ONLY)
    _pte(hand, "other", ENTRY)
    _pte(hand, "other", READ_ONLY, ENTRY).unlock("other", "page:1")
    passed(judged(_end(hand, _row("present", "accessed"))))


def test_ptes_oracle_has_nothing_to_check_where_nothing_is_mapped() -> None:
    assert unknown(ptes.judge(at_rest(Hand(), rest([page("page:1")])).record()))


@pytest.mark.parametrize(
    ("new", "rule"), [(READ_ONLY, "pte of an unlocked page"), (ENTRY, "migration entry of an unlocked page")]
)
def test_ptes_oracle_catches_what_is_made_without_the_page_lock(new: int, rule: str) -> None:
    hand = _pte(_mapped().lock("other", "page:1"), "faulter", new)
    if new == ENTRY:
        _pte(hand, "faulter", 0, ENTRY)
    caught(judged(_end(hand, *[_row("present")] * (new == READ_ONLY))), rule)


def test_ptes_oracle_catches_a_pte_of_a_page_that_its_slot_does_not_show() -> None:
    hand = _mapped().lock("other", "page:2").write("other", SLOT, "page:2")
    _pte(hand.lock("faulter", "page:1"), "faulter", READ_ONLY)
    _pte(hand, "faulter", 0, READ_ONLY)
    caught(judged(_end(hand)), "pte of a page that is not in its slot")


def test_ptes_oracle_catches_a_migration_entry_that_outlives_the_page_lock() -> None:
    hand = _pte(_mapped().lock("other", "page:1"), "other", ENTRY).unlock("other", "page:1")
    finding = caught(judged(_end(_pte(hand, "other", 0, ENTRY))), "migration entry left")
    assert finding.facts["objects"] == ["page:1"]


@pytest.mark.parametrize("how", ["unlock", "put", "clean"])
def test_ptes_oracle_catches_dirt_that_is_not_handed_over(how: str) -> None:
    hand = _faulted()
    _pte(hand, "faulter", DIRTY, READ_ONLY).lock("other", "page:1")
    _pte(hand, "other", 0, DIRTY)
    if how == "put":
        hand.put("other", "page:1._count", "pte", 1)
    elif how == "clean":
        hand.op("other", Kind.TEST_AND_CLEAR, "page:1.flags", False, sub="PG_dirty")
    hand.unlock("other", "page:1")
    caught(judged(_end(hand)), "dirt of a pte lost")


def test_ptes_oracle_passes_where_the_page_was_dirty_already() -> None:
    hand = _faulted()
    _pte(hand, "faulter", DIRTY, READ_ONLY).lock("other", "page:1")
    _pte(hand, "other", 0, DIRTY)
    hand.op("other", Kind.TEST, "page:1.flags", True, sub="PG_dirty").unlock("other", "page:1")
    passed(judged(_end(hand)))


def test_ptes_oracle_catches_a_page_that_is_freed_while_somebody_sleeps_for_its_lock() -> None:
    hand = _faulted().queue("faulter", "page:1", "PG_locked").note("other", "page-free", "page:1")
    caught(judged(_end(hand, _row("present"))), "freed under a sleeper")
    hand = _faulted().queue("faulter", "page:1", "PG_locked").dequeue("faulter", "page:1", "PG_locked")
    passed(judged(_end(hand.note("other", "page-free", "page:1"), _row("present"))))


def test_ptes_oracle_compares_the_map_count_with_the_ptes_at_rest() -> None:
    assert {finding.rule for finding in judged(_end(_faulted(), _row("present"), mapcount=2)).findings} == {
        "map count is not ptes"
    }
    passed(judged(_end(_faulted(), _row("present"))))


def test_ptes_oracle_catches_at_rest_an_entry_a_stranger_and_a_dirty_pte_of_a_clean_page() -> None:
    def rules(row: dict[str, object], **over: object) -> set[str]:
        return {finding.rule for finding in judged(_end(_faulted(), row, **over)).findings}

    assert rules(_row("write"), mapcount=0) == {"migration entry at rest"}
    assert rules(_row("present", "write")) == {"dirty pte, clean page"}
    assert rules(_row("present", "dirty")) == {"dirty pte, clean page"}
    assert rules(_row("present", "write", "dirty"), flags=["PG_dirty"]) == set()
    assert rules(_row("present", of="page:7"), mapcount=0) == {"pte of a page that is not in its slot"}


def test_refcount_oracle_compares_pte_references_with_ptes() -> None:
    def hand(*rows: dict[str, object]) -> Hand:
        made = _mapped().get("main", "page:1._count", "slot", 1).get("faulter", "page:1._count", "pte", 2)
        return _end(made, *rows, count=2)

    passed(refcount.judge(hand(_row("present")).record()))
    finding = caught(refcount.judge(hand().record()), "leaked reference")
    assert finding.facts["ref"] == "pte"


def test_content_oracle_takes_stores_and_loads_for_writes_and_reads() -> None:
    def hand(seen: int) -> Hand:
        made = Hand("faulter").note("faulter", "store-begin", 5, 0, 1).note("faulter", "store-end", 5, 0, 1)
        made.note("faulter", "store-begin", 5, 0, 2).note("faulter", "store-end", 5, 0, 2)
        made.note("faulter", "load-begin", 5, 0).note("faulter", "load-end", 5, 0, (seen, seen))
        return at_rest(made, rest([page("page:0", words=[2, 2])], disk={"0": [2, 2]}))

    passed(content.judge(hand(2).record()))
    caught(content.judge(hand(1).record()), "stale")


def test_durability_oracle_takes_a_store_for_a_promise_of_fsync() -> None:
    made = Hand("faulter", "fsync").note("main", "layout", (5, 0, 4)).note("main", "formatted", 100, 100)
    made.note("faulter", "store-begin", 5, 0, 1).note("faulter", "store-end", 5, 0, 1)
    made.note("fsync", "fsync-begin", 5).note("fsync", "fsync-end", 5, 0)
    caught(durability.judge(at_rest(made, rest([])).record()), "fsync before the medium")


def test_ptes_oracle_catches_a_mapping_over_another_and_one_that_is_freed_with_ptes() -> None:
    untouched = _pte(_mapped(), "faulter", 0).note("main", "map", "vma:main:1", 5, 0, 1, 0)
    caught(judged(_end(untouched)), "mapped twice")
    caught(judged(_end(_faulted().note("main", "unmap", "vma:main:0"), _row("present"))), "mapping freed with ptes")
    again = _pte(_mapped(), "faulter", 0).note("main", "unmap", "vma:main:0")
    passed(judged(_end(again.note("main", "map", "vma:main:1", 5, 0, 1, 0))))


def test_ptes_oracle_catches_reclaim_that_takes_a_pte_in_use() -> None:
    def hand(word: int) -> Hand:
        made = _faulted().note("other", "scan-begin").lock("other", "page:1")
        _pte(made, "other", word, READ_ONLY)
        _pte(made, "other", 0, word)
        return _end(made.unlock("other", "page:1").note("other", "scan-end"))

    passed(judged(hand(READ_ONLY & ~pte.ACCESSED)))
    caught(judged(hand(READ_ONLY)), "pte in use taken by reclaim")


def test_ptes_oracle_compares_what_a_file_knows_with_its_mappings_at_rest() -> None:
    def known(*vmas: str) -> Hand:
        made = _end(_pte(_mapped(), "faulter", 0))
        snap = made.final["synced"]
        snap["mappings"] = [{**snap["mappings"][0], "i_mmap": list(vmas)}]
        return made

    passed(judged(known("vma:main:0")))
    found = judged(known("vma:main:0", "vma:main:1")).findings
    assert {finding.rule for finding in found} == {"mappings that the file does not know"}


def test_errno_oracle_wants_a_truncation_for_a_sigbus() -> None:
    def hand(*before: str) -> Hand:
        made = Hand("faulter")
        for kind in before:
            made.note("main", kind, 5, 0)
        return made.note("faulter", "load-failed", 5, 0, "VM_FAULT_SIGBUS")

    passed(errno.judge(hand("truncate-begin").record()))
    caught(errno.judge(hand().record()), "error out of nothing")


def test_ptes_oracle_wants_a_fault_to_look_at_the_size_under_the_page_lock() -> None:
    def faults(*looks: str) -> Hand:
        hand = _mapped().op("main", Kind.READ, "inode:5.i_size", 4)
        if "before" in looks:
            hand.op("faulter", Kind.READ, "inode:5.i_size", 4)
        hand.lock("faulter", "page:1")
        if "under the lock" in looks:
            hand.op("faulter", Kind.READ, "inode:5.i_size", 4)
        return _end(_pte(hand, "faulter", READ_ONLY).unlock("faulter", "page:1"), _row("present", "accessed"))

    passed(judged(faults("before", "under the lock")))
    caught(judged(faults("before")), "pte without a look at the size")
    caught(judged(faults()), "pte without a look at the size")


def test_ptes_oracle_asks_no_move_for_the_size() -> None:
    hand = _faulted().op("faulter", Kind.READ, "inode:5.i_size", 4).lock("other", "page:1")
    moved = judged(_end(_pte(_pte(hand, "other", ENTRY, READ_ONLY), "other", READ_ONLY, ENTRY), _row("present")))
    assert [finding.facts["task"] for finding in moved.findings] == ["faulter"]
