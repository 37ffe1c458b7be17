"""The slow path oracle: what an allocation tries when no block is free, and how it puts off what failed."""

from __future__ import annotations

import pytest

from mmrace.kernel import gfp
from mmrace.oracles.protocol import slowpath
from mmrace.oracles.protocol.suitable import CONTINUE, PARTIAL, SKIPPED, UNSEEN, Look, suitable
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

A, B = "hugepage", "compactor"
HUGE, KERNEL = gfp.GFP_TRANSHUGE, gfp.GFP_KERNEL
ORDER = 2
LOW, HIGH = 5, 6
SCATTERED = (20, 20, 0, 0)
"""Twenty pages are free, none of them beside another one: a compaction could help."""


def _hand() -> Hand:
    return Hand(A, B).note("main", "zone", ORDER, ORDER, 4, LOW, HIGH)


def _judged(hand: Hand, era: str = "") -> Record:
    record = hand.record()
    record.header["era"] = era
    return record


def _reads(hand: Hand, field: str, *values: int, task: str = A) -> Hand:
    for value in values:
        hand.op(task, Kind.READ, f"zone:0.{field}", value)
    return hand


def _asks(hand: Hand, considered: int = 0, shift: int = 0) -> Hand:
    """Ask whether compaction is put off."""
    _reads(_reads(hand, "compact_defer_shift", shift), "compact_considered", considered)
    return hand.write(A, "zone:0.compact_considered", min(considered + 1, 1 << shift), considered)


def _looks(hand: Hand, free: tuple[int, ...] = SCATTERED, task: str = A) -> Hand:
    """Look whether a compaction could help: at free pages, then at free blocks of each order."""
    _reads(hand, "nr_free_pages", *free[:1], task=task)
    for order, number in enumerate(free[1:]):
        hand.op(task, Kind.READ, f"free_area:{order}.nr_free", number)
    return hand


def _counts(hand: Hand, event: str, number: int = 1, task: str = A) -> Hand:
    return hand.note(task, "vm-event", event, number)


def _compacts(hand: Hand, sync: bool = False, free: tuple[int, ...] = SCATTERED) -> Hand:
    return _looks(_counts(hand, "COMPACTSTALL"), free).note(A, "compact-begin", ORDER, sync, 4)


def _puts_off(hand: Hand, shift: int = 0, now: int | None = None) -> Hand:
    hand.write(A, "zone:0.compact_considered", 0, 1)
    new = shift + 1 if now is None else now
    return _reads(hand, "compact_defer_shift", shift).write(A, "zone:0.compact_defer_shift", new, shift)


def _reclaims(hand: Hand, mask: int = HUGE, order: int = ORDER) -> Hand:
    return hand.note(A, "direct-reclaim", order, mask, False)


def _scans(hand: Hand, inactive: int = 3, active: int = 0) -> Hand:
    """Reclaim as it should be."""
    _reads(_counts(hand, "ALLOCSTALL"), "nr_free_pages", 7)
    _reads(_reads(hand, "nr_inactive", inactive), "nr_active", active)
    if active:
        _reads(_reads(hand, "nr_active", active), "nr_inactive", inactive)
        if active > inactive:
            _reads(hand, "active_list", 0)
    return _reads(_reads(hand, "nr_inactive", inactive), "nr_isolated", 0)


def _falls_back(hand: Hand) -> Hand:
    return _counts(hand, "THP_FAULT_FALLBACK")


def _whole() -> Hand:
    """An allocation that tries all there is, in vain."""
    hand = _counts(_compacts(_asks(_hand())), "COMPACTFAIL")
    return _counts(_compacts(_asks(_scans(_reclaims(hand))), sync=True), "COMPACTFAIL")


def test_slowpath_oracle_passes_on_an_allocation_that_tries_all_there_is() -> None:
    passed(slowpath.judge(_judged(_falls_back(_puts_off(_whole())))))
    once = _puts_off(_counts(_compacts(_asks(_hand())), "COMPACTFAIL"))
    passed(slowpath.judge(_judged(_falls_back(_scans(_reclaims(once))), "3.2")))


