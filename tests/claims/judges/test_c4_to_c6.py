"""Claims C4 to C6: what the commit locks, what it and migration do to each other, and writeback."""

from __future__ import annotations

import pytest

from mmrace.claims.judges.migration import Stage
from mmrace.runtime.kinds import Kind
from tests.claims.judges.played import find_deciding, records, sum_over
from tests.claims.judges.written import BACKED_OUT, Deed, Written, assert_decided, assert_undecided, cached, migration

PAIR: dict[str, int | str] = {"idle": 10, "rounds": 1, "migrations": 2, "dirtied": 2, "without": "reader,writer"}
LOGGED: dict[str, int | str] = {"idle": 20, "rounds": 2, "metadata": 1, "dirtied": 2}
WRITTEN: dict[str, int | str] = {"idle": 40, "rounds": 2, "migrations": 3, "dirtied": 2}


def _begin(hand: Written) -> Written:
    hand.note("committer", "commit-begin", "journal", 1)
    hand.write("committer", "jh:1.b_bh", "bh:1").write("committer", "jh:1.b_jlist", "BJ_SyncData", "BJ_None")
    return hand


def _off_the_list(hand: Written) -> Written:
    hand.write("committer", "jh:1.b_jlist", "BJ_Locked", "BJ_SyncData")
    return hand


def test_c4_holds_for_a_commit_that_locks_what_it_writes() -> None:
    hand = _off_the_list(_begin(cached()).lock_bh("committer", "bh:1")).submit("committer", "bh:1")
    hand.word("io.1", Kind.READ, "page:0", 0).unlock_bh("io.1", "bh:1")
    for name in ("C4", "C4b", "C4+"):
        assert_undecided(name, hand, tested=1)


def test_c4_is_refuted_by_a_submit_without_the_lock() -> None:
    hand = _begin(cached()).lock_bh("other", "bh:1").submit("committer", "bh:1")
    assert_decided("C4", hand, "committer submits bh:1 without having locked it")


def test_c4b_is_refuted_by_a_buffer_that_is_only_moved() -> None:
    assert_decided("C4b", _off_the_list(_begin(cached())), "takes bh:1 off the list of data without its lock")


def test_c4b_asks_nothing_outside_a_commit() -> None:
    hand = cached().write("other", "jh:1.b_bh", "bh:1").write("other", "jh:1.b_jlist", "BJ_None", "BJ_SyncData")
    assert_undecided("C4b", hand, tested=0)


def _logged(hand: Written, locked: bool) -> Written:
    hand = _begin(hand).lock_bh("committer", "bh:9")
    hand.write("committer", "bh:9.b_page", "page:0")
    if locked:
        hand.lock_bh("committer", "bh:1")
    hand.submit("committer", "bh:9")
    return hand


def test_c4c_is_refuted_by_a_log_buffer_that_reads_another_ones_page() -> None:
    assert_decided("C4c", _logged(cached(), False), "page:0 written to the log through bh:9")
    assert_undecided("C4c", _logged(cached(), True), tested=1)


def test_c4_plus_is_refuted_by_io_that_reads_without_its_buffers_lock() -> None:
    hand = _begin(cached()).lock_bh("committer", "bh:1").submit("committer", "bh:1").unlock_bh("io.1", "bh:1")
    assert_decided("C4+", hand.word("io.1", Kind.READ, "page:0", 0), "though bh:1 is not locked")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "holds"), [("C4", True), ("C4+", True), ("C4b", False), ("C4c", False)])
def test_c4_in_runs(name: str, holds: bool) -> None:
    found = sum_over(name, records("sync-vs-commit", LOGGED, seeds=12))
    assert found.tested
    assert bool(found.times) is not holds, found


def _submits(hand: Written) -> None:
    _begin(hand).submit("committer", "bh:1")


def _finds_it_locked(hand: Written) -> None:
    _begin(hand).busy("committer", "bh:1")


def test_c5_holds_for_a_commit_that_finds_the_buffer_locked() -> None:
    for stage in (Stage.LOCK_BUFFERS, Stage.RING_MOVED, Stage.COPY):
        assert_undecided("C5", migration(after={stage: _finds_it_locked}), tested=1)


def test_c5_is_not_tested_by_a_copy_that_meets_nobody_or_no_commit() -> None:
    assert_undecided("C5", migration(), tested=0)
    assert_undecided("C5", migration(after={Stage.RING_MOVED: lambda hand: hand.busy("other", "bh:1")}), tested=0)


def test_c5_is_refuted_by_a_submit_before_the_unlock() -> None:
    assert_decided("C5", migration(after={Stage.RING_MOVED: _submits}), "committer submits bh:1", "moves page:0")
    assert_undecided("C5", migration(after={Stage.UNLOCK_BUFFERS: _submits}), tested=0)


def _under_io(hand: Written) -> None:
    _begin(hand).lock_bh("committer", "bh:1").submit("committer", "bh:1")


def test_c5_the_other_way_round_holds_for_a_migrator_that_finds_the_buffer_locked() -> None:
    def backs_out(hand: Written) -> None:
        hand.busy("migrator", "bh:1")

    hand = migration(
        after={Stage.ISOLATED: _under_io, Stage.FREEZE: backs_out}, rc="-EAGAIN", reason="buffer-lock",
        leave_out=BACKED_OUT,
    )  # fmt: skip
    assert_undecided("C5r", hand, tested=1)


