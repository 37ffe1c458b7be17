"""Claims C8 to C14: stripping, private_lock, what async and SYNC_LIGHT do, and who else is at the page."""

from __future__ import annotations

import pytest

from mmrace.claims.judges import CLAIMS
from mmrace.claims.judges.migration import Stage
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import Kind
from tests.claims.judges.played import find_deciding, records, sum_over
from tests.claims.judges.written import (
    BACKED_OUT,
    PRIVATE,
    SLOT,
    Deed,
    Written,
    ask,
    assert_decided,
    assert_undecided,
    cached,
    migration,
)

RECLAIM: dict[str, int | str] = {"idle": 10, "pages": 3, "rounds": 4, "migrations": 6, "pagevec": 1}
PAIR: dict[str, int | str] = {"idle": 10, "rounds": 1, "migrations": 2, "dirtied": 2, "without": "reader,writer"}
WRITTEN: dict[str, int | str] = {"idle": 40, "rounds": 2, "migrations": 3, "dirtied": 2}


def _strips(hand: Written) -> None:
    hand.write("other", "page:0.private", None, "bh:1")


def test_c8_holds_for_who_has_the_page_lock_and_is_refuted_by_who_has_not() -> None:
    locked = cached().lock("other", "page:0").write("other", "page:0.private", None, "bh:1")
    assert_undecided("C8", locked, tested=1)
    hand = cached()
    _strips(hand)
    assert_decided("C8", hand, "other strips page:0 of its buffers without its lock")


def test_c8_takes_the_move_of_the_ring_for_no_strip() -> None:
    assert_undecided("C8", migration(), tested=0)


def test_c8_apart_holds_for_who_tries_the_lock_and_goes() -> None:
    hand = migration(after={Stage.COPY: lambda hand: hand.busy("other", "page:0", "PG_locked", "flags")})
    assert_undecided("C8x", hand, tested=1)


def test_c8_apart_does_not_count_who_waits_for_the_lock() -> None:
    def waits(hand: Written) -> None:
        hand.op("other", Kind.TEST_AND_SET, "page:0.flags", True, LOCK, sub="PG_locked")

    assert_undecided("C8x", migration(after={Stage.COPY: waits}), tested=0)


def test_c8_apart_is_refuted_by_a_page_that_is_stripped_while_it_is_moved() -> None:
    assert_decided("C8x", migration(after={Stage.THAW: _strips}), "other strips page:0 while migrator moves page:0")


def _section(*deeds: Deed) -> Deed:
    def deed(hand: Written) -> None:
        hand.op("other", Kind.ACQUIRE, PRIVATE)
        for each in deeds:
            each(hand)
        hand.op("other", Kind.RELEASE, PRIVATE)

    return deed


def test_c9_holds_for_a_section_that_touches_other_pages() -> None:
    reads: Deed = lambda hand: hand.op("other", Kind.READ, "page:5.private", None)  # noqa: E731
    assert_undecided("C9", migration(after={Stage.THAW: _section(reads)}), tested=1)
    assert_undecided("C9", migration(), tested=0)


