"""BUGGY: a fault marks the page of a write-protected pte dirty without waiting for the page's lock.

Whoever holds it may be in clear_page_dirty_for_io, past the pte when that was still clean: he takes the mark away, and
the store that the fault was for is written by nobody.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import mm, page_writeback, pgtable, swap
from mmrace.kernel.mm.mm import VmFault
from mmrace.kernel.mm.mm_types import MmStruct


def do_wp_page(mm_: MmStruct, address: int, orig_pte: int) -> VmFault:
    """Let stores through a read-only pte, and mark its page at once."""
    dirty_page = pgtable.pte_page(mm_, orig_pte)
    mm.get_page(dirty_page, "fault")
    pgtable.set_pte_at(mm_, address, pgtable.pte_mkwrite(pgtable.pte_mkdirty(pgtable.pte_mkyoung(orig_pte))))
    rt.spin_unlock(mm_.page_table_lock)
    page_writeback.set_page_dirty_balance(dirty_page, False)
    swap.put_page(dirty_page, "fault")
    return VmFault.VM_FAULT_WRITE


CANARY = Canary(
    variant=Variant(
        "wp-without-page-lock",
        "do_wp_page does not wait for the page lock before it marks the page dirty",
        {"mm.memory:do_wp_page": do_wp_page},
        source="the lost stores of December 2006 (2.6.20): the fault against clear_page_dirty_for_io",
    ),
    scenario="mapped-vs-writeback",
    oracle="ptes",
    rule="dirty pte, clean page",
    params={
        **{"stores": 2, "accesses": 6, "idle": 0, "rounds": 30, "pages": 2, "buffers": 1, "words": 1, "touched": 2},
        **{"dirtied": 2, "without": "reader,fsync,migrator"},
    },
    hunt=shortest(
        rounds=2, stores=2, accesses=4, pages=3, buffers=1, touched=3, dirtied=3, without="reader,fsync,migrator"
    ),
)
