"""Claims C0 to C2: commit without the page lock, the order of events, the copy under all locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.claims.judges.migration import Stage
from mmrace.runtime.record import Record
from tests.claims.judges.played import find_deciding, records, sum_over
from tests.claims.judges.written import (
    Deed,
    Written,
    ask,
    assert_decided,
    assert_undecided,
    cached,
    in_order,
    migration,
    part,
)

BUSY: dict[str, int | str] = {"idle": 20, "rounds": 2, "migrations": 3, "dirtied": 2, "buffers": 2}


def _commit(page_locked_by: str) -> Written:
    hand = cached()
    hand.note("committer", "commit-begin", "journal", 1)
    hand.lock(page_locked_by, "page:0")
    hand.lock_bh("committer", "bh:1").submit("committer", "bh:1")
    hand.note("committer", "commit-end", "journal", 1)
    return hand


def test_c0_is_shown_by_a_commit_that_does_not_hold_the_page_lock() -> None:
    found = assert_decided("C0", _commit("other"), "committer submits bh:1 of page:0", "other has it locked")
    assert found.example is not None and found.example.facts["page_locked_by"] == "other"


def test_c0_is_not_shown_by_a_commit_that_holds_the_page_lock() -> None:
    assert_undecided("C0", _commit("committer"), tested=1)


def test_c0_takes_no_io_outside_a_commit_for_one() -> None:
    assert_undecided("C0", cached().lock_bh("other", "bh:1").submit("other", "bh:1"), tested=0)


@pytest.mark.parametrize("mode", ["MIGRATE_ASYNC", "MIGRATE_SYNC_LIGHT"])
@pytest.mark.parametrize("name", ["C1", "C1+"])
def test_c1_holds_for_a_migration_in_order(name: str, mode: str) -> None:
    assert_undecided(name, migration(mode), tested=1)


@pytest.mark.parametrize("name", ["C1", "C1+"])
def test_c1_is_not_tested_by_a_migration_that_did_not_move_its_page(name: str) -> None:
    assert_undecided(name, migration(rc="-EAGAIN", reason="buffer-lock", leave_out=(Stage.REPLACE,)), tested=0)


def _swapped(one: Stage, other: Stage) -> list[Stage]:
    swap = {one: other, other: one}
    return [swap.get(stage, stage) for stage in in_order("MIGRATE_ASYNC")]


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("C1", Stage.LOCK_OLD, Stage.ISOLATED),
        ("C1", Stage.LOCK_NEW, Stage.MAPCOUNT_SEEN),
        ("C1", Stage.LOCK_BUFFERS, Stage.REPLACE),
        ("C1", Stage.COPY, Stage.UNLOCK_BUFFERS),
        ("C1", Stage.UNLOCK_BUFFERS, Stage.UNLOCK_NEW),
        ("C1+", Stage.COUNT_TESTED, Stage.FREEZE),
        ("C1+", Stage.RING_MOVED, Stage.COPY),
        ("C1+", Stage.UNLOCK_NEW, Stage.UNLOCK_OLD),
    ],
)
def test_c1_is_refuted_by_two_stages_in_the_other_order(name: str, one: Stage, other: Stage) -> None:
    assert_decided(name, migration(order=_swapped(one, other)), "migrator moves page:0 to page:1")


@pytest.mark.parametrize(
    ("name", "stage"), [("C1", Stage.WRITEBACK_SEEN), ("C1", Stage.LOCK_BUFFERS), ("C1+", Stage.THAW)]
)
def test_c1_is_refuted_by_a_stage_that_is_missing(name: str, stage: Stage) -> None:
    assert_decided(name, migration(leave_out=(stage,)), "no step")


@pytest.mark.parametrize(
    ("variant", "scenario", "name"),
    [
        ("copy-after-unlock", "sync-vs-commit", "C1"),
        ("async-locks-after-thaw", "async-vs-commit", "C1"),
        ("no-freeze", "async-vs-commit", "C1+"),
    ],
)
def test_c1_is_refuted_by_runs_of_planted_bugs(variant: str, scenario: str, name: str) -> None:
    find_deciding(name, records(scenario, BUSY, variant, 4))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["async-vs-commit", "sync-vs-commit", "migrate-vs-writeback"])
def test_c1_and_c2_hold_in_runs_of_the_correct_protocol(scenario: str) -> None:
    for name in ("C1", "C1+", "C2"):
        found = sum_over(name, records(scenario, BUSY, seeds=4))
        assert found.tested and not found.times, found


def test_c2_holds_where_every_lock_is_held() -> None:
    assert_undecided("C2", migration("MIGRATE_SYNC"), tested=4)


def _words_refuted(hand: Written) -> str:
    """Return how C2 is refuted by every word that is copied."""
    found = ask("C2", hand)
    assert (found.tested, found.times) == (4, 4)
    assert found.example is not None
    return found.example.title


@pytest.mark.parametrize(
    ("deed", "missing"),
    [
        (lambda hand: hand.unlock_bh("migrator", "bh:2"), "BH_Lock of bh:2"),
        (lambda hand: hand.unlock("migrator", "page:1"), "PG_locked of page:1"),
        (lambda hand: hand.unlock("migrator", "page:0"), "PG_locked of page:0"),
    ],
)
def test_c2_is_refuted_by_a_lock_that_is_dropped_before_the_copy(deed: Deed, missing: str) -> None:
    assert missing in _words_refuted(migration("MIGRATE_SYNC", after={Stage.RING_MOVED: deed}))


def test_c2_is_refuted_by_a_lock_that_was_handed_to_io() -> None:
    hand = migration("MIGRATE_SYNC", after={Stage.RING_MOVED: lambda hand: hand.submit("migrator", "bh:1")})
    assert "BH_Lock of bh:1" in _words_refuted(hand)


def test_c2_asks_nothing_of_a_page_without_buffers() -> None:
    hand = migration("MIGRATE_SYNC", after={Stage.ISOLATED: lambda hand: hand.write("other", "page:0.private", None)})
    assert_undecided("C2", hand, tested=0)


def test_c2_is_refuted_by_a_run_that_copies_after_the_unlock_and_by_its_file(tmp_path: Path) -> None:
    record, found = find_deciding("C2", records("sync-vs-commit", BUSY, "copy-after-unlock", 4))
    assert found.example is not None and "BH_Lock" in found.example.title
    record.write(tmp_path / "run.jsonl")
    assert part("C2").check(Record.read(tmp_path / "run.jsonl")) == found