@pytest.mark.parametrize("path", ["page:0.private", "bh:1.b_this_page", "bh:2.b_page"])
def test_c9_is_refuted_by_a_section_that_walks_the_moved_ring(path: str) -> None:
    reads: Deed = lambda hand: hand.op("other", Kind.READ, path, None)  # noqa: E731
    assert_decided("C9", migration(after={Stage.THAW: _section(reads)}), f"touches {path}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["C8", "C8x", "C9", "C11"])
def test_c8_c9_and_c11_hold_in_runs_with_reclaim(name: str) -> None:
    found = sum_over(name, records("migrate-vs-reclaim", RECLAIM, seeds=120))
    assert found.tested and not found.times, found


def test_c11_holds_for_a_slot_replaced_under_all_buffer_locks() -> None:
    assert_undecided("C11", migration(), tested=1)
    assert_undecided("C11", migration("MIGRATE_SYNC"), tested=0)


def test_c11_is_refuted_by_a_buffer_that_is_not_locked() -> None:
    hand = migration(after={Stage.LOCK_BUFFERS: lambda hand: hand.unlock_bh("migrator", "bh:2")})
    assert_decided("C11", hand, "with bh:2 not locked")


def _meets(hand: Written) -> None:
    hand.busy("migrator", "bh:1")


def test_c11_back_out_holds_before_the_slot_was_replaced_and_is_refuted_after() -> None:
    backed = migration(after={Stage.FREEZE: _meets}, leave_out=BACKED_OUT, rc="-EAGAIN", reason="buffer-lock")
    assert_undecided("C11b", backed, tested=1)
    assert_undecided("C11b", migration(), tested=0)
    assert_decided("C11b", migration(after={Stage.THAW: _meets}), "finds bh:1 locked after it replaced page:0")


def test_c11_reason_is_shown_by_a_reference_to_the_new_page() -> None:
    shown = migration(after={Stage.THAW: lambda hand: hand.speculative("other", "page:1", 3)})
    assert_decided("C11r", shown, "other has a reference to page:1")
    assert_undecided("C11r", migration(), tested=1)


@pytest.mark.parametrize("name", ["C11", "C11b"])
def test_c11_is_refuted_by_runs_that_lock_after_the_thaw(name: str) -> None:
    find_deciding(name, records("async-vs-commit", PAIR, "async-locks-after-thaw"))


def test_c12_holds_for_an_op_that_tries_and_goes() -> None:
    backed = migration(after={Stage.FREEZE: _meets}, leave_out=BACKED_OUT, rc="-EAGAIN", reason="buffer-lock")
    assert_undecided("C12", backed, tested=1)
    assert_undecided("C12+", backed, tested=1)


def test_c12_is_not_tested_by_an_op_that_meets_nobody_or_in_another_mode() -> None:
    assert_undecided("C12", migration(), tested=0)
    assert_undecided("C12+", migration(), tested=0)
    assert_undecided("C12", migration("MIGRATE_SYNC", after={Stage.TREE_UNLOCK: _meets}), tested=0)


def test_c12_is_refuted_by_an_op_that_queues() -> None:
    def waits(hand: Written) -> None:
        _meets(hand)
        hand.queue("migrator", "bh:1", "BH_Lock", "b_state")

    hand = migration(after={Stage.FREEZE: waits})
    assert_decided("C12", hand, "waits in the op on bh:1.b_state.BH_Lock")
    assert_decided("C12+", hand, "waits for bh:1.b_state.BH_Lock in MIGRATE_ASYNC")


def test_c12_attempt_is_refuted_by_a_wait_for_the_page_lock() -> None:
    hand = migration(after={Stage.ISOLATED: lambda hand: hand.queue("migrator", "page:0", "PG_locked")})
    assert_decided("C12+", hand, "waits for page:0.flags.PG_locked")


@pytest.mark.slow
def test_c12_holds_in_runs_that_meet() -> None:
    for name in ("C12", "C12+"):
        found = sum_over(name, records("async-vs-commit", PAIR, seeds=12))
        assert found.tested and not found.times, found


LIGHT = "MIGRATE_SYNC_LIGHT"


def _under_writeback(hand: Written) -> None:
    hand.test("migrator", "page:0", "PG_writeback", True)


def test_c13_holds_for_an_attempt_that_gives_way_to_writeback_or_dirt() -> None:
    hand = migration(LIGHT, {Stage.LOCK_OLD: _under_writeback}, BACKED_OUT, rc="-EBUSY", reason="writeback")
    assert_undecided("C13", hand, tested=1)
    assert_undecided("C13", migration(LIGHT, leave_out=BACKED_OUT, rc="-EBUSY", reason="dirty"), tested=1)


def test_c13_is_not_tested_by_a_clean_page_or_another_mode() -> None:
    assert_undecided("C13", migration(LIGHT), tested=0)
    assert_undecided("C13", migration("MIGRATE_SYNC", {Stage.LOCK_OLD: _under_writeback}), tested=0)


def test_c13_is_refuted_by_an_attempt_that_waits_for_writeback_or_writes() -> None:
    waits: Deed = lambda hand: hand.queue("migrator", "page:0", "PG_writeback")  # noqa: E731
    assert_decided("C13", migration(LIGHT, {Stage.LOCK_OLD: waits}), "waits for the writeback of page:0")
    writes: Deed = lambda hand: hand.lock_bh("migrator", "bh:1").submit("migrator", "bh:1")  # noqa: E731
    assert_decided("C13", migration(LIGHT, {Stage.LOCK_OLD: writes}), "starts I/O to move page:0")


def test_c13_other_half_is_shown_by_a_sleep_for_a_buffer() -> None:
    sleeps: Deed = lambda hand: hand.queue("migrator", "bh:1", "BH_Lock", "b_state")  # noqa: E731
    assert_decided("C13b", migration(LIGHT, {Stage.TREE_UNLOCK: sleeps}), "sleeps for bh:1", "page:1 being in the slot")
    assert_undecided("C13b", migration(LIGHT, {Stage.LOCK_OLD: sleeps}), tested=1)


@pytest.mark.slow
def test_c13_in_runs() -> None:
    writeback = records("migrate-vs-writeback", {**WRITTEN, "mode": LIGHT}, seeds=20)
    found = sum_over("C13", writeback)
    assert found.tested and not found.times, found
    find_deciding("C13b", records("sync-vs-commit", PAIR))


def test_c14_holds_for_the_io_that_has_the_buffers_lock() -> None:
    def write(hand: Written) -> None:
        hand.note("committer", "commit-begin", "journal", 1)
        hand.lock_bh("committer", "bh:1").op("committer", Kind.READ, "bh:1.b_page", "page:0")
        hand.submit("committer", "bh:1").word("io.1", Kind.READ, "page:0", 0).unlock_bh("io.1", "bh:1")

    assert_undecided("C14", migration("MIGRATE_SYNC", after={Stage.THAW: write}), tested=2)
    assert_undecided("C14", migration("MIGRATE_SYNC"), tested=0)


def test_c14_is_refuted_by_who_has_no_lock() -> None:
    def reads(hand: Written) -> None:
        hand.word("other", Kind.READ, "page:1", 0)

    assert_decided("C14", migration(after={Stage.THAW: reads}), "other touches page:1.words[0] without a buffer lock")
    follows: Deed = lambda hand: hand.op("other", Kind.READ, "bh:2.b_page", "page:0")  # noqa: E731
    assert_decided("C14", migration(after={Stage.THAW: follows}), "other touches bh:2.b_page")
    assert_undecided("C14", migration(after={Stage.COPY: reads}), tested=0)


def test_c14_mapping_holds_for_a_file_and_is_refuted_by_a_device() -> None:
    assert_undecided("C14m", migration(), tested=1)
    hand = migration()
    lane = hand.lane("slot:5:0", "page")
    assert SLOT == "slot:5:0.page"
    hand.table[lane] = ("Slot", "slot:bdev:0", "page", "")
    assert_decided("C14m", hand, "moves page:0 of slot:bdev:0 with its ring")


@pytest.mark.slow
def test_c14_holds_in_runs_that_meet() -> None:
    for name in ("C14", "C14m"):
        found = sum_over(name, records("sync-vs-commit", PAIR, seeds=20))
        assert found.tested and not found.times, found


def test_every_claim_is_tested_or_says_why_not() -> None:
    assert list(CLAIMS) == [f"C{i}" for i in range(21)]
    for claim in CLAIMS.values():
        assert claim.parts or claim.untested
        for part in claim.parts:
            assert part.name.startswith(claim.name) and part.says and part.checks
            assert ask(part.name, Written()).tested == 0
