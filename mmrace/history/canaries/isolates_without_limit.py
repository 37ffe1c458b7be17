"""BUGGY: compaction does not care how many pages are isolated already.

With enough compactors nothing is left on the LRU for reclaim, which then takes memory for full.
"""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm.mmzone import Zone


def too_many_isolated(zone: Zone) -> bool:
    """Say no."""
    return False


CANARY = Canary(
    variant=Variant(
        "isolates-without-limit",
        "compaction goes on isolating, whatever others have isolated",
        {"mm.compaction:too_many_isolated": too_many_isolated},
        source="isolate_migratepages waits or gives up while more than half of the LRU is isolated",
    ),
    scenario="two-compactors",
    oracle="compaction",
    rule="too many isolated",
    hunt={
        "idle": 0,
        "rounds": 2,
        "migrations": 4,
        "words": 1,
        "pages": 2,
        "passes": 1,
        "without": "hugepage",
        "device": 1,
        "batch": 4,
    },
)