def test_slowpath_oracle_has_nothing_to_say_where_no_allocation_is_short_of_a_block() -> None:
    unknown(slowpath.judge(_hand().record()))


# -- asking --------------------------------------------------------------------------------------------------------


def test_slowpath_oracle_catches_a_compaction_that_was_put_off_or_not_asked_for() -> None:
    failed = _counts(_compacts(_asks(_hand(), considered=0, shift=1)), "COMPACTFAIL")
    assert "put off" in caught(slowpath.judge(_judged(failed)), "compacts unasked").title
    assert (
        "not ask"
        in caught(slowpath.judge(_judged(_counts(_compacts(_hand()), "COMPACTFAIL"))), "compacts unasked").title
    )


def test_slowpath_oracle_catches_a_reclaim_for_a_large_order_that_did_not_compact() -> None:
    caught(slowpath.judge(_judged(_reclaims(_hand()))), "reclaims first")
    caught(slowpath.judge(_judged(_reclaims(_asks(_hand())))), "does not compact")
    passed(slowpath.judge(_judged(_reclaims(_asks(_hand()), gfp.GFP_NOFS))))
    passed(slowpath.judge(_judged(_reclaims(_hand(), KERNEL, order=0))))


def test_slowpath_oracle_catches_a_reclaim_that_disturbs_though_compaction_is_put_off() -> None:
    asked = _reclaims(_asks(_hand(), shift=1))
    caught(slowpath.judge(_judged(asked)), "reclaims though put off")
    passed(slowpath.judge(_judged(asked, "3.2")))
    passed(slowpath.judge(_judged(_reclaims(_asks(_hand(), shift=1), KERNEL))))


def test_slowpath_oracle_catches_a_fault_that_gives_up_untried() -> None:
    passed(slowpath.judge(_judged(_falls_back(_asks(_hand(), shift=1)))))
    caught(slowpath.judge(_judged(_falls_back(_asks(_hand(), shift=1)), "3.2")), "gives up untried")
    caught(slowpath.judge(_judged(_falls_back(_asks(_hand())))), "gives up untried")


def test_slowpath_oracle_catches_who_was_to_compact_memory_and_did_not() -> None:
    begun = _hand().note(B, "compact-begin", -1, True, 4).note(B, "round", B, 0)
    _asks(begun)
    passed(slowpath.judge(_judged(begun)))
    caught(slowpath.judge(_judged(begun.note(B, "round", B, 1))), "asked for in vain")


# -- looking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (SCATTERED, CONTINUE),
        ((13,), SKIPPED),  # the watermark, and twice what is wanted
        ((20, 0, 0, 0), SKIPPED),
        ((20, 1, 1, 0), SKIPPED),  # three pages of four: what is missing is memory
        ((20, 16, 0, 1, 20, 16, 0), CONTINUE),  # there is a block, and small ones are all that would be left
        ((40, 0, 0, 10, 40, 0, 0), PARTIAL),
        ((20, 20, 0), UNSEEN),
        ((), UNSEEN),
    ],
)
def test_whether_a_compaction_could_help_is_reckoned_from_what_was_looked_at(looks: tuple[int, ...], said: str) -> None:
    """Looks: free pages, free blocks of orders 0 to 2, free pages again, free blocks of orders 0 and 1."""
    orders = (-1, 0, 1, 2, -1, 0, 1)
    assert suitable([Look(*look) for look in zip(orders, looks, strict=False)], ORDER, LOW, ORDER)[0] == said


def test_slowpath_oracle_catches_a_compaction_that_cannot_help_and_one_that_did_not_look() -> None:
    caught(slowpath.judge(_judged(_compacts(_asks(_hand()), free=(13,)))), "compacts in vain")
    caught(slowpath.judge(_judged(_compacts(_asks(_hand()), free=(20,)))), "compacts without a look")
    caught(slowpath.judge(_judged(_compacts(_asks(_hand()), free=()))), "compacts without a look")


