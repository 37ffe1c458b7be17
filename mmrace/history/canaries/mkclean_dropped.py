"""BUGGY: clear_page_dirty_for_io leaves the ptes as they are.

A program that has stored through a pte before stores through it again, without a fault, after the page was written: the
page is clean, and nobody writes the second store.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import mm, page_flags
from mmrace.kernel.mm.mm_types import Page


def clear_page_dirty_for_io(page: Page) -> bool:
    """Take the page's dirty bit, without a look at its ptes."""
    mapping = mm.page_mapping(page)
    rt.bug_on(not page_flags.PageLocked(page), "clear_page_dirty_for_io: page is not locked", page=page)
    if page_flags.TestClearPageDirty(page):
        if mapping is not None:
            page.zone.account("NR_FILE_DIRTY", -1)
        return True
    return False


CANARY = Canary(
    variant=Variant(
        "mkclean-dropped",
        "writeback does not take the right to store from the ptes of a page that it cleans",
        {"mm.page_writeback:clear_page_dirty_for_io": clear_page_dirty_for_io},
        source="page_mkclean in clear_page_dirty_for_io, since dirty pages are counted (2.6.19)",
    ),
    scenario="mapped-vs-writeback",
    oracle="ptes",
    rule="dirty pte, clean page",
    params={"stores": 2, "rounds": 6, "idle": 100},
    hunt=shortest(rounds=2, stores=2, touched=1),
)
