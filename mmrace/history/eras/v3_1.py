"""Linux 3.1, before anything was done about stalls: isolation takes dirty pages and pages under writeback.

Async refuses them later, with the page locked: what is under writeback in __unmap_and_move, what is dirty in
move_to_new_page.  No reclaim ends early because compaction could begin, and a direct one writes dirty pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace.history.era import Era
from mmrace.history.eras import v3_2
from mmrace.history.variant import over
from mmrace.kernel.mm.vmscan import IsolateMode

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Zone
    from mmrace.kernel.mm.vmscan import ScanControl

_LATER = IsolateMode.ISOLATE_CLEAN | IsolateMode.ISOLATE_UNMAPPED | IsolateMode.ISOLATE_ASYNC_MIGRATE
"""The filters that came with 3.2 and after it."""


def __isolate_lru_page(below: Callable[..., int], page: Page, mode: IsolateMode) -> int:
    """Try to take a page off the LRU, dirty or not: there is no filter but the list that it is on."""
    return below(page, mode & ~_LATER)


def _left_to_flusher(page: Page, sc: ScanControl) -> bool:
    """Say no: any reclaim writes what it may write, a direct one too."""
    return False


def compaction_ready(zone: Zone, sc: ScanControl) -> bool:
    """Say no: a reclaim goes on until it has what it was asked for."""
    return False


ERA = Era(
    "3.1",
    "async isolates dirty pages too, and blocks for the buffers of clean ones",
    {
        "mm.vmscan:__isolate_lru_page": over(__isolate_lru_page),
        "mm.vmscan:_left_to_flusher": _left_to_flusher,
        "mm.vmscan_zone:compaction_ready": compaction_ready,
    },
    source="the tag v3.1; without commits 39deaf85 and f80c067 (filters), ee72886d (writes)",
    on=v3_2.ERA,
)
