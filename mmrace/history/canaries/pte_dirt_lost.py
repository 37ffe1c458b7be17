"""BUGGY: try_to_unmap takes a dirty pte away and does not mark its page.

In 3.3 a pte lets stores through only while its page is dirty, so that the mark is most often there already: what is
lost shows seldom, that it was not handed over always.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import pgtable, rmap, swap, swapops
from mmrace.kernel.mm.mm_types import Page, Vma
from mmrace.kernel.mm.rmap import SwapResult, TtuFlags


def try_to_unmap_one(page: Page, vma: Vma, address: int, flags: TtuFlags) -> SwapResult:
    """Take one pte away, and forget its dirt."""
    mm_ = vma.vm_mm
    if not rmap.page_check_address(page, mm_, address, False):
        return SwapResult.SWAP_AGAIN
    if not flags & rmap.TTU_IGNORE_ACCESS and pgtable.ptep_clear_flush_young(mm_, address):
        rt.spin_unlock(mm_.page_table_lock)
        return SwapResult.SWAP_FAIL
    pte = pgtable.ptep_clear_flush(mm_, address)
    if flags & rmap.TTU_MIGRATION:
        pgtable.set_pte_at(mm_, address, swapops.make_migration_entry(page, pgtable.pte_write(pte)))
    rmap.page_remove_rmap(page)
    swap.put_page(page, "pte")
    rt.spin_unlock(mm_.page_table_lock)
    return SwapResult.SWAP_AGAIN


CANARY = Canary(
    variant=Variant(
        "pte-dirt-lost",
        "try_to_unmap does not mark the page of a dirty pte dirty",
        {"mm.rmap:try_to_unmap_one": try_to_unmap_one},
        source="the rule that the dirty bit moves to the page once the pte is gone",
    ),
    scenario="migrate-vs-fault",
    oracle="ptes",
    rule="dirt of a pte lost",
    params={"stores": 2, "rounds": 4, "idle": 20, "migrations": 8},
    hunt=shortest(accesses=1, stores=2, touched=1, without="zapper,reader"),
)
