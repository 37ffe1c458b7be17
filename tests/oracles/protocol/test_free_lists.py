"""The free-lists oracle: which block an allocation is given, and where what is left or freed goes."""

from __future__ import annotations

import pytest

from mmrace.kernel import gfp
from mmrace.oracles.protocol import free_lists
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

A = "hugepage"
UNMOVABLE, RECLAIMABLE, MOVABLE = (f"MIGRATE_{kind}" for kind in ("UNMOVABLE", "RECLAIMABLE", "MOVABLE"))
MAX_ORDER = 3
PAGEBLOCK_ORDER = 2
OWN, OTHER = gfp.GFP_HIGHUSER_MOVABLE, gfp.GFP_KERNEL
"""Masks that ask for a movable, and for an unmovable page."""

Blocks = dict[tuple[int, str], tuple[int, ...]]


class Zone:
    """A record of a zone whose lists are changed one block at a time."""

    def __init__(self, free: Blocks) -> None:
        self.hand = Hand(A).note("main", "zone", MAX_ORDER, PAGEBLOCK_ORDER, 0, 0, 0)
        self.lists: Blocks = {}
        for where, pfns in free.items():
            for pfn in pfns:
                self.put(where, pfn, last=True, task="main")

    def _write(self, where: tuple[int, str], new: tuple[int, ...], task: str) -> None:
        old, self.lists[where] = self.lists.get(where, ()), new
        pages = [[f"page:{pfn}" for pfn in pfns] for pfns in (new, old)]
        self.hand.write(task, f"free:{where[0]}:{where[1]}.pages", *pages)

    def put(self, where: tuple[int, str], pfn: int, last: bool = False, task: str = A) -> Zone:
        old = self.lists.get(where, ())
        self._write(where, (*old, pfn) if last else (pfn, *old), task)
        return self

    def take(self, where: tuple[int, str], pfn: int) -> Zone:
        self._write(where, tuple(other for other in self.lists[where] if other != pfn), A)
        return self

    def lock(self) -> Zone:
        self.hand.op(A, Kind.ACQUIRE, "zone:0.lock")
        return self

    def becomes(self, pageblock: int, kind: str) -> Zone:
        self.hand.write(A, f"pageblock:{pageblock}.migratetype", kind, MOVABLE)
        return self

    def given(self, pfn: int, order: int = 0, mask: int = OWN) -> Record:
        """The task drops the lock, with this block."""
        self.hand.op(A, Kind.RELEASE, "zone:0.lock")
        return self.hand.note(A, "alloc-block", f"page:{pfn}", order, mask, False).record()

    def freed(self) -> Record:
        """The task drops the lock; what it did was to free a block."""
        return self.hand.op(A, Kind.RELEASE, "zone:0.lock").record()


def test_free_lists_oracle_passes_on_the_smallest_block_of_the_own_type() -> None:
    zone = Zone({(0, MOVABLE): (1,), (2, MOVABLE): (4,), (0, UNMOVABLE): (9,)}).lock()
    passed(free_lists.judge(zone.take((0, MOVABLE), 1).given(1)))


def test_free_lists_oracle_has_nothing_to_say_of_a_zone_with_one_list() -> None:
    unknown(free_lists.judge(Zone({(0, UNMOVABLE): (1, 2)}).lock().take((0, UNMOVABLE), 1).given(1)))


def test_free_lists_oracle_catches_a_larger_block_that_is_split_for_nothing() -> None:
    zone = Zone({(0, MOVABLE): (1,), (1, MOVABLE): (4,), (0, UNMOVABLE): (9,)}).lock()
    caught(free_lists.judge(zone.take((1, MOVABLE), 4).put((0, MOVABLE), 5).given(4)), "smaller block passed over")


def test_free_lists_oracle_catches_a_block_of_another_type_where_there_is_one_of_the_own() -> None:
    free: Blocks = {(1, MOVABLE): (4,), (0, UNMOVABLE): (9,)}
    caught(free_lists.judge(Zone(free).lock().take((0, UNMOVABLE), 9).given(9)), "own type passed over")
    passed(free_lists.judge(Zone(free).lock().take((0, UNMOVABLE), 9).given(9, mask=OTHER)))


@pytest.mark.parametrize(
    ("free", "taken", "rule"),
    [
        ({(0, UNMOVABLE): (9,), (0, "MIGRATE_RESERVE"): (12,)}, (0, UNMOVABLE), ""),
        ({(0, UNMOVABLE): (9,), (1, RECLAIMABLE): (12,)}, (0, UNMOVABLE), "wrong fallback"),
        ({(0, UNMOVABLE): (9,), (0, RECLAIMABLE): (12,)}, (0, UNMOVABLE), "wrong fallback"),
        ({(0, UNMOVABLE): (12,), (0, RECLAIMABLE): (9,)}, (0, RECLAIMABLE), ""),
    ],
)
def test_free_lists_oracle_knows_the_order_of_fallbacks(free: Blocks, taken: tuple[int, str], rule: str) -> None:
    judged = free_lists.judge(Zone(free).lock().take(taken, 9).given(9))
    if rule:
        caught(judged, rule)
    else:
        passed(judged)


def _steals(moves: bool = True, takes_over: bool = True) -> Record:
    """Movable pages are short: half of an unmovable pageblock is taken, another page of which is free."""
    zone = Zone({(1, UNMOVABLE): (4,), (0, UNMOVABLE): (7,), (0, MOVABLE): ()}).becomes(1, UNMOVABLE).lock()
    for order, pfn in ((1, 4), (0, 7)) if moves else ():
        zone.take((order, UNMOVABLE), pfn).put((order, MOVABLE), pfn)
    if takes_over:
        zone.becomes(1, MOVABLE)
    return zone.take((1, MOVABLE if moves else UNMOVABLE), 4).put((0, MOVABLE), 5).given(4)


def test_free_lists_oracle_catches_a_pageblock_that_is_left_mixed_or_not_taken_over() -> None:
    passed(free_lists.judge(_steals()))
    caught(free_lists.judge(_steals(moves=False)), "pageblock left mixed")
    caught(free_lists.judge(_steals(takes_over=False)), "pageblock not taken over")


@pytest.mark.parametrize(
    ("buddy", "last", "rule"),
    [
        (True, True, ""),
        (True, False, "wrong end of a list"),  # 0 and 1 become a block, and that one with the block of 2 and 3
        (False, False, ""),
        (False, True, "wrong end of a list"),
    ],
)
def test_free_lists_oracle_knows_to_which_end_a_freed_block_goes(buddy: bool, last: bool, rule: str) -> None:
    zone = Zone({(0, MOVABLE): (9,), (1, MOVABLE): (2,) if buddy else (4,), (0, UNMOVABLE): (11,)}).lock()
    zone.hand.note(A, "page-free", "page:0")
    judged = free_lists.judge(zone.put((0, MOVABLE), 0, last=last).freed())
    if rule:
        caught(judged, rule)
    else:
        passed(judged)


def test_free_lists_oracle_lets_the_only_block_of_a_list_lie_as_it_does() -> None:
    zone = Zone({(0, MOVABLE): (9,), (0, UNMOVABLE): (11,)}).lock().take((0, MOVABLE), 9)
    zone.hand.note(A, "page-free", "page:0")
    unknown(free_lists.judge(zone.put((0, MOVABLE), 0).freed()))
