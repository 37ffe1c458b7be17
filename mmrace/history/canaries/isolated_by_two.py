"""BUGGY: the migrate scanner asks for PG_lru before it has lru_lock, and takes the answer for good.

Meanwhile somebody else may isolate the page: then it has two isolators.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm import mm, page_flags, swap
from mmrace.kernel.mm.compaction import CompactControl
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import Zone


def _isolate_page(zone: Zone, cc: CompactControl, page: Page) -> bool:
    """Look at PG_lru without the lock, then isolate."""
    rt.spin_unlock_irq(zone.lru_lock)
    on_lru = page_flags.PageLRU(page)
    rt.spin_lock_irq(zone.lru_lock)
    if not on_lru or not mm.get_page_unless_zero(page, "isolation"):
        return False
    page_flags.ClearPageLRU(page)
    swap.del_page_from_lru_list(zone, page, swap.page_lru(page))
    rt.note("compact-isolate", page)
    cc.migratepages.insert(0, page)
    cc.nr_migratepages += 1
    return True


CANARY = Canary(
    variant=Variant(
        "isolated-by-two",
        "PG_lru is asked for without lru_lock",
        {"mm.compaction:_isolate_page": _isolate_page},
        source="R26: PG_lru is cleared under lru_lock, by a single isolator",
    ),
    scenario="two-compactors",
    oracle="bug-on",
    rule="del_page_from_lru_list: page is not on the list",
    hunt={"idle": 0, "rounds": 1, "migrations": 2, "words": 1, "pages": 2, "passes": 1, "without": "hugepage"},
)
