"""Page table entries: words with the number of a page frame and a few bits, as on x86.

A pte is an int: 0 is none; with _PAGE_PRESENT it maps the frame `pte >> PTE_PFN_SHIFT`; any other is an entry of
`swapops`.  One word of `MmStruct.ptes` is one pte, and its address is counted in pages.
Invariant: nothing here changes a word but `set_pte_at` and `ptep_clear_flush`, which need the pte lock.
Simplified: one level; no TLB, so a flush is nothing: whoever loads or stores looks at the word anew, under the pte lock
(`fault`), which orders the two as waiting for all CPUs' flush does.
Source: arch/x86/include/asm/pgtable.h, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import MmStruct, Page

_PAGE_PRESENT = 1 << 0
_PAGE_RW = 1 << 1
_PAGE_ACCESSED = 1 << 5
_PAGE_DIRTY = 1 << 6
PTE_PFN_SHIFT = 12
PTE_NONE = 0


def mk_pte(page: Page) -> int:
    """Return the pte of a page with the protection that a mapping begins with: young, read-only.

    The first store to a page of a file is to fault, since dirty pages are counted (vma_wants_writenotify); stores to
    private memory do_anonymous_page lets through at once.
    Source: arch/x86/include/asm/pgtable.h, mm/mmap.c, v3.3.
    """
    return page.pfn << PTE_PFN_SHIFT | _PAGE_PRESENT | _PAGE_ACCESSED


def pte_none(pte: int) -> bool:
    """Say whether there is nothing.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte == PTE_NONE


def pte_present(pte: int) -> bool:
    """Say whether it maps a page.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return bool(pte & _PAGE_PRESENT)


def pte_pfn(pte: int) -> int:
    """Return the frame that it maps.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte >> PTE_PFN_SHIFT


def pte_page(mm_: MmStruct, pte: int) -> Page:
    """Return the page that it maps.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return mm_.machine.pages[pte_pfn(pte)]


def pte_write(pte: int) -> bool:
    """Say whether a store goes through.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return bool(pte & _PAGE_RW)


def pte_dirty(pte: int) -> bool:
    """Say whether a store went through.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return bool(pte & _PAGE_DIRTY)


def pte_young(pte: int) -> bool:
    """Say whether anybody used it.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return bool(pte & _PAGE_ACCESSED)


def pte_mkwrite(pte: int) -> int:
    """Let stores through.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte | _PAGE_RW


def pte_wrprotect(pte: int) -> int:
    """Let no store through.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte & ~_PAGE_RW


def pte_mkdirty(pte: int) -> int:
    """Make it dirty.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte | _PAGE_DIRTY


def pte_mkclean(pte: int) -> int:
    """Make it clean.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte & ~_PAGE_DIRTY


def pte_mkyoung(pte: int) -> int:
    """Make it accessed.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte | _PAGE_ACCESSED


def pte_mkold(pte: int) -> int:
    """Make it not accessed.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    return pte & ~_PAGE_ACCESSED


def set_pte_at(mm_: MmStruct, address: int, pte: int) -> None:
    """Store a pte.  Needs the pte lock.  Source: arch/x86/include/asm/pgtable.h, v3.3."""
    mm_.ptes.write(address, pte)


def ptep_clear_flush(mm_: MmStruct, address: int) -> int:
    """Clear a pte and return what it was: no store goes through it any more.  Needs the pte lock.

    One exchange in the kernel; here two ops, since nobody else may write the word.  Source: mm/pgtable-generic.c, v3.3.
    """
    pte: int = mm_.ptes.read(address)
    mm_.ptes.write(address, PTE_NONE)
    return pte


def ptep_clear_flush_young(mm_: MmStruct, address: int) -> bool:
    """Make a pte old, and say whether it was young.  Needs the pte lock.  Source: mm/pgtable-generic.c, v3.3."""
    pte: int = mm_.ptes.read(address)
    if pte_young(pte):
        mm_.ptes.write(address, pte_mkold(pte))
        return True
    return False
