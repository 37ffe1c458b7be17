"""Memory as it is after a while: the file's pages lie here and there, and so do frames that others use.

Part of the set-up, for casts with huge pages, or with few free frames.  Invariant: with huge pages, each pageblock has
a used frame afterwards, so that no huge page is free, while those that only the file uses can be emptied.  Frames of
others are in no mapping and on no LRU: nobody can move them, and they stay to the end of the run.
Not played: how memory came to be so.
"""

from __future__ import annotations

from collections.abc import Callable

from mmrace.actors.hugepage import HELD
from mmrace.actors.stage import Stage
from mmrace.kernel import gfp
from mmrace.kernel.mm import mmzone, page_alloc
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import Machine, MigrateType
from mmrace.runtime.param import Number

HUGE = Number(
    "huge",
    0,
    0,
    4,
    says="order of a huge page, and of a pageblock: the zone has free blocks of all orders up to it, and the file's "
    "pages lie scattered over it, so that none is free at first; 0: free frames are on one list, and are all alike",
)
FRAMES = Number(
    "frames",
    0,
    0,
    1024,
    says="page frames of a machine with huge pages, up to a whole pageblock; 0: as many as its cast can use, and some",
)
PINNED = Number(
    "pinned",
    0,
    0,
    16,
    says="pageblocks of the file's that have a frame of the kernel's own too, for good: asynchronous compaction passes "
    "them over",
)
CLUSTER = Number(
    "cluster",
    mmzone.SWAP_CLUSTER_MAX,
    1,
    mmzone.SWAP_CLUSTER_MAX,
    says="pages that a compaction takes at once, and frames after which it lets go of lru_lock (32 in the kernel)",
)
FREE = Number(
    "free",
    0,
    0,
    64,
    says="frames that are free when the actors begin, beyond those of `kept`; others have the rest until the sync, so "
    "that who allocates has to make room. 0: enough for all",
)
KEPT = Number(
    "kept",
    0,
    0,
    16,
    says="free frames that an ordinary allocation leaves for who frees memory, and half of them for who may not sleep",
)
PARAMS = (HUGE, FRAMES, PINNED, CLUSTER, FREE, KEPT)

SPARE_BLOCKS = 2
"""Pageblocks beyond what a cast needs: one at work, and one for what asynchronous compaction passes over."""

OTHERS = "others"
"""The reference of whoever uses a frame that no actor knows of."""


def frames(stage: Stage, needed: int) -> int:
    """Say how many page frames the machine has; with huge pages, whole pageblocks, and room for what is scattered."""
    huge, asked = stage.value(HUGE), stage.value(FRAMES)
    if not huge:
        return needed
    block = 1 << huge
    if asked:
        return -(-asked // block) * block
    blocks = -(-needed // block) + stage.pages + stage.value_or_default(HELD) + SPARE_BLOCKS
    return blocks * block


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
