"""Claims C15 to C20, before and after the patch: dirty pages, refusals, graceful failure, and what came of sync."""

from __future__ import annotations

import pytest

from mmrace.claims.judges import check_parts
from mmrace.claims.judges.claim import Instances
from mmrace.claims.judges.migration import Stage
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import Kind
from tests.claims.judges.played import find_deciding, records, sum_over
from tests.claims.judges.written import BACKED_OUT, Deed, Written, assert_decided, assert_undecided, migration, part

PAIR: dict[str, int | str] = {"idle": 10, "rounds": 1, "migrations": 2, "dirtied": 2, "without": "reader,writer"}
WRITTEN: dict[str, int | str] = {"idle": 40, "rounds": 2, "migrations": 3, "dirtied": 2}
REFUSED_IN_MOVE = (
    Stage.TREE_LOCK, Stage.COUNT_TESTED, Stage.SLOT_SEEN, Stage.FREEZE, Stage.TREE_UNLOCK, *BACKED_OUT,
)  # fmt: skip
"""What an attempt leaves out that is refused before its op is called."""


def _dirties(hand: Written) -> None:
    hand.lock("other", "page:0", "PG_dirty")


def _meets(hand: Written) -> None:
    hand.busy("migrator", "bh:1")


def _thaws(hand: Written) -> None:
    hand.unfreeze("migrator", "page:0._count", 3)


def _sleeps(hand: Written) -> None:
    hand.op("migrator", Kind.TEST_AND_SET, "bh:1.b_state", True, LOCK, sub="BH_Lock")
    hand.queue("migrator", "bh:1", "BH_Lock", "b_state")


def dirty(mode: str = "MIGRATE_ASYNC", after: dict[Stage, Deed] | None = None, **how: object) -> Written:
    """Write a migration of page:0, which is dirty by the time it is locked."""
    return migration(mode, {Stage.ISOLATED: _dirties, **(after or {})}, **how)  # type: ignore[arg-type]


def skipped() -> Written:
    """Write an attempt that is given up with -EBUSY before its op is called."""
    return dirty(leave_out=REFUSED_IN_MOVE, rc="-EBUSY", reason="dirty")


def backed_out() -> Written:
    """Write an attempt that meets a locked buffer and backs out, as it should."""
    return migration(after={Stage.FREEZE: lambda hand: (_meets(hand), _thaws(hand))}, leave_out=BACKED_OUT,
                     rc="-EAGAIN", reason="buffer-lock")  # fmt: skip


def test_c15_before_is_refuted_by_a_dirty_page_that_async_moves_and_held_by_one_that_it_refuses() -> None:
    assert_decided("C15", dirty(), "migrator moves page:0, dirty with 2 buffers")
    assert_undecided("C15", skipped(), tested=1)


def test_c15_asks_of_dirty_pages_with_buffers_in_async_only() -> None:
    for name in ("C15", "C15+", "C15b"):
        assert_undecided(name, migration(), tested=0)
        assert_undecided(name, dirty("MIGRATE_SYNC"), tested=0)


def test_c15_since_is_shown_by_a_move_that_waits_for_nothing_only() -> None:
    assert_decided("C15+", dirty(), "waiting for nothing")
    waits = dirty(after={Stage.LOCK_NEW: _sleeps})
    assert_undecided("C15+", waits, tested=1)
    assert_decided("C15b", waits, "waits for bh:1.b_state.BH_Lock to move page:0")
    assert_undecided("C15b", dirty(), tested=1)


def test_c16_is_shown_by_ebusy_before_the_op_and_not_by_a_refusal_of_the_op() -> None:
    assert_decided("C16", skipped(), "gives page:0 up with -EBUSY for being dirty")
    assert_undecided("C16", dirty(leave_out=BACKED_OUT, rc="-EAGAIN", reason="refcount"), tested=1)
    assert_undecided("C16", dirty(), tested=1)


def _looks_at_dirt(*then: Deed) -> Written:
    hand = Written()
    hand.op("migrator", Kind.ACQUIRE, "zone:0.lru_lock", "irq")
    hand.test("migrator", "page:0", "PG_dirty", True)
    for deed in then:
        deed(hand)
    hand.op("migrator", Kind.RELEASE, "zone:0.lru_lock", "irq")
    hand.unlock("migrator", "page:0", "PG_lru")
    return hand


def test_c16_isolation_is_shown_by_a_dirty_page_that_stays_on_the_list() -> None:
    assert_decided("C16b", _looks_at_dirt(), "migrator leaves page:0 on the LRU for being dirty")
    assert_undecided("C16b", _looks_at_dirt(lambda hand: hand.unlock("migrator", "page:0", "PG_lru")), tested=1)
    assert_undecided("C16b", Written().test("migrator", "page:0", "PG_dirty", True), tested=0)


