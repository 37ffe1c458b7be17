"""The allocator oracle: frames given out twice, watermarks, who reclaims, and what the free lists are at rest."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace.kernel import gfp
from mmrace.oracles.protocol import allocator, conservation
from mmrace.oracles.protocol.snapshot import snapshots
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from tests.oracles.hand import Hand, at_rest, free_page, page, rest
from tests.oracles.verdicts import caught, passed, unknown

A, B = "hugepage", "writer"
KERNEL, ATOMIC = gfp.GFP_KERNEL, gfp.GFP_ATOMIC
LEAST = 4


def _hand() -> Hand:
    """A zone that keeps four pages."""
    return Hand(A, B).note("main", "zone", 2, 2, LEAST, 5, 6)


def _sees(hand: Hand, free: int, task: str = A) -> Hand:
    return hand.op(task, Kind.READ, "zone:0.nr_free_pages", free)


def _takes(hand: Hand, pfn: int, order: int = 0, mask: int = KERNEL, memalloc: bool = False, task: str = A) -> Hand:
    for frame in range(pfn, pfn + (1 << order)):
        hand.note(task, "page-alloc", f"page:{frame}")
    return hand.note(task, "alloc-block", f"page:{pfn}", order, mask, memalloc)


def _judged(hand: Hand) -> Record:
    return at_rest(hand, rest([])).record()


@pytest.mark.parametrize(
    ("free", "order", "mask", "memalloc"),
    [
        (5, 0, KERNEL, False),
        (8, 2, KERNEL, False),
        (3, 0, ATOMIC, False),  # it may take half of four, and a quarter of what is left
        (1, 0, KERNEL, True),
    ],
)
def test_an_allocation_that_leaves_what_is_kept_passes(free: int, order: int, mask: int, memalloc: bool) -> None:
    passed(allocator.judge(_judged(_takes(_sees(_hand(), free), 0, order, mask, memalloc))))


@pytest.mark.parametrize(
    ("free", "order", "mask", "memalloc"),
    [
        (4, 0, KERNEL, False),
        (7, 2, KERNEL, False),
        (2, 0, ATOMIC, False),
        (1, 0, KERNEL | gfp.__GFP_NOMEMALLOC, True),
    ],
)
def test_an_allocation_from_what_is_kept_is_caught(free: int, order: int, mask: int, memalloc: bool) -> None:
    caught(allocator.judge(_judged(_takes(_sees(_hand(), free), 0, order, mask, memalloc))), "below the watermark")


def test_a_look_serves_for_one_allocation_of_who_looked() -> None:
    caught(allocator.judge(_judged(_takes(_takes(_sees(_hand(), 9), 0), 1))), "below the watermark")
    caught(allocator.judge(_judged(_takes(_sees(_hand(), 9, B), 0))), "below the watermark")


def test_a_frame_is_given_out_again_only_when_it_was_freed() -> None:
    hand = _takes(_sees(_hand(), 9), 0, 1)
    passed(allocator.judge(_judged(_takes(_sees(hand.note(A, "page-free", "page:1"), 9), 1))))
    again = _takes(_sees(_hand(), 9), 0, 1)
    found = caught(allocator.judge(_judged(_takes(_sees(again, 9, B), 1, task=B))), "frame given out twice")
    assert "page:1" in found.title and "(writer)" in found.title


def test_a_page_that_is_put_into_a_file_was_allocated_as_movable() -> None:
    def puts(mask: int, ino: str) -> Record:
        return _judged(_takes(_sees(_hand(), 9), 0, mask=mask).write(A, f"slot:{ino}:0.page", "page:0"))

    passed(allocator.judge(puts(KERNEL | allocator.GFP_MOVABLE, "5")))
    passed(allocator.judge(puts(KERNEL, "bdev")))
    caught(allocator.judge(puts(KERNEL, "5")), "page of a file not movable")


def test_a_block_that_lies_askew_is_caught() -> None:
    caught(allocator.judge(_judged(_takes(_sees(_hand(), 9), 1, 1))), "misaligned block")


@pytest.mark.parametrize(
    ("mask", "memalloc", "rule"),
    [(KERNEL, True, "reclaim within reclaim"), (ATOMIC, False, "reclaim by who may not sleep")],
)
def test_who_may_not_reclaim_is_caught(mask: int, memalloc: bool, rule: str) -> None:
    passed(allocator.judge(_judged(_hand().note(A, "direct-reclaim", 0, KERNEL, False))))
    caught(allocator.judge(_judged(_hand().note(A, "direct-reclaim", 0, mask, memalloc))), rule)


def _scans(hand: Hand, inactive: int | None, isolated: int, scanned: str = "PGSCAN_DIRECT_NORMAL") -> Record:
    if inactive is not None:
        hand.op(A, Kind.READ, "zone:0.nr_inactive", inactive).op(A, Kind.READ, "zone:0.nr_isolated", isolated)
    return _judged(hand.note(A, "vm-event", scanned, 1))


def test_who_reclaims_has_seen_that_enough_pages_are_left_by_others() -> None:
    passed(allocator.judge(_scans(_hand(), 2, 2)))
    caught(allocator.judge(_scans(_hand(), 1, 2)), "too many isolated")
    caught(allocator.judge(_scans(_hand(), None, 0)), "too many isolated")
    unknown(allocator.judge(_scans(_hand(), None, 0, "PGSCAN_KSWAPD_NORMAL")))


def test_a_zone_in_which_nobody_counts_is_not_judged() -> None:
    unknown(allocator.judge(_judged(_takes(Hand(A), 0))))


# -- at rest -------------------------------------------------------------------------------------------------------

FREE = {0: [0], 1: [2], 2: [4]}  # of eight frames only the second is in use


def _row(pfn: int, order: int, marked: int | None) -> dict[str, object]:
    return {"page": f"page:{pfn}", "order": order, "marked": marked}


def _zone(free: dict[int, list[int]] | None = None, **over: object) -> Record:
    blocks = [_row(pfn, order, order) for order, pfns in (free or FREE).items() for pfn in pfns]
    listed = [f"page:{pfn + i}" for order, pfns in (free or FREE).items() for pfn in pfns for i in range(1 << order)]
    pages = [page("page:1") if pfn == 1 else free_page(f"page:{pfn}") for pfn in range(8)]
    snap = rest(
        pages,
        [],
        free_list=listed,
        free_blocks=blocks,
        areas={str(order): len(pfns) for order, pfns in (free or FREE).items()},
        counters={"NR_FREE_PAGES": len(listed), "NR_ACTIVE": 0, "NR_INACTIVE": 0},
    )
    return at_rest(Hand(A), snap | over).record()


def test_free_blocks_that_are_whole_and_counted_pass() -> None:
    passed(allocator.judge(_zone()))


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (_zone({0: [0, 2, 3], 1: [], 2: [4]}), "buddies not merged"),
        (_zone({0: [0], 1: [2, 6], 2: [4]}), "free blocks overlap"),
        (_zone({0: [0, 2], 1: [5]}), "misaligned block"),
        (_zone(free_blocks=[_row(0, 0, None), _row(2, 1, 1), _row(4, 2, 2)]), "wrong order"),
        (_zone(free_blocks=[_row(0, 0, 0), _row(2, 1, 0), _row(4, 2, 2)]), "wrong order"),
        (_zone(areas={"0": 1, "1": 2, "2": 1}), "miscounted"),
        (_zone(counters={"NR_FREE_PAGES": 8}), "miscounted"),
        (_zone(counters={"NR_INACTIVE": 1}), "miscounted"),
        (_zone(counters={"NR_ACTIVE": 1}), "miscounted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_free_blocks_that_are_not_what_they_should_be_are_caught(record: Record, rule: str) -> None:
    found = allocator.judge(record)
    assert {finding.rule for finding in found.findings} == {rule}


def test_the_largest_blocks_have_no_larger_one_to_become() -> None:
    passed(allocator.judge(_zone({0: [], 1: [], 2: [0, 4]})))


def _in_use(**over: Any) -> Record:
    """Four frames, all of one block that is in use."""
    pages = [page(f"page:{pfn}", count=int(pfn == 0), mapping=None, index=None, flags=[]) for pfn in range(4)]
    zone: dict[str, Any] = {
        "free_list": [],
        "free_blocks": [],
        "areas": {"2": 0},
        "blocks": {"page:0": 2},
        "heads": [],
    }
    return at_rest(Hand(A), rest(pages, [], **(zone | over))).record()


def test_pages_of_a_block_in_use_are_held_by_its_first() -> None:
    assert snapshots(_in_use())[0].tails == {"page:1", "page:2", "page:3"}
    passed(conservation.judge(_in_use()))
    assert {finding.rule for finding in conservation.judge(_in_use(blocks={"page:0": 1})).findings} == {"frame lost"}


def test_a_record_of_before_blocks_were_kept_is_readable() -> None:
    old = at_rest(Hand(A), rest([page("page:0")])).record()
    assert snapshots(old)[0].free_blocks is None and not snapshots(old)[0].tails
    unknown(allocator.judge(old))
