"""The ageing oracle: uses of a page, scans of reclaim, marks, and the pagevecs between them and the lists."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.kernel.mm import mmzone, page_flags, swap
from mmrace.kernel.mm.mm_types import Page
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.protocol import ageing
from mmrace.runtime.kinds import Kind
from mmrace.runtime.param import Value
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.verdicts import caught, passed, unknown

FLAGS = "page:0.flags"


def _set(hand: Hand, task: str, bit: str, page: str = "page:0") -> Hand:
    return hand.op(task, Kind.SET, f"{page}.flags", False, sub=bit)


def _clear(hand: Hand, task: str, bit: str, page: str = "page:0") -> Hand:
    return hand.op(task, Kind.CLEAR, f"{page}.flags", True, sub=bit)


def _cached(*bits: str) -> Hand:
    """A page of inode 5 on the inactive list, with some bits set."""
    hand = Hand("user", "other", "reclaimer", "migrator", "io").write("main", "page:0.mapping", "mapping:5")
    for bit in ("PG_lru", *bits):
        _set(hand, "main", bit)
    return hand


def _reads(hand: Hand, deeds: Callable[[Hand], object] = lambda hand: None) -> Hand:
    hand.note("user", "read-begin", 5, 0).get("user", "page:0._count", "lookup", 3)
    deeds(hand)
    return hand.put("user", "page:0._count", "lookup", 2).note("user", "read-end", 5, 0, (7, 7))


def _queues(hand: Hand, task: str = "user", vec: str = "activate") -> Hand:
    return hand.write(task, f"percpu:0.{vec}", ("page:0",), ())


# -- uses ----------------------------------------------------------------------------------------------------------


def test_ageing_oracle_passes_on_a_first_use_that_is_remembered_whoever_saw_to_that() -> None:
    passed(ageing.judge(_reads(_cached(), lambda hand: _set(hand, "user", "PG_referenced")).record()))
    passed(ageing.judge(_reads(_cached("PG_referenced", "PG_active")).record()))
    taken = _reads(_cached("PG_referenced", "PG_active"), lambda hand: _clear(hand, "reclaimer", "PG_referenced"))
    passed(ageing.judge(taken.record()))


def test_ageing_oracle_catches_a_use_that_nobody_remembers() -> None:
    caught(ageing.judge(_reads(_cached()).record()), "use forgotten")
    written = _cached().note("user", "write-begin", 5, 0, 8).op("user", Kind.WRITE, "page:0.words", 7, 8, sub="[0]")
    caught(ageing.judge(written.note("user", "write-end", 5, 0, 8).record()), "use forgotten")


def test_ageing_oracle_takes_the_zeroing_of_what_a_failed_write_left_for_no_use() -> None:
    zeroed = _cached().note("user", "write-begin", 5, 0, 8).op("user", Kind.WRITE, "page:0.words", 7, 0, sub="[1]")
    unknown(ageing.judge(zeroed.note("user", "write-end", 5, 0, 8).record()))


def test_ageing_oracle_catches_a_use_of_an_inode_block_that_nobody_remembers() -> None:
    def changed(hand: Hand) -> Hand:
        return hand.note("user", "change-begin", 9, 1, 2).note("user", "change-end", 9, 2)

    hand = _cached().write("main", "bh:1.b_page", "page:0").get("user", "bh:1.b_count", "ext3", 1)
    caught(ageing.judge(changed(hand).record()), "use forgotten")
    hand = _cached().write("main", "bh:1.b_page", "page:0").get("user", "bh:1.b_count", "ext3", 1)
    passed(ageing.judge(changed(_set(hand, "user", "PG_referenced")).record()))


def test_ageing_oracle_asks_nothing_of_a_use_that_failed() -> None:
    hand = _cached().note("user", "read-begin", 5, 0).note("user", "read-failed", 5, 0, -5)
    unknown(ageing.judge(hand.record()))


def test_ageing_oracle_passes_on_a_second_use_that_activates() -> None:
    activated = _reads(_cached("PG_referenced"), lambda hand: _clear(_queues(hand), "user", "PG_referenced"))
    passed(ageing.judge(activated.record()))


@pytest.mark.parametrize("cleared", [False, True])
def test_ageing_oracle_catches_a_second_use_that_is_wasted(cleared: bool) -> None:
    hand = _reads(_cached("PG_referenced"), lambda hand: cleared and _clear(hand, "user", "PG_referenced"))
    caught(ageing.judge(hand.record()), "second use forgotten")


def test_ageing_oracle_excuses_a_second_use_of_a_page_that_left_the_list_or_was_scanned() -> None:
    for bit in ("PG_lru", "PG_referenced"):
        hand = _reads(_cached("PG_referenced"), lambda hand, bit=bit: _clear(hand, "other", bit))  # type: ignore[misc]
        passed(ageing.judge(hand.record()))


def test_ageing_oracle_catches_an_activated_page_that_stays_referenced() -> None:
    caught(ageing.judge(_reads(_cached("PG_referenced"), _queues).record()), "activated page referenced")


# -- scans and marks -----------------------------------------------------------------------------------------------


def _scans(hand: Hand, reason: str, deeds: Callable[[Hand], object] = lambda hand: None) -> Hand:
    hand.lock("reclaimer", "page:0")
    deeds(hand)
    return hand.unlock("reclaimer", "page:0").note("reclaimer", "reclaim", "page:0", "kept", reason)


def test_ageing_oracle_wants_a_scan_to_take_the_reference() -> None:
    taken = _scans(_cached("PG_referenced"), "refcount", lambda hand: _clear(hand, "reclaimer", "PG_referenced"))
    passed(ageing.judge(taken.record()))
    caught(ageing.judge(_scans(_cached("PG_referenced"), "refcount").record()), "scan without ageing")
    unknown(ageing.judge(_scans(_cached("PG_referenced"), "writeback").record()))


def test_ageing_oracle_wants_a_mark_on_a_dirty_page_that_is_left_to_the_flusher() -> None:
    marked = _scans(_cached("PG_dirty"), "deferred", lambda hand: _set(hand, "reclaimer", "PG_reclaim"))
    passed(ageing.judge(marked.record()))
    caught(ageing.judge(_scans(_cached("PG_dirty"), "deferred").record()), "dirty page not marked")
    passed(ageing.judge(_scans(_cached("PG_dirty"), "dirty").record()))


def test_ageing_oracle_catches_a_mark_for_a_write_that_there_was_not() -> None:
    def writes(hand: Hand) -> None:
        _clear(_set(_set(hand, "reclaimer", "PG_reclaim"), "reclaimer", "PG_writeback"), "io", "PG_reclaim")
        _clear(hand, "io", "PG_writeback")

    passed(ageing.judge(_scans(_cached(), "dirty", lambda hand: _set(hand, "other", "PG_reclaim")).record()))
    marked = _scans(_cached(), "dirty", lambda hand: _set(hand, "reclaimer", "PG_reclaim"))
    caught(ageing.judge(marked.record()), "mark without a write")
    assert not [found for found in ageing.judge(_scans(_cached(), "dirty", writes).record()).findings
                if found.rule == "mark without a write"]  # fmt: skip


def _written(*bits: str, mark: bool = True, rotates: bool = True) -> Hand:
    """The writeback of a page that reclaim marked begins and ends."""
    hand = _set(_cached(*bits, "PG_reclaim"), "other", "PG_writeback")
    if mark:
        hand.op("io", Kind.TEST_AND_CLEAR, FLAGS, True, sub="PG_reclaim")
    if rotates:
        _queues(hand, "io", "lru_rotate")
    return hand.op("io", Kind.TEST_AND_CLEAR, FLAGS, True, sub="PG_writeback")


def test_ageing_oracle_wants_the_end_of_writeback_to_rotate_a_marked_page() -> None:
    passed(ageing.judge(_written().record()))
    caught(ageing.judge(_written(rotates=False).record()), "marked page not rotated")
    caught(ageing.judge(_written(mark=False, rotates=False).record()), "mark outlived the writeback")
    passed(ageing.judge(_written("PG_dirty", rotates=False).record()))


def _shrinks(hand: Hand, deeds: Callable[[Hand], object] = lambda hand: None) -> Hand:
    hand.write("main", "zone:0.inactive_list", ("page:1", "page:0"), ()).note("reclaimer", "scan-begin")
    deeds(hand)
    return hand.note("reclaimer", "scan-end")


def test_ageing_oracle_wants_a_shrink_to_try_a_page_that_waits_clean_at_the_end_of_its_list() -> None:
    caught(ageing.judge(_shrinks(_cached()).record()), "shrink of nothing")
    unknown(ageing.judge(_shrinks(_cached(), lambda hand: _scans(hand, "page-lock")).record()))
    passed(ageing.judge(_shrinks(_cached("PG_dirty")).record()))
    taken = _shrinks(_cached(), lambda hand: hand.write("migrator", "zone:0.inactive_list", ("page:1",)))
    unknown(ageing.judge(taken.record()))


def test_ageing_oracle_wants_zone_reclaim_to_leave_dirty_pages_where_they_are() -> None:
    def judged(hand: Hand, era: str = "3.2") -> Judgement:
        record = hand.record()
        record.header.update(params={"zone_reclaim": 1}, era=era)
        return ageing.judge(record)

    def late(hand: Hand) -> None:
        _scans(_set(hand, "other", "PG_dirty"), "deferred", lambda hand: _set(hand, "reclaimer", "PG_reclaim"))

    early = _cached("PG_dirty").note("reclaimer", "scan-begin")
    early = _scans(early, "deferred", lambda hand: _set(hand, "reclaimer", "PG_reclaim"))
    caught(judged(early), "dirty page isolated")
    passed(ageing.judge(early.record()))
    passed(judged(early, "3.1"))
    passed(judged(_shrinks(_cached(), late)))


# -- moves and drains ----------------------------------------------------------------------------------------------


def _moves(hand: Hand, *bits: str, takes: bool = False) -> Hand:
    """Page 0 moves to page 1, which gets these bits; takes: PG_active is cleared on the old one."""
    hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC").write("migrator", "slot:5:0.page", "page:1")
    if takes:
        hand.op("migrator", Kind.TEST_AND_CLEAR, FLAGS, True, sub="PG_active")
    for bit in bits:
        _set(hand, "migrator", bit, "page:1")
    return hand.note("migrator", "migrate-end", "page:0", "page:1", "MIGRATE_ASYNC", "0", "moved")


@pytest.mark.parametrize("bit", ageing.COPIED)
def test_ageing_oracle_wants_a_move_to_take_each_flag_along_and_to_make_none_up(bit: str) -> None:
    passed(ageing.judge(_moves(_cached(bit), bit).record()))
    passed(ageing.judge(_moves(_cached()).record()))
    caught(ageing.judge(_moves(_cached(bit)).record()), "flag lost in a move")
    caught(ageing.judge(_moves(_cached(), bit).record()), "flag out of a move")


def test_ageing_oracle_follows_a_flag_that_the_move_takes_off_the_old_page() -> None:
    passed(ageing.judge(_moves(_cached("PG_active"), "PG_active", takes=True).record()))
    caught(ageing.judge(_moves(_cached("PG_active"), takes=True).record()), "flag lost in a move")


def test_ageing_oracle_wants_a_drain_to_empty_the_pagevecs_of_its_cpu() -> None:
    def drains(hand: Hand, deeds: Callable[[Hand], object] = lambda hand: None) -> Hand:
        deeds(hand.note("migrator", "drain-begin"))
        return hand.note("migrator", "drain-end")

    vec = "percpu:0.lru_add_inactive"
    passed(
        ageing.judge(drains(_queues(_cached()), lambda hand: hand.write("migrator", "percpu:0.activate", ())).record())
    )
    caught(ageing.judge(drains(_queues(_cached())).record()), "page left in a pagevec")
    passed(
        ageing.judge(
            drains(_cached().write("user", vec, ()), lambda hand: hand.write("user", vec, ("page:0",))).record()
        )
    )


def test_ageing_oracle_wants_who_reads_ahead_to_take_his_marker_when_he_gets_there() -> None:
    def reads(*, takes: bool, marks: str = "user", bits: tuple[str, ...] = ()) -> Hand:
        hand = _set(Hand("user", "migrator", "reclaimer"), marks, "PG_reclaim")
        hand.write("main", "page:0.mapping", "mapping:5")
        for bit in ("PG_lru", "PG_referenced", *bits):
            _set(hand, "main", bit)
        return _reads(
            hand,
            lambda hand: (
                _clear(_queues(_clear(hand, "user", "PG_referenced")), "user", "PG_reclaim")
                if takes
                else _clear(_queues(hand), "user", "PG_referenced")
            ),
        )

    passed(ageing.judge(reads(takes=True).record()))
    passed(ageing.judge(reads(takes=False, bits=("PG_writeback",)).record()))
    passed(ageing.judge(reads(takes=False, marks="reclaimer").record()))
    caught(ageing.judge(reads(takes=False).record()), "marker not taken")


def test_ageing_oracle_wants_a_compaction_to_begin_with_a_drain_of_its_cpu() -> None:
    def compacts(drains: bool, order: int = 2) -> Hand:
        hand = _queues(_cached()).note("migrator", "compact-begin", order, True, 4)
        if drains:
            hand.write("migrator", "percpu:0.activate", ())
        return hand.note("migrator", "compact-scan", 0, 4)

    passed(ageing.judge(compacts(drains=True).record()))
    caught(ageing.judge(compacts(drains=False).record()), "page left in a pagevec")


def test_ageing_oracle_wants_a_compaction_of_the_whole_zone_to_begin_with_a_drain_of_all_cpus() -> None:
    def compacts(*, drains: bool, order: int = -1) -> Hand:
        hand = (
            _cached().write("user", "percpu:1.lru_add_inactive", ("page:0",)).note("migrator", "round", "migrator", 0)
        )
        if drains:
            hand.write("user", "percpu:1.lru_add_inactive", ())
        hand.write("user", "percpu:0.lru_add_inactive", ())
        return hand.note("migrator", "compact-begin", order, True, 4)

    passed(ageing.judge(compacts(drains=True).record()))
    caught(ageing.judge(compacts(drains=False).record()), "page left in a pagevec")
    assert not ageing.judge(compacts(drains=False, order=2).record()).findings


def test_ageing_oracle_does_not_know_of_a_run_in_which_no_page_was_used() -> None:
    unknown(ageing.judge(_cached().record()))


# -- planted bugs --------------------------------------------------------------------------------------------------


def _activates_at_once(page: Page) -> None:
    """BUGGY: mark_page_accessed gives no second chance: the first use activates."""
    if page_flags.PageLRU(page) and not page_flags.PageActive(page):
        swap.activate_page(page)


def _forgets_rotation(page: Page) -> None:
    """BUGGY: rotate_reclaimable_page queues nothing."""


_drain = swap.lru_add_drain


def _drains_all(machine: mmzone.Machine) -> None:
    """lru_add_drain_all, as it stands, where lru_add_drain itself is planted."""
    for work in [rt.spawn(_drain, machine, cpu=cpu) for cpu in range(machine.ncpus)]:
        rt.join(work)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "place", "planted", "rule", "params"),
    [
        ("migrate-vs-reclaim", "mm.swap:mark_page_accessed", _activates_at_once, "use forgotten", {}),
        ("four", "mm.swap:rotate_reclaimable_page", _forgets_rotation, "marked page not rotated", {"irq": "any"}),
        ("migrate-vs-reclaim", "mm.page_flags:TestClearPageActive", lambda page: True, "flag out of a move", {}),
        ("migrate-vs-reclaim", "mm.vmscan:isolate_lru_pages", lambda *args: [], "shrink of nothing", {}),
        ("four", "mm.page_flags:SetPageReclaim", lambda page: None, "dirty page not marked", {}),
        ("four", "mm.page_flags:TestClearPageReferenced", lambda page: False, "scan without ageing", {}),
    ],
    ids=["no second chance", "no rotation", "always active", "no isolation", "no mark", "no ageing"],
)  # fmt: skip
def test_ageing_oracle_alone_catches_what_is_planted(
    scenario: str, place: str, planted: object, rule: str, params: dict[str, Value]
) -> None:
    assert not findings(scenario, {}, params)
    found = rules(findings(scenario, {place: planted}, params))  # type: ignore[dict-item]
    assert set(found) == {(ageing.NAME, rule)}


@pytest.mark.slow
def test_ageing_oracle_alone_catches_a_planted_drain_that_leaves_pages_to_the_next_drain_of_all_cpus() -> None:
    params: dict[str, Value] = {"pagevec": 14, "cpus": 1}
    bind = {"mm.swap:lru_add_drain_all": _drains_all}
    assert not findings("migrate-vs-reclaim", bind, params)
    bind["mm.swap:lru_add_drain"] = lambda machine: None
    assert set(rules(findings("migrate-vs-reclaim", bind, params))) == {(ageing.NAME, "page left in a pagevec")}
