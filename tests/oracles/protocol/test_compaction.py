"""The compaction oracle: scanners that do not cross, and what a compaction has taken when it ends."""

from __future__ import annotations

from mmrace.oracles.protocol import compaction
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

BLOCK = 4
A, B = "compactor", "hugepage"
MOVED = ("page", "page", "MIGRATE_ASYNC", "0", "moved")


def _hand(listed: int = 8) -> Hand:
    """A zone with so many pages on the LRU."""
    return Hand(A, B, "reclaimer").op("main", Kind.ADD, "zone:0.nr_inactive", listed, listed)


def _begin(hand: Hand, task: str = A, sync: bool = True) -> Hand:
    return hand.note(task, "compact-begin", 2, sync, BLOCK)


def _isolate(hand: Hand, pfn: int, task: str = A) -> Hand:
    hand.op(task, Kind.GET_UNLESS_ZERO, f"page:{pfn}._count", "isolation", 2)
    return hand.note(task, "compact-isolate", f"page:{pfn}")


def _take(hand: Hand, pfn: int, task: str = A) -> Hand:
    return hand.note(task, "page-alloc", f"page:{pfn}").get(task, f"page:{pfn}._count", "new", 1)


def _free(hand: Hand, pfn: int, task: str = A) -> Hand:
    return hand.put(task, f"page:{pfn}._count", "new", 0).note(task, "page-free", f"page:{pfn}")


def _target(hand: Hand, pfn: int, task: str = A) -> Hand:
    return hand.note(task, "rename", hand.lane(f"page:{pfn}", "_count"), "new", "isolation")


def _put_back(hand: Hand, pfn: int, task: str = A) -> Hand:
    return hand.put(task, f"page:{pfn}._count", "isolation", 1)


def _counts(hand: Hand, moved: int, failed: int = 0, task: str = A) -> Hand:
    hand.note(task, "vm-event", "COMPACTPAGES", moved)
    return hand.note(task, "vm-event", "COMPACTPAGEFAILED", failed) if failed else hand


def _end(hand: Hand, task: str = A) -> Hand:
    return hand.note(task, "compact-end", 2, "COMPACT_COMPLETE")


def _one_move(isolated: int = 1, taken: int = 12) -> Hand:
    """A compaction that moved a page from a frame to another, and is not over."""
    hand = _begin(_hand()).note(A, "compact-scan", 0, 4)
    _take(_isolate(hand, isolated), taken)
    _put_back(
        _put_back(_target(hand, taken).note(A, "migrate-end", *MOVED), isolated),
        taken,
    )
    return _counts(hand, 1)


def test_compaction_oracle_passes_on_a_page_that_was_moved_and_a_frame_that_was_given_back() -> None:
    hand = _free(_take(_one_move(), 13), 13)
    passed(compaction.judge(_end(hand).record()))


def test_compaction_oracle_has_nothing_to_say_where_nobody_compacts() -> None:
    unknown(compaction.judge(_take(_hand(), 3).record()))


def test_compaction_oracle_catches_a_free_frame_from_below_the_migrate_scanner() -> None:
    caught(compaction.judge(_end(_one_move(isolated=1, taken=2)).record()), "scanners crossed")
    caught(compaction.judge(_end(_one_move(isolated=1, taken=3)).record()), "scanners crossed")
    passed(compaction.judge(_end(_one_move(isolated=1, taken=4)).record()))


def test_compaction_oracle_catches_a_page_from_above_what_the_free_scanner_found_last() -> None:
    def second(pfn: int) -> Hand:
        hand = _isolate(_one_move().note(A, "compact-scan", 4, 16), pfn)
        return _end(_counts(_put_back(hand, pfn), 0, 1))

    caught(compaction.judge(second(12).record()), "scanners crossed")
    caught(compaction.judge(second(14).record()), "scanners crossed")
    passed(compaction.judge(second(11).record()))


def test_compaction_oracle_lets_the_free_scanner_find_lower_frames_later() -> None:
    hand = _isolate(_one_move().note(A, "compact-scan", 4, 8), 5)
    _put_back(
        _put_back(_target(_take(hand, 9), 9).note(A, "migrate-end", *MOVED), 5),
        9,
    )
    hand.note(A, "compact-scan", 8, 12)
    caught(compaction.judge(_end(_counts(_put_back(_isolate(hand, 10), 10), 2)).record()), "scanners crossed")


def test_compaction_oracle_catches_what_is_kept() -> None:
    left = _isolate(_one_move(), 2)
    caught(compaction.judge(_end(_counts(left, 1)).record()), "isolated page kept")
    caught(compaction.judge(_end(_take(_one_move(), 13)).record()), "free frame kept")
    caught(compaction.judge(_end(_target(_take(_one_move(), 13), 13)).record()), "target kept")