def test_slowpath_oracle_catches_a_call_of_compaction_of_which_nothing_came() -> None:
    called = _counts(_asks(_hand()), "COMPACTSTALL")
    caught(slowpath.judge(_judged(_reclaims(called))), "does not compact")
    caught(slowpath.judge(_judged(_reclaims(_looks(_counts(_asks(_hand()), "COMPACTSTALL"))))), "does not compact")
    passed(slowpath.judge(_judged(_reclaims(_looks(_counts(_asks(_hand()), "COMPACTSTALL"), (13,))))))


def test_slowpath_oracle_catches_a_first_compaction_that_waits() -> None:
    caught(slowpath.judge(_judged(_compacts(_asks(_hand()), sync=True))), "waits at once")
    passed(slowpath.judge(_judged(_compacts(_asks(_scans(_reclaims(_compacts(_asks(_hand()))))), sync=True))))


# -- remembering ---------------------------------------------------------------------------------------------------


def test_slowpath_oracle_catches_a_failure_that_is_not_remembered_as_its_era_does() -> None:
    caught(slowpath.judge(_judged(_falls_back(_whole()))), "deferral forgotten")
    first = _counts(_compacts(_asks(_hand())), "COMPACTFAIL")
    caught(slowpath.judge(_judged(_reclaims(first), "3.2")), "deferral forgotten")
    caught(
        slowpath.judge(_judged(_reclaims(_puts_off(_counts(_compacts(_asks(_hand())), "COMPACTFAIL"))))),
        "deferral for too little",
    )


def test_slowpath_oracle_catches_a_wrong_count_of_deferral() -> None:
    caught(slowpath.judge(_judged(_puts_off(_whole(), shift=2, now=2))), "deferral miscounted")
    passed(slowpath.judge(_judged(_puts_off(_whole(), shift=6, now=6))))
    asked = _reads(_reads(_hand(), "compact_defer_shift", 2), "compact_considered", 1)
    caught(slowpath.judge(_judged(asked.write(A, "zone:0.compact_considered", 1, 1))), "deferral miscounted")


def test_slowpath_oracle_catches_a_success_that_does_not_end_deferral() -> None:
    def succeeds(ends: bool) -> Record:
        hand = _compacts(_asks(_hand())).note(A, "alloc-block", "page:0", ORDER, HUGE, False)
        if ends:
            hand.write(A, "zone:0.compact_considered", 0, 1).write(A, "zone:0.compact_defer_shift", 0, 0)
        return _judged(_counts(hand, "COMPACTSUCCESS"))

    passed(slowpath.judge(succeeds(ends=True)))
    caught(slowpath.judge(succeeds(ends=False)), "deferral not ended")


# -- reclaim -------------------------------------------------------------------------------------------------------


def _small(hand: Hand) -> Hand:
    """A reclaim for a single page, and what comes after it."""
    return _reclaims(hand, KERNEL, order=0)


def _got(hand: Hand) -> Record:
    return _judged(hand.note(A, "alloc-block", "page:0", 0, KERNEL, False))


@pytest.mark.parametrize(("inactive", "active"), [(3, 0), (3, 2), (2, 3), (0, 0)])
def test_slowpath_oracle_passes_on_reclaim_that_ages_and_scans(inactive: int, active: int) -> None:
    passed(slowpath.judge(_got(_scans(_small(_hand()), inactive, active))))


def test_slowpath_oracle_catches_a_reclaim_that_is_left_out() -> None:
    caught(slowpath.judge(_got(_small(_hand()))), "reclaim left out")
    caught(slowpath.judge(_got(_counts(_small(_hand()), "ALLOCSTALL"))), "reclaim left out")
    caught(slowpath.judge(_got(_reads(_counts(_small(_hand()), "ALLOCSTALL"), "nr_inactive", 3))), "reclaim left out")


