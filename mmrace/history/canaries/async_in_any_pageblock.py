"""BUGGY: asynchronous compaction does not look at what a pageblock is for.

It spends its time on pageblocks of which the kernel itself has frames: no large block can come of that.
"""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm.compaction import CompactControl
from mmrace.kernel.mm.mm_types import Page


def _pageblock_will_do(cc: CompactControl, page: Page) -> bool:
    """Say yes."""
    return True


CANARY = Canary(
    variant=Variant(
        "async-in-any-pageblock",
        "asynchronous compaction isolates pages of any pageblock",
        {"mm.compaction:_pageblock_will_do": _pageblock_will_do},
        source="isolate_migratepages passes over pageblocks that are not MIGRATE_MOVABLE, unless it may wait",
    ),
    scenario="compaction-vs-reclaim",
    oracle="compaction",
    rule="pageblock not movable",
    params={"compacts": "direct-async", "pinned": 2},
    hunt={"idle": 0, "rounds": 1, "words": 1, "pages": 3, "without": "hugepage,reclaimer"},
)
