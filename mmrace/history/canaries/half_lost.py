"""BUGGY: of a large block that is freed only the first half gets to the free lists."""

from collections.abc import Callable

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant, over
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import MigrateType, Zone


def free_one_page(below: Callable[..., None], zone: Zone, page: Page, order: int, migratetype: MigrateType) -> None:
    """Free a block with an order that is one too small."""
    below(zone, page, max(order - 1, 0), migratetype)


CANARY = Canary(
    variant=Variant(
        "half-lost",
        "the second half of a large block is lost when it is freed",
        {"mm.page_alloc:free_one_page": over(free_one_page)},
        source="every frame is in use or on a free list",
    ),
    scenario="tight-memory",
    oracle="conservation",
    rule="frame lost",
    params={"without": "committer", "idle": 0, "faults": 2, "held": 0, "rounds": 1, "free": 0, "kept": 0},
)
