"""BUGGY: munmap(2) takes a dirty pte away and does not mark its page."""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import memory, pgtable, rmap
from mmrace.kernel.mm.mm_types import Page, Vma


def zap_pte_range(vma: Vma, start: int, end: int, check_mapping: AddressSpace | None = None) -> list[Page]:
    """Clear the ptes of a range, and forget their dirt."""
    mm_ = vma.vm_mm
    gathered: list[Page] = []
    rt.spin_lock(mm_.page_table_lock)
    for address in range(start, end):
        pte = mm_.ptes.read(address)
        if pgtable.pte_none(pte):
            continue
        if not pgtable.pte_present(pte):
            memory._zap_entry(mm_, address, pte, check_mapping)
            continue
        page = pgtable.pte_page(mm_, pte)
        if check_mapping is not None and page.mapping is not check_mapping:
            continue
        pgtable.ptep_clear_flush(mm_, address)
        rmap.page_remove_rmap(page)
        gathered.append(page)
    rt.spin_unlock(mm_.page_table_lock)
    return gathered


CANARY = Canary(
    variant=Variant(
        "zap-dirt-lost",
        "munmap does not mark the page of a dirty pte dirty",
        {"mm.memory:zap_pte_range": zap_pte_range},
        source="the rule that no dirt of a pte is lost (R19)",
    ),
    scenario="migrate-vs-fault",
    oracle="ptes",
    rule="dirt of a pte lost",
    params={"stores": 2, "rounds": 4, "idle": 20},
    hunt=shortest(accesses=1, stores=2, touched=1, without="migrator,reader"),
)
