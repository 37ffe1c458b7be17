"""BUGGY: compaction takes a free block apart, and counts one page less free, however many it has."""

from collections.abc import Callable

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant, over
from mmrace.kernel.mm.mm_types import Page


def split_free_page(below: Callable[..., int], page: Page) -> int:
    """Split the block, and count all but one of its pages as free still."""
    taken = below(page)
    if taken > 1:
        page.zone.account("NR_FREE_PAGES", taken - 1)
    return taken


CANARY = Canary(
    variant=Variant(
        "split-counts-one",
        "a block that compaction splits is counted as one page",
        {"mm.page_alloc:split_free_page": over(split_free_page)},
        source="watermarks are kept only if free pages are counted",
    ),
    scenario="tight-memory",
    oracle="allocator",
    rule="miscounted",
    params={"without": "committer", "idle": 0, "faults": 2, "held": 0, "rounds": 1, "free": 0, "kept": 0},
)
