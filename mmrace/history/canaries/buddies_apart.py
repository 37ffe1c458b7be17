"""BUGGY: a block that is freed is never merged with its buddy: in time there are no large blocks."""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm.mm_types import Page


def page_is_buddy(page: Page, buddy: Page, order: int) -> bool:
    """Say that the block beside is in use, whatever it is."""
    return False


CANARY = Canary(
    variant=Variant(
        "buddies-apart",
        "a freed block is not merged with its free buddy",
        {"mm.page_alloc:page_is_buddy": page_is_buddy},
        source="free memory is contiguous only because buddies merge",
    ),
    scenario="tight-memory",
    oracle="allocator",
    rule="buddies not merged",
    params={"without": "committer", "idle": 0, "faults": 2, "held": 0, "rounds": 1, "free": 0, "kept": 0},
)
