"""Memory as it is after a while: the file's pages lie here and there, and so do frames that others use.

Part of the set-up, for casts with huge pages.  Invariant: afterwards each pageblock has a used frame, so that no huge
page is free, while those that only the file uses can be emptied.  Frames of others are in no mapping and on no LRU:
nobody can move them, and they stay to the end of the run.
Not played: how memory came to be so.
"""

from __future__ import annotations

from collections.abc import Callable

from mmrace.kernel import gfp
from mmrace.kernel.mm import mmzone, page_alloc
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import Machine, MigrateType

OTHERS = "others"
"""The reference of whoever uses a frame that no actor knows of."""


def scatter(machine: Machine, pages: int, fill: Callable[[int], object], pinned: int) -> None:
    """Fill pages of the file, each in a pageblock of its own as far as there are any, from the lowest on.

    Args: pages: how many; fill: takes the one free frame for the page of an index; pinned: so many of the first
    pageblocks have a frame besides that is for good, and are of the migrate type of such frames.
    """
    taken = _take_all(machine)
    whole = _whole_blocks(machine, taken)
    assert whole, "the machine has a pageblock that the set-up did not use"
    for index in range(pages):
        turn, number = divmod(index, len(whole))
        page_alloc.__free_page(taken.pop(whole[number] + turn))
        fill(index)
    last = mmzone.pageblock_nr_pages(machine) - 1
    for number, first in enumerate(whole):
        if number < pinned:
            mmzone.set_pageblock_migratetype(machine.pages[first], MigrateType.MIGRATE_UNMOVABLE)
        if number < pinned or number >= pages:
            _keep(taken.pop(first + last, None))
    for pfn in sorted(taken):
        page_alloc.__free_page(taken[pfn])


def leave(machine: Machine, free: int) -> list[Page]:
    """Have others take frames until so many are free, or fewer; returns what they took."""
    taken = _take_all(machine)
    while taken and mmzone.zone_page_state(machine.zone, "NR_FREE_PAGES") < free:
        page_alloc.__free_page(taken.popitem()[1])
    for page in taken.values():
        page._count.rename("new", OTHERS)
    return list(taken.values())


def give_back(pages: list[Page]) -> None:
    """Free what others took."""
    while pages:
        page_alloc.__free_page(pages.pop(), OTHERS)


def _take_all(machine: Machine) -> dict[int, Page]:
    """Take every free frame, by its number, with no more effort than a look at the free lists."""
    taken: dict[int, Page] = {}
    while (page := page_alloc.alloc_page(machine, gfp.__GFP_MOVABLE | gfp.__GFP_HIGH | gfp.__GFP_NOWARN)) is not None:
        taken[page.pfn] = page
    return taken


def _whole_blocks(machine: Machine, taken: dict[int, Page]) -> list[int]:
    """Return the first frames of the pageblocks of which nobody else has a frame."""
    block = mmzone.pageblock_nr_pages(machine)
    firsts = range(0, len(machine.pages), block)
    return [first for first in firsts if all(pfn in taken for pfn in range(first, first + block))]


def _keep(page: Page | None) -> None:
    """Leave a frame to others."""
    if page is not None:
        page._count.rename("new", OTHERS)
