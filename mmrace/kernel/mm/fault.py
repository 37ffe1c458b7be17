"""A program's loads and stores, and the fault that an address without a fitting pte is.

Invariant: a load or store goes through its pte as one step: no pte is taken away between the look at it and the access,
as the flush of a TLB waits for the instruction that is under way.  No lock of the kernel orders it with anything else.
Simplified: that step is under the pte lock, and so is the MMU's mark in the pte.  Of a process one thread loads and
stores.
Source: arch/x86/mm/fault.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm import memory, mmap, pgtable
from mmrace.kernel.mm.mm import VmFault

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import MmStruct, Page

VM_FAULT_ERROR = VmFault.VM_FAULT_OOM | VmFault.VM_FAULT_SIGBUS

MARKS = (("fault: came again", "an access whose fault was handled found no fitting pte again"),)


def do_page_fault(mm_: MmStruct, address: int, write: bool) -> VmFault:
    """Handle a fault.  0: the access comes again; VM_FAULT_SIGBUS or VM_FAULT_OOM: the program is killed.  Sleeps.

    Source: arch/x86/mm/fault.c, v3.3.
    """
    rt.mutex_lock(mm_.mmap_sem)
    vma = mmap.find_vma(mm_, address)
    rt.bug_on(vma is None, "do_page_fault: a program of these casts accesses only what is mapped", address=address)
    assert vma is not None
    fault = memory.handle_mm_fault(mm_, vma, address, write)
    rt.mutex_unlock(mm_.mmap_sem)
    return fault & VM_FAULT_ERROR


def _translate(mm_: MmStruct, address: int, write: bool) -> Page | None:
    """Be the MMU: return the page behind an address, marked used; the pte lock is held then.  None: it is a fault."""
    rt.spin_lock(mm_.page_table_lock)
    pte: int = mm_.ptes.read(address)
    if not pgtable.pte_present(pte) or (write and not pgtable.pte_write(pte)):
        rt.spin_unlock(mm_.page_table_lock)
        return None
    used = pgtable.pte_mkyoung(pgtable.pte_mkdirty(pte) if write else pte)
    if used != pte:
        mm_.ptes.write(address, used)
    return pgtable.pte_page(mm_, pte)


def _reach(mm_: MmStruct, address: int, write: bool) -> tuple[VmFault, Page | None]:
    """Come to the page behind an address, with the pte lock held then, or to an error."""
    for turn in rt.until_changed():
        if turn:
            rt.reached("fault: came again")
        page = _translate(mm_, address, write)
        if page is not None:
            return VmFault(0), page
        error = do_page_fault(mm_, address, write)
        if error:
            return error, None
        page = _translate(mm_, address, write)
        if page is not None:
            return VmFault(0), page
    raise AssertionError("until_changed never ends by itself")


def load_word(mm_: MmStruct, address: int, word: int) -> tuple[VmFault, int]:
    """Load a word of a page: (0, value) or (error, 0)."""
    error, page = _reach(mm_, address, False)
    if page is None:
        return error, 0
    value: int = page.words.read(word)
    rt.spin_unlock(mm_.page_table_lock)
    return VmFault(0), value


def store_word(mm_: MmStruct, address: int, word: int, value: int) -> VmFault:
    """Store a word of a page: 0 or an error."""
    error, page = _reach(mm_, address, True)
    if page is None:
        return error
    page.words.write(word, value)
    rt.spin_unlock(mm_.page_table_lock)
    return VmFault(0)