def test_compaction_oracle_leaves_others_what_they_have() -> None:
    hand = _isolate(_take(_one_move(), 14, task=B), 2, task=B)
    passed(compaction.judge(_end(hand).record()))


def test_compaction_oracle_catches_a_wrong_count() -> None:
    caught(compaction.judge(_end(_counts(_one_move(), 1)).record()), "miscounted")


def _of_another_type(sync: bool, before: bool, again: bool = False) -> Hand:
    """A page isolated from a pageblock that is not movable."""
    hand = _begin(_hand(), sync=sync)
    if before:
        hand.write("main", "pageblock:0.migratetype", "MIGRATE_UNMOVABLE", "MIGRATE_MOVABLE")
    if again:
        hand.write("main", "pageblock:0.migratetype", "MIGRATE_MOVABLE", "MIGRATE_UNMOVABLE")
    hand.note(A, "compact-scan", 0, 4)
    if not before:
        hand.write("main", "pageblock:0.migratetype", "MIGRATE_UNMOVABLE", "MIGRATE_MOVABLE")
    return _end(_counts(_put_back(_isolate(hand, 1), 1), 0, 1))


def test_compaction_oracle_catches_an_asynchronous_one_in_a_pageblock_that_is_not_movable() -> None:
    caught(compaction.judge(_of_another_type(sync=False, before=True).record()), "pageblock not movable")
    passed(compaction.judge(_of_another_type(sync=True, before=True).record()))
    passed(compaction.judge(_of_another_type(sync=False, before=False).record()))
    passed(compaction.judge(_of_another_type(sync=False, before=True, again=True).record()))


def _targets_of_another_type(*taken: int) -> Hand:
    """Frames are taken while the last pageblock, from 12 on, is not movable."""
    hand = _begin(_hand()).write("main", "pageblock:3.migratetype", "MIGRATE_UNMOVABLE", "MIGRATE_MOVABLE")
    _isolate(hand.note(A, "compact-scan", 0, 4), 1)
    for pfn in taken:
        _take(hand, pfn)
    hand.note(A, "migrate-begin", "page:1", "MIGRATE_SYNC_LIGHT")
    for pfn in taken:
        _free(hand, pfn)
    return _end(_counts(_put_back(hand, 1), 0, 1))


def test_compaction_oracle_catches_a_target_from_a_pageblock_that_is_not_movable() -> None:
    caught(compaction.judge(_targets_of_another_type(13).record()), "target from another type")
    passed(compaction.judge(_targets_of_another_type(9).record()))
    passed(compaction.judge(_targets_of_another_type(12, 13, 14, 15).record()))


def _with_isolated(isolated: int, ends: bool = False) -> Hand:
    hand = _hand(listed=4).op("reclaimer", Kind.ADD, "zone:0.nr_isolated", isolated, isolated)
    _begin(hand)
    if ends:
        hand.op("reclaimer", Kind.ADD, "zone:0.nr_isolated", -isolated, 0)
        hand.op("reclaimer", Kind.ADD, "zone:0.nr_isolated", isolated, isolated)
    hand.note(A, "compact-scan", 0, 4)
    return _end(_counts(_put_back(_isolate(hand, 1), 1), 1))


def test_compaction_oracle_catches_one_that_does_not_care_how_many_are_isolated() -> None:
    caught(compaction.judge(_with_isolated(3).record()), "too many isolated")
    passed(compaction.judge(_with_isolated(2).record()))
    passed(compaction.judge(_with_isolated(3, ends=True).record()))


# -- looking -------------------------------------------------------------------------------------------------------


def _bit(hand: Hand, pfn: int, bit: str = "PG_lru", task: str = "main") -> Hand:
    return hand.op(task, Kind.SET, f"page:{pfn}.flags", False, sub=bit)


def _looks_in_vain(hand: Hand, sync: bool = True) -> Hand:
    return _end(_counts(_begin(hand, sync=sync).note(A, "compact-scan", 0, 4), 0))


def test_compaction_oracle_catches_a_page_that_is_passed_over() -> None:
    caught(compaction.judge(_looks_in_vain(_bit(_hand(), 2)).record()), "page passed over")
    passed(compaction.judge(_looks_in_vain(_bit(_hand(), 4)).record()))
    passed(compaction.judge(_looks_in_vain(_bit(_bit(_hand(), 2), 2, "PG_unevictable")).record()))
    late = _bit(_begin(_hand()).note(A, "compact-scan", 0, 4), 2)
    passed(compaction.judge(_end(_counts(late, 0)).record()))