def test_slowpath_oracle_catches_lists_that_are_left_alone() -> None:
    def looked(*more: tuple[str, int], active: int) -> Record:
        hand = _reads(_counts(_small(_hand()), "ALLOCSTALL"), "nr_inactive", 2)
        for field, value in (("nr_active", active), *more):
            _reads(hand, field, value)
        return _got(hand)

    caught(slowpath.judge(looked(active=0)), "inactive list left alone")
    caught(slowpath.judge(looked(("nr_inactive", 2), ("nr_isolated", 0), active=3)), "active list left alone")
    longer = (("nr_active", 3), ("nr_inactive", 2), ("nr_inactive", 2), ("nr_isolated", 0))
    caught(slowpath.judge(looked(*longer, active=3)), "active list left alone")


def test_slowpath_oracle_knows_that_a_reclaim_may_leave_the_rest_to_compaction() -> None:
    def leaves(free: int, era: str = "") -> Record:
        begun = _counts(_reclaims(_asks(_hand(), shift=1), KERNEL), "ALLOCSTALL")
        return _judged(_reads(begun, "nr_free_pages", free).note(A, "alloc-block", "page:0", ORDER, HUGE, False), era)

    passed(slowpath.judge(leaves(HIGH + (2 << ORDER) + 1)))
    caught(slowpath.judge(leaves(HIGH + (2 << ORDER))), "reclaim left out")
    passed(slowpath.judge(leaves(HIGH, "3.2")))
    caught(slowpath.judge(leaves(40, "3.1")), "reclaim left out")


def test_slowpath_oracle_catches_a_reclaim_for_a_large_order_that_does_not_ask_for_room() -> None:
    hand = _counts(_reclaims(_asks(_hand(), shift=1), KERNEL), "ALLOCSTALL")
    _reads(_reads(_reads(hand, "nr_inactive", 0), "nr_active", 0), "nr_free_pages", 7)
    done = hand.note(A, "alloc-block", "page:0", ORDER, HUGE, False)
    caught(slowpath.judge(_judged(done)), "no room asked for")
    passed(slowpath.judge(_judged(done, "3.1")))


def test_slowpath_oracle_catches_a_reclaim_for_a_large_order_that_does_not_leave_the_rest_to_compaction() -> None:
    def reclaims(free: int, put_off: bool, era: str = "") -> Record:
        hand = _reads(_counts(_reclaims(_asks(_hand(), shift=1), KERNEL), "ALLOCSTALL"), "nr_free_pages", free)
        _asks(hand, considered=0 if put_off else 1, shift=1)
        if not put_off:
            _looks(hand, (free, free, 0, 0))
        _reads(_reads(hand, "nr_inactive", 0), "nr_active", 0)
        return _judged(hand.note(A, "alloc-block", "page:0", ORDER, HUGE, False), era)

    enough = LOW + HIGH + (2 << ORDER) + 1
    for put_off in (True, False):
        caught(slowpath.judge(reclaims(enough, put_off)), "reclaims though there is room")
        passed(slowpath.judge(reclaims(enough - 1, put_off)))
    passed(slowpath.judge(reclaims(enough, True, "3.1")))


def test_slowpath_oracle_catches_a_small_allocation_that_fails_while_its_reclaim_frees_pages() -> None:
    def fails(mask: int, freed: int) -> Record:
        hand = _scans(_reclaims(_hand(), mask, order=0))
        if freed:
            _counts(hand, "PGSTEAL_NORMAL", freed)
        return _judged(hand.note(A, "round", A, 0))

    caught(slowpath.judge(fails(KERNEL, 1)), "gives up too soon")
    passed(slowpath.judge(fails(KERNEL, 0)))
    passed(slowpath.judge(fails(KERNEL | gfp.__GFP_NORETRY, 1)))
