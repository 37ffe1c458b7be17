"""Migration entries: what a pte is while the page that it mapped is being moved.

Such an entry keeps the frame and whether stores went through; its kind is the number of a swap file that there is not.
Invariant: there is an entry for a page only while that page is locked.
Not modelled: entries of swapped pages, of nonlinear mappings.
Source: include/linux/swapops.h, swap.h, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm import page_flags, pgtable

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import MmStruct, Page

SWP_MIGRATION_READ = 30
SWP_MIGRATION_WRITE = 31
_SWP_TYPE_SHIFT = 1
_SWP_TYPES = (1 << pgtable.PTE_PFN_SHIFT) - 1


def _swp_type(pte: int) -> int:
    return (pte & _SWP_TYPES) >> _SWP_TYPE_SHIFT


def make_migration_entry(page: Page, write: bool) -> int:
    """Return the entry for a page that is being moved.  Needs its lock.  Source: include/linux/swapops.h, v3.3."""
    rt.bug_on(not page_flags.PageLocked(page), "make_migration_entry: page is not locked", page=page)
    kind = SWP_MIGRATION_WRITE if write else SWP_MIGRATION_READ
    return page.pfn << pgtable.PTE_PFN_SHIFT | kind << _SWP_TYPE_SHIFT


def is_swap_pte(pte: int) -> bool:
    """Say whether a pte is neither none nor present.  Source: include/linux/swapops.h, v3.3."""
    return not pgtable.pte_none(pte) and not pgtable.pte_present(pte)


def is_migration_entry(pte: int) -> bool:
    """Say whether a pte that is not present stands for a page on the move.  Source: include/linux/swapops.h, v3.3."""
    return _swp_type(pte) in (SWP_MIGRATION_READ, SWP_MIGRATION_WRITE)


def is_write_migration_entry(pte: int) -> bool:
    """Say whether stores went through before.  Source: include/linux/swapops.h, v3.3."""
    return _swp_type(pte) == SWP_MIGRATION_WRITE


def migration_entry_to_page(mm_: MmStruct, pte: int) -> Page:
    """Return the page of an entry; BUG unless it is locked.  Needs the pte lock.  Source: swapops.h, v3.3."""
    page = mm_.machine.pages[pgtable.pte_pfn(pte)]
    rt.bug_on(not page_flags.PageLocked(page), "migration_entry_to_page: page is not locked", page=page)
    return page