def test_compaction_oracle_catches_a_look_at_what_is_no_pageblock() -> None:
    def looks(low: int, end: int, order: int = 2) -> Hand:
        hand = _begin(_hand().note("main", "zone", order, order, 0, 0, 0)).note(A, "compact-scan", low, end)
        return _end(_counts(hand, 0))

    passed(compaction.judge(looks(0, 4).record()))
    passed(compaction.judge(looks(2, 8).record()))
    caught(compaction.judge(looks(0, 4, order=1).record()), "range of no pageblock")
    caught(compaction.judge(looks(0, 4, order=3).record()), "range of no pageblock")


def test_compaction_oracle_catches_anonymous_pages_that_are_counted_as_isolated_pages_of_files() -> None:
    def counts(lane: str) -> Hand:
        hand = _bit(_hand(), 1, "PG_swapbacked").op("main", Kind.ADD, "anon_lru:0.nr_isolated_anon", 0, 0)
        hand = _isolate(_begin(hand).note(A, "compact-scan", 0, 4), 1).op(A, Kind.ADD, lane, 1, 1)
        return _end(_counts(_put_back(hand.note(A, "migrate-begin", "page:1", "MIGRATE_SYNC_LIGHT"), 1), 1))

    passed(compaction.judge(counts("anon_lru:0.nr_isolated_anon").record()))
    judgement = compaction.judge(counts("zone:0.nr_isolated").record())
    assert {finding.rule for finding in judgement.findings} == {"isolated of another kind"}


def test_compaction_oracle_lets_an_asynchronous_one_pass_over_what_might_make_it_wait() -> None:
    for bit in ("PG_dirty", "PG_writeback"):
        busy = _bit(_bit(_hand(), 2), 2, bit)
        passed(compaction.judge(_looks_in_vain(busy, sync=False).record()))
    unmovable = _bit(_hand(), 2).write("main", "pageblock:0.migratetype", "MIGRATE_UNMOVABLE", "MIGRATE_MOVABLE")
    passed(compaction.judge(_looks_in_vain(unmovable, sync=False).record()))


def test_compaction_oracle_lets_a_page_go_that_is_being_freed_and_what_comes_after_a_full_cluster() -> None:
    hand = _begin(_bit(_hand(), 2)).note(A, "compact-scan", 0, 4)
    hand.op(A, Kind.GET_UNLESS_ZERO, "page:2._count", "isolation", 0)
    passed(compaction.judge(_end(_counts(hand, 0)).record()))
    hand = _isolate(_begin(_bit(_bit(_hand(), 1), 3)).note(A, "compact-scan", 0, 4), 1)
    passed(compaction.judge(_end(_counts(_put_back(hand, 1), 1)).record()))


def _without_target(head: int, late: bool = False, free: int = 9, top: int = -1) -> Hand:
    hand = _hand().op("main", Kind.ADD, "zone:0.nr_free_pages", free, free)
    if not late:
        hand.write("main", f"page:{head}._mapcount", -128, -1)
    _begin(hand)
    if late:
        hand.write("main", f"page:{head}._mapcount", -128, -1)
    hand.note(A, "compact-scan", 0, 4)
    if top >= 0:
        _free(_take(hand, top), top)
    hand.note(A, "migrate-end", "page:1", None, "MIGRATE_ASYNC", "-ENOMEM", "nomem")
    return _end(_counts(hand, 0))


def test_compaction_oracle_catches_a_free_frame_that_is_passed_over() -> None:
    caught(compaction.judge(_without_target(13).record()), "free frame passed over")
    caught(compaction.judge(_without_target(13, top=14).record()), "free frame passed over")
    passed(compaction.judge(_without_target(8).record()))  # beside what is emptied
    passed(compaction.judge(_without_target(13, late=True).record()))
    passed(compaction.judge(_without_target(13, free=4).record()))
    passed(compaction.judge(_without_target(13, top=10).record()))


def test_compaction_oracle_catches_a_migration_in_another_mode() -> None:
    for sync, mode, judged in (
        (True, "MIGRATE_SYNC_LIGHT", passed),
        (True, "MIGRATE_SYNC", passed),  # before 3.3
        (False, "MIGRATE_ASYNC", passed),
        (True, "MIGRATE_ASYNC", lambda found: caught(found, "wrong mode")),
        (False, "MIGRATE_SYNC_LIGHT", lambda found: caught(found, "wrong mode")),
    ):
        hand = _begin(_hand(), sync=sync).note(A, "compact-scan", 0, 4).note(A, "migrate-begin", "page:1", mode)
        judged(compaction.judge(_end(_counts(hand, 0)).record()))