def test_c17_holds_for_a_back_out_that_undoes_what_it_did() -> None:
    assert_undecided("C17", backed_out(), tested=1)
    assert_undecided("C17n", backed_out(), tested=1)


def test_c17_asks_of_refused_pages_only() -> None:
    assert_undecided("C17", migration(), tested=0)
    assert_undecided("C17", migration(leave_out=BACKED_OUT, rc="-EAGAIN", reason="writeout"), tested=0)
    assert_undecided("C17", migration(leave_out=(Stage.LOCK_OLD, *BACKED_OUT), rc="-EAGAIN"), tested=0)


@pytest.mark.parametrize(
    ("what", "deed"),
    [
        ("page:0._count +1", lambda hand: hand.get("migrator", "page:0._count", "lookup", 4)),
        ("page:0.flags.PG_dirty cleared", lambda hand: hand.unlock("migrator", "page:0", "PG_dirty")),
        ("page:0.flags.PG_lru set", lambda hand: hand.lock("migrator", "page:0", "PG_lru")),
        ("page:0.private bh:1 -> None", lambda hand: hand.write("migrator", "page:0.private", None, "bh:1")),
        ("bh:2.b_page page:0 -> page:1", lambda hand: hand.write("migrator", "bh:2.b_page", "page:1", "page:0")),
        ("bh:2.b_count +1", lambda hand: hand.get("migrator", "bh:2.b_count", "migrate", 1)),
        ("bh:1.b_state.BH_Lock cleared", lambda hand: hand.unlock_bh("migrator", "bh:1")),
        ("slot:5:0.page page:0 -> page:1", lambda hand: hand.write("migrator", "slot:5:0.page", "page:1", "page:0")),
        ("slot:5:0.tags.PAGECACHE_TAG_DIRTY set",
         lambda hand: hand.lock("migrator", "slot:5:0", "PAGECACHE_TAG_DIRTY", "tags")),
    ],
)  # fmt: skip
def test_c17_is_refuted_by_whatever_a_refused_attempt_leaves_behind(what: str, deed: Deed) -> None:
    hand = migration(after={Stage.TREE_LOCK: deed}, leave_out=(Stage.FREEZE, *BACKED_OUT), rc="-EAGAIN")
    if "private" in what:  # by itself that is a strip, which says so
        assert_undecided("C17", hand, tested=0)
    else:
        assert_decided("C17", hand, "gives page:0 up (-EAGAIN), and leaves behind", what)


def test_c17_leaves_pages_that_were_mapped_to_who_judges_ptes() -> None:
    unmaps: Deed = lambda hand: hand.write("migrator", "page:0._mapcount", -1, 0)  # noqa: E731
    hand = migration(after={Stage.WRITEBACK_SEEN: unmaps}, leave_out=BACKED_OUT, rc="-EAGAIN")
    assert_undecided("C17", hand, tested=0)


def test_c17_target_is_refuted_by_a_reference_of_others_and_by_what_is_left_on_it() -> None:
    met: Deed = lambda hand: hand.speculative("other", "page:1", 2)  # noqa: E731
    hand = migration(after={Stage.TREE_LOCK: met}, leave_out=(Stage.FREEZE, *BACKED_OUT), rc="-EAGAIN")
    assert_decided("C17n", hand, "other obtains page:1, to which page:0 was not moved")
    left: Deed = lambda hand: hand.write("migrator", "page:1.mapping", "mapping:5")  # noqa: E731
    hand = migration(after={Stage.LOCK_NEW: left}, leave_out=(Stage.FREEZE, *BACKED_OUT), rc="-EAGAIN")
    assert_decided("C17n", hand, "page:1.mapping None -> mapping:5")


@pytest.mark.parametrize("name", ["C17", "C17n"])
def test_c17_is_refuted_by_runs_of_the_patch_as_it_was_posted(name: str) -> None:
    # A lookup holds the page up that is in public already: without one the move back succeeds.
    looked_up = {**PAIR, "dirtied": 4, "buffers": 4, "reads": 20, "passes": 3, "idle": 0, "without": "writer"}
    variant = "async-backout" if name == "C17" else "async-locks-after-thaw"
    find_deciding(name, records("async-vs-commit", PAIR if name == "C17" else looked_up, variant, seeds=200))


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "params"), [("async-vs-commit", PAIR), ("migrate-vs-writeback", WRITTEN)])
def test_c17_holds_in_runs_that_meet(scenario: str, params: dict[str, int | str]) -> None:
    total = Instances()
    for record in records(scenario, params, seeds=30):
        for found in check_parts(record, [part("C17"), part("C17n")]).values():
            total.test(found.tested)
            assert found.example is None, found
    assert total.tested


