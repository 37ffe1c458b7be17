"""A program's loads and stores, and the fault that an address without a fitting pte is.

Invariant: a load or store goes through its pte as one step: no pte is taken away between the look at it and the access,
as the flush of a TLB waits for the instruction that is under way.  No lock of the kernel orders it with anything else.
Simplified: that step is under the pte lock, and so is the MMU's mark in the pte.  One thread of a process.
Source: arch/x86/mm/fault.c, v3.3.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm import memory, mmap, pgtable
from mmrace.kernel.mm.mm import VmFault

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import MmStruct, Page

MARKS = (("fault: came again", "an access whose fault was handled found no fitting pte again"),)


class Signal(IntEnum):
    """What a process gets for an access that fails; 0: it did not.  Source: include/asm-generic/signal.h, v3.3."""

    NONE = 0
    SIGBUS = 7
    SIGKILL = 9
    SIGSEGV = 11


def do_page_fault(mm_: MmStruct, address: int, write: bool) -> Signal:
    """Handle a fault: the access comes again, or the process gets a signal.  Sleeps.

    Source: arch/x86/mm/fault.c, v3.3.
    """
    rt.mutex_lock(mm_.mmap_sem)
    vma = mmap.find_vma(mm_, address)
    fault = VmFault(0) if vma is None else memory.handle_mm_fault(mm_, vma, address, write)
    rt.mutex_unlock(mm_.mmap_sem)
    if vma is None:
        return Signal.SIGSEGV
    if fault & VmFault.VM_FAULT_OOM:
        return Signal.SIGKILL
    return Signal.SIGBUS if fault & VmFault.VM_FAULT_SIGBUS else Signal.NONE


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


def _access(mm_: MmStruct, address: int, write: bool) -> tuple[Signal, Page | None]:
    """Come to the page behind an address, with the pte lock held, or to a signal."""
    for turn in rt.until_changed():
        if turn:
            rt.reached("fault: came again")
        page = _translate(mm_, address, write)
        if page is not None:
            return Signal.NONE, page
        signal = do_page_fault(mm_, address, write)
        if signal:
            return signal, None
        page = _translate(mm_, address, write)
        if page is not None:
            return Signal.NONE, page
    raise AssertionError("until_changed never ends by itself")


def load(mm_: MmStruct, address: int, word: int) -> tuple[Signal, int]:
    """Load a word of a page: (0, value) or (signal, 0)."""
    signal, page = _access(mm_, address, False)
    if page is None:
        return signal, 0
    value: int = page.words.read(word)
    rt.spin_unlock(mm_.page_table_lock)
    return Signal.NONE, value


def store(mm_: MmStruct, address: int, word: int, value: int) -> Signal:
    """Store a word of a page: 0 or a signal."""
    signal, page = _access(mm_, address, True)
    if page is None:
        return signal
    page.words.write(word, value)
    rt.spin_unlock(mm_.page_table_lock)
    return Signal.NONE
