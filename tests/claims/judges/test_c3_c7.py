"""Claims C3 and C7: references to the page while it is copied, and lookups while its slot is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.claims.judges import check_parts
from mmrace.claims.judges.migration import Stage
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from tests.claims.judges.played import find_deciding, records, sum_over
from tests.claims.judges.written import Deed, Written, assert_decided, assert_undecided, migration, part

RARE = 800  # seeds: C3 is refuted by one in sixty, so that all of them miss it with a chance below 1e-5 each
LOOKUPS: dict[str, int | str] = {"idle": 0, "rounds": 6, "migrations": 3, "without": "writer,committer"}
ALONE: dict[str, int | str] = {"idle": 0, "migrations": 3, "without": "writer,committer,reader"}


def _blip(hand: Written) -> None:
    hand.speculative("other", "page:0", 3).put("other", "page:0._count", "lookup", 2)


def _late(hand: Written) -> None:
    hand.speculative("other", "page:0", 3)


def _during(hand: Written) -> None:
    """Copy, and let another task take a reference in the middle."""
    hand.word("migrator", Kind.READ, "page:0", 0).word("migrator", Kind.WRITE, "page:1", 0)
    hand.speculative("other", "page:0", 2)
    hand.word("migrator", Kind.READ, "page:0", 1).word("migrator", Kind.WRITE, "page:1", 1)


def test_c3_holds_for_a_copy_that_nobody_else_saw() -> None:
    for name, tested in (("C3", 1), ("C3n", 1), ("C3+", 1)):
        assert_undecided(name, migration("MIGRATE_SYNC"), tested)


def test_c3_holds_for_a_reference_that_went_before_the_copy() -> None:
    assert_undecided("C3", migration(after={Stage.THAW: _blip}), tested=1)


def test_c3_holds_for_a_reference_that_comes_after_the_copy() -> None:
    assert_undecided("C3", migration(after={Stage.COPY: _late}), tested=1)


def test_c3_is_refuted_by_a_reference_that_lasts_into_the_copy() -> None:
    found = assert_decided("C3", migration(after={Stage.THAW: _late}), "other holds a reference to page:0", "count 2")
    assert found.example is not None
    assert found.example.facts["accounted"] == 1


def test_c3_is_refuted_by_a_reference_taken_during_the_copy() -> None:
    hand = migration(after={Stage.RING_MOVED: _during}, leave_out=(Stage.COPY,))
    assert_decided("C3", hand, "other holds a reference to page:0", "count 2, of which 1 is accounted for")


def test_c3n_is_refuted_by_a_lookup_of_the_new_page_and_by_a_late_one_not() -> None:
    def found(hand: Written) -> None:
        hand.speculative("other", "page:1", 3)

    assert_decided("C3n", migration(after={Stage.THAW: found}), "other obtains page:1")
    assert_undecided("C3n", migration(after={Stage.COPY: found}), tested=1)


@pytest.mark.parametrize("stage", [Stage.ISOLATED, Stage.COUNT_TESTED])
def test_c3_at_the_freeze_is_refuted_by_a_reference_that_is_there(stage: Stage) -> None:
    assert_decided("C3+", migration(after={stage: _late}), "lookup")


def test_c3_at_the_freeze_sees_a_page_that_was_freed_and_used_again() -> None:
    def again(hand: Written) -> None:
        hand.note("other", "page-free", "page:2").get("other", "page:2._count", "new", 1)
        hand.note("other", "rename", hand.lane("page:2", "_count"), "new", "isolation")

    assert_undecided("C3+", migration(after={Stage.ISOLATED: again}), tested=1)


def test_c3_and_c7_are_refuted_by_explored_runs_and_by_their_files(tmp_path: Path) -> None:
    for name in ("C3", "C3n", "C7"):
        record, found = find_deciding(name, records("sync-vs-commit", LOOKUPS, seeds=RARE))
        record.write(tmp_path / "run.jsonl")
        assert check_parts(Record.read(tmp_path / "run.jsonl"), [part(name)])[name] == found


def test_c3_and_c7_hold_where_nobody_looks_pages_up() -> None:
    for name in ("C3", "C3n", "C3+", "C7"):
        found = sum_over(name, records("sync-vs-commit", ALONE, seeds=4))
        assert found.tested and not found.times, found


@pytest.mark.slow
def test_what_is_true_instead_of_c3_and_c7_holds_in_runs_with_lookups() -> None:
    for name in ("C3+", "C7+"):
        found = sum_over(name, records("sync-vs-commit", LOOKUPS, seeds=30))
        assert found.tested and not found.times, found


@pytest.mark.parametrize("stage", [Stage.TREE_LOCK, Stage.FREEZE, Stage.REPLACE, Stage.THAW])
def test_c7_is_refuted_by_a_lookup_between_lock_and_unlock(stage: Stage) -> None:
    hand = migration(after={stage: lambda hand: hand.read_slot("other", "page:0")})
    assert_decided("C7", hand, "other reads slot:5:0.page", "migrator holds tree_lock")


@pytest.mark.parametrize("stage", [Stage.LOCK_NEW, Stage.TREE_UNLOCK])
def test_c7_holds_for_a_lookup_before_the_lock_or_after_the_unlock(stage: Stage) -> None:
    assert_undecided("C7", migration(after={stage: lambda hand: hand.read_slot("other", "page:0")}), tested=1)


def test_c7_is_not_tested_by_a_migration_that_replaced_nothing() -> None:
    hand = migration(
        after={Stage.FREEZE: lambda hand: hand.read_slot("other", "page:0")},
        leave_out=(Stage.REPLACE, Stage.THAW, Stage.RING_MOVED, Stage.COPY), rc="-EAGAIN", reason="buffer-lock",
    )  # fmt: skip
    assert_undecided("C7", hand, tested=0)


def _returns(page: str) -> Deed:
    """A lookup that gets page:0 and sees `page` at its second look."""
    return lambda hand: hand.speculative("other", "page:0", 3).read_slot("other", page)


def test_c7_companion_holds_for_a_lookup_that_fails_or_sees_the_change() -> None:
    assert_undecided("C7+", migration(after={Stage.FREEZE: lambda h: h.speculative("other", "page:0", 0)}), tested=1)
    assert_undecided("C7+", migration(after={Stage.THAW: _returns("page:1")}), tested=1)


def test_c7_companion_is_refuted_by_a_lookup_that_returns_the_old_page() -> None:
    assert_decided("C7+", migration(after={Stage.FREEZE: _returns("page:0")}), "a lookup of other returns page:0")


def test_c7_companion_is_refuted_by_a_run_without_the_freeze() -> None:
    found = records("sync-vs-commit", LOOKUPS, "no-freeze", 200)
    find_deciding("C7+", found)


def _unmaps(hand: Written) -> None:
    hand.write("migrator", "page:0._mapcount", -1, 0)


def test_c3_unmapped_holds_for_a_page_whose_ptes_are_gone_and_asks_of_those_that_had_some() -> None:
    assert_undecided("C3u", migration(after={Stage.WRITEBACK_SEEN: _unmaps}), tested=1)
    assert_undecided("C3u", migration(), tested=0)


def test_c3_unmapped_is_refuted_by_a_pte_that_comes_back_before_the_copy() -> None:
    maps: Deed = lambda hand: hand.write("other", "page:0._mapcount", 0, -1)  # noqa: E731
    hand = migration(after={Stage.WRITEBACK_SEEN: _unmaps, Stage.THAW: maps})
    assert_decided("C3u", hand, "other has page:0 mapped, which migrator is about to copy")
    assert_undecided("C3u", migration(after={Stage.WRITEBACK_SEEN: _unmaps, Stage.COPY: maps}), tested=1)