def test_c18_is_shown_by_an_op_that_gives_up_and_not_by_one_that_sleeps() -> None:
    assert_decided("C18", backed_out(), "finds bh:1 locked and gives page:0 up (-EAGAIN)")
    assert_undecided("C18", migration(after={Stage.TREE_UNLOCK: _sleeps}), tested=1)
    assert_undecided("C18", migration(), tested=0)


def test_c18_before_is_shown_by_a_sleep_for_the_buffer_of_a_clean_page_that_has_moved() -> None:
    assert_decided("C18r", migration(after={Stage.TREE_UNLOCK: _sleeps}), "sleeps for bh:1.b_state.BH_Lock")
    assert_undecided("C18r", dirty(after={Stage.TREE_UNLOCK: _sleeps}), tested=0)
    assert_undecided("C18r", backed_out(), tested=1)


def _under_writeback(hand: Written) -> None:
    hand.test("migrator", "page:0", "PG_writeback", True)


def test_c19_asks_of_the_mode_that_the_era_has_for_a_second_pass() -> None:
    def waits(hand: Written) -> None:
        hand.queue("migrator", "page:0", "PG_writeback")

    for mode, era, tested in (
        ("MIGRATE_SYNC_LIGHT", "", 1), ("MIGRATE_SYNC", "", 0), ("MIGRATE_SYNC_LIGHT", "3.4", 1),
        ("MIGRATE_SYNC", "3.1", 1), ("MIGRATE_SYNC", "3.2+trylock", 1), ("MIGRATE_ASYNC", "3.1", 0),
    ):  # fmt: skip
        for deed, times in ((_under_writeback, 0), (waits, tested)):
            record = migration(mode, {Stage.LOCK_OLD: deed}, BACKED_OUT, rc="-EBUSY", reason="writeback").record()
            record.header["era"] = era
            found = check_parts(record, [part("C19")])["C19"]
            assert (found.tested, found.times) == (tested, times), (mode, era)


def test_c1_mapping_is_refuted_by_a_page_that_has_it_when_its_buffers_are_unlocked() -> None:
    cut: Deed = lambda hand: hand.write("migrator", "page:0.mapping", None, "mapping:5")  # noqa: E731
    assert_undecided("C1m", migration(after={Stage.COPY: cut}), tested=1)
    assert_decided("C1m", migration(after={Stage.UNLOCK_BUFFERS: cut}), "unlocks the buffers of page:0")


def faulting(sync: bool, *deeds: Deed, fault: str = "THP_FAULT_ALLOC") -> Written:
    """Write a compaction and a migration of page:0 by a task that faults for a huge page."""
    mode = "MIGRATE_SYNC" if sync else "MIGRATE_ASYNC"
    hand = migration(mode, {Stage.LOCK_OLD: lambda hand: [deed(hand) for deed in deeds]}, BACKED_OUT, rc="-EAGAIN")
    hand.note("migrator", "compact-begin", 2, sync, 4).note("migrator", "vm-event", fault, 1)
    return hand


def test_c20_is_shown_by_the_compactions_of_who_faults_for_huge_pages() -> None:
    assert_decided("C20", faulting(sync=False), "migrator compacts for a huge page, which is asynchronous")
    assert_undecided("C20", faulting(sync=True), tested=1)
    assert_decided("C20b", faulting(sync=True, fault="THP_FAULT_FALLBACK"), "which may wait")
    assert_undecided("C20b", faulting(sync=False), tested=1)
    assert_undecided("C20", faulting(sync=False, fault="COMPACTSTALL"), tested=0)


def test_c20_stall_is_shown_by_an_allocation_that_waits_for_writeback_or_writes() -> None:
    waits: Deed = lambda hand: hand.queue("migrator", "page:0", "PG_writeback")  # noqa: E731
    writes: Deed = lambda hand: hand.lock_bh("migrator", "bh:1").submit("migrator", "bh:1")  # noqa: E731
    assert_decided("C20r", faulting(True, waits), "waits for the writeback of page:0")
    assert_decided("C20r", faulting(True, writes), "starts I/O to move page:0")
    assert_undecided("C20r", faulting(True, _under_writeback), tested=1)
    assert_undecided("C20r", faulting(True, waits, fault="COMPACTSTALL"), tested=0)


@pytest.mark.slow
def test_what_the_patch_changed_shows_in_runs_of_3_3() -> None:
    for name in ("C15", "C15+", "C18"):
        find_deciding(name, records("async-vs-commit", PAIR))
    for name in ("C15b", "C16", "C16b"):
        found = sum_over(name, records("async-vs-commit", PAIR, seeds=30))
        assert found.tested and not found.times, found