def test_c5_the_other_way_round_is_refuted_by_a_copy_under_io() -> None:
    hand = migration(after={Stage.ISOLATED: _under_io}, leave_out=(Stage.LOCK_BUFFERS,))
    assert_decided("C5r", hand, "migrator copies page:0 while bh:1 is being written by committer")


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["async-vs-commit", "sync-vs-commit"])
@pytest.mark.parametrize("name", ["C5", "C5r"])
def test_c5_holds_in_runs_that_meet(scenario: str, name: str) -> None:
    found = sum_over(name, records(scenario, PAIR, seeds=60))
    assert found.tested and not found.times, found


def test_c5_is_refuted_by_runs_that_copy_after_the_unlock() -> None:
    many: dict[str, int | str] = {**PAIR, "words": 8, "migrations": 3}
    find_deciding("C5", records("sync-vs-commit", many, "copy-after-unlock", 200))


def _written_back(locker: str) -> Deed:
    def deed(hand: Written) -> None:
        hand.lock_bh(locker, "bh:1").writeback("other", "page:0").submit("other", "bh:1")

    return deed


def _sees_writeback(hand: Written) -> None:
    hand.test("migrator", "page:0", "PG_writeback", True)


def test_c6_holds_for_writeback_that_migration_refuses() -> None:
    meeting = {Stage.ISOLATED: _written_back("other"), Stage.LOCK_OLD: _sees_writeback}
    hand = migration(after=meeting, leave_out=BACKED_OUT, rc="-EBUSY", reason="writeback")
    assert_undecided("C6", hand, tested=1)
    assert_undecided("C6p", hand, tested=1)
    assert_decided("C6s", hand, "PG_writeback keeps migrator off page:0")


def test_c6_is_not_tested_without_writeback() -> None:
    for name in ("C6", "C6p", "C6s"):
        assert_undecided(name, migration(), tested=0)


def test_c6_is_refuted_by_a_copy_under_writeback() -> None:
    hand = migration(after={Stage.THAW: lambda hand: hand.writeback("other", "page:0")})
    assert_decided("C6", hand, "migrator copies page:0 while it is under writeback")


def test_c6_premise_is_refuted_by_a_submit_without_the_lock() -> None:
    hand = cached()
    _written_back("migrator")(hand)
    assert_decided("C6p", hand, "other submits bh:1 for writeback")


def test_c6_reason_holds_for_a_migrator_that_tried_a_buffer_lock() -> None:
    def meets(hand: Written) -> None:
        hand.busy("migrator", "bh:1")
        _sees_writeback(hand)

    hand = migration(
        after={Stage.ISOLATED: _written_back("other"), Stage.FREEZE: meets}, leave_out=BACKED_OUT, rc="-EAGAIN"
    )
    assert_undecided("C6s", hand, tested=1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "holds"), [("C6", True), ("C6p", True), ("C6s", False)])
def test_c6_in_runs(name: str, holds: bool) -> None:
    played = records("migrate-vs-writeback", WRITTEN, seeds=12)
    found = sum_over(name, played)
    assert found.tested
    assert bool(found.times) is not holds, found


def _written_whole(locked: bool = False) -> Deed:
    def deed(hand: Written) -> None:
        hand.writeback("other", "page:0")
        if locked:
            hand.lock_bh("other", "bh:1").lock_bh("other", "bh:2")
        hand.note("other", "io-begin", "write", 3, 2, "page:0")

    return deed


def test_c6_of_whole_pages_is_refuted_by_a_page_none_of_whose_buffers_is_locked() -> None:
    hand = cached()
    _written_whole()(hand)
    assert_decided("C6b", hand, "other gives page:0 to I/O as a whole, and bh:1 is not locked")
    hand = cached()
    _written_whole(locked=True)(hand)
    assert_undecided("C6b", hand, tested=1)


def test_c6_is_shown_to_need_no_buffer_lock_by_a_migrator_that_finds_a_page_written_as_a_whole() -> None:
    for deed, shown in ((_written_whole(), True), (_written_whole(locked=True), False), (_written_back("other"), None)):
        hand = migration(
            after={Stage.ISOLATED: deed, Stage.LOCK_OLD: _sees_writeback}, leave_out=BACKED_OUT, rc="-EBUSY",
            reason="writeback",
        )  # fmt: skip
        if shown:
            assert_decided("C6+", hand, "migrator is kept off page:0, which is written as a whole")
        else:
            assert_undecided("C6+", hand, tested=int(shown is not None))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "decided"), [("C6", False), ("C6b", True), ("C6+", True)])
def test_c6_of_whole_pages_in_runs(name: str, decided: bool) -> None:
    copied: dict[str, int | str] = {"mode": "MIGRATE_SYNC_LIGHT", "direct": 0, "idle": 40, "rounds": 6, "migrations": 8}
    found = sum_over(name, records("migrate-vs-vfat", {**copied, "without": "reader"}, seeds=20))
    assert found.tested
    assert bool(found.times) is decided, found
