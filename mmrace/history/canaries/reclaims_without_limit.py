"""BUGGY: direct reclaim never waits for others who have isolated pages: it takes what little is left of the LRU."""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm.mmzone import Zone


def too_many_isolated(zone: Zone) -> bool:
    """Say that few pages are isolated, without a look."""
    return False


CANARY = Canary(
    variant=Variant(
        "reclaims-without-limit",
        "direct reclaim does not wait while too many pages are isolated",
        {"mm.vmscan:too_many_isolated": too_many_isolated},
        source="shrink_inactive_list waits while more pages are isolated than inactive",
    ),
    scenario="tight-memory",
    oracle="allocator",
    rule="too many isolated",
    params={
        "without": "committer,reader",
        "huge": 0,
        "idle": 0,
        "faults": 8,
        "held": 6,
        "rounds": 3,
        "pages": 1,
        "free": 2,
        "kept": 1,
    },
)
