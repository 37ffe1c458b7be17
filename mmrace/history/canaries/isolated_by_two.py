"""BUGGY: the migrate scanner asks for PG_lru before it has lru_lock, and takes the answer for good.

Meanwhile somebody else may isolate the page: then it has two isolators.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm import mm, mmzone, page_flags, swap
from mmrace.kernel.mm.compaction import CompactControl
from mmrace.kernel.mm.mmzone import Zone


def _scan_pageblocks(zone: Zone, cc: CompactControl, low_pfn: int, end_pfn: int) -> int:
    """Look which pages are on the LRU without the lock, then isolate those."""
    rt.note("compact-scan", low_pfn, end_pfn)
    rt.spin_unlock_irq(zone.lru_lock)
    frames = [mmzone.pfn_to_page(zone.machine, pfn) for pfn in range(low_pfn, end_pfn)]
    on_lru = [page for page in frames if page_flags.PageLRU(page)]
    rt.spin_lock_irq(zone.lru_lock)
    for page in on_lru:
        if mm.get_page_unless_zero(page, "isolation"):
            page_flags.ClearPageLRU(page)
            swap.del_page_from_lru_list(zone, page, swap.page_lru(page))
            rt.note("compact-isolate", page)
            cc.migratepages.insert(0, page)
            cc.nr_migratepages += 1
    return end_pfn


CANARY = Canary(
    variant=Variant(
        "isolated-by-two",
        "PG_lru is asked for without lru_lock",
        {"mm.compaction:_scan_pageblocks": _scan_pageblocks},
        source="R26: PG_lru is cleared under lru_lock, by a single isolator",
    ),
    scenario="two-compactors",
    oracle="bug-on",
    rule="del_page_from_lru_list: page is not on the list",
    params={"idle": 0, "pages": 6, "without": "reader"},
    hunt={"idle": 0, "rounds": 1, "migrations": 2, "words": 1, "pages": 3, "passes": 1, "without": "reader"},
)
