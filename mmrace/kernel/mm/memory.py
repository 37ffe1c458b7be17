"""Faults, and the taking away of ptes: what happens between an address space and the pages of a file.

Invariant: a pte is made for a page only under that page's lock, and only while the page is in its file; a pte lets
stores through only if its page is dirty, or becomes so before its lock is free.
An anonymous page gets its first pte under no page lock, since nobody else can see it yet.
Simplified: no readahead, no fault-around; a fault that finds the page locked sleeps with mmap_sem held, where x86 drops
it and comes again; no times of the file change.  Every mapping of a file is shared, the file's dirty pages are counted,
and ext3 of 3.3 has no page_mkwrite.  zap_pte_range marks pages dirty before other CPUs' TLBs are flushed, in 3.3 and
here, but here there is no TLB: a store that goes through a stale entry after that (mended in 3.15) cannot be seen.
Anonymous memory has no zero page, as from 2.6.24 to 2.6.31: a load that comes first gets a page, too.
Not modelled: private mappings of files, copy on write (nobody forks), nonlinear mappings, swap.
Source: mm/memory.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.mm import (
    filemap,
    highmem,
    mm,
    mm_types,
    page_alloc,
    page_flags,
    page_writeback,
    pgtable,
    rmap,
    swap,
    swapops,
)
from mmrace.kernel.mm.mm import VmFault

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import MmStruct, Page, Vma

MARKS = (
    ("fault: pte changed meanwhile", "somebody else changed the pte before a fault had its lock"),
    ("fault: write-protected", "a store met a pte that was read-only, so that its page would be marked dirty"),
    ("zap: dirty pte", "a pte that was zapped was dirty"),
    ("zap: migration entry", "a migration entry was zapped"),
)


# -- faults ------------------------------------------------------------------------------------------------------


def handle_mm_fault(mm_: MmStruct, vma: Vma, address: int, write: bool) -> VmFault:
    """Do what the access to an address needs; the access then comes again.  Needs mmap_sem; sleeps.

    Source: mm/memory.c (handle_pte_fault), v3.3.
    """
    entry: int = mm_.ptes.read(address)
    if pgtable.pte_none(entry):
        if isinstance(vma, mm_types.PrivateVma):
            return do_anonymous_page(mm_, vma, address)
        return do_linear_fault(mm_, vma, address, write, entry)
    if not pgtable.pte_present(entry):
        return do_swap_page(mm_, address, entry)
    rt.spin_lock(mm_.page_table_lock)
    if mm_.ptes.read(address) != entry:
        rt.reached("fault: pte changed meanwhile")
        rt.spin_unlock(mm_.page_table_lock)
        return VmFault(0)
    if write:
        if not pgtable.pte_write(entry):
            return do_wp_page(mm_, address, entry)
        entry = pgtable.pte_mkdirty(entry)
    pgtable.set_pte_at(mm_, address, pgtable.pte_mkyoung(entry))
    rt.spin_unlock(mm_.page_table_lock)
    return VmFault(0)


def do_anonymous_page(mm_: MmStruct, vma: mm_types.PrivateVma, address: int) -> VmFault:
    """Give an address of private memory a page of zeros, writable at once.  Source: mm/memory.c, v3.3."""
    rmap.anon_vma_prepare(vma)
    page = alloc_zeroed_user_highpage_movable(vma)
    if page is None:
        return VmFault.VM_FAULT_OOM
    page_flags.SetPageUptodate(page)
    entry = pgtable.pte_mkwrite(pgtable.pte_mkdirty(pgtable.mk_pte(page)))
    rt.spin_lock(mm_.page_table_lock)
    if not pgtable.pte_none(mm_.ptes.read(address)):
        rt.reached("fault: pte changed meanwhile")
        rt.spin_unlock(mm_.page_table_lock)
        swap.put_page(page, "new")
        return VmFault(0)
    page._count.rename("new", "pte")
    rmap.page_add_new_anon_rmap(page, vma, address)
    pgtable.set_pte_at(mm_, address, entry)
    rt.spin_unlock(mm_.page_table_lock)
    return VmFault(0)


def alloc_zeroed_user_highpage_movable(vma: mm_types.PrivateVma) -> Page | None:
    """Allocate a page of zeros for a program; None: out of memory.  Sleeps.  Source: include/linux/highmem.h, v3.3."""
    page = page_alloc.alloc_page(vma.vm_mm.machine, gfp.GFP_HIGHUSER_MOVABLE)
    if page is not None:
        highmem.clear_user_highpage(page)
    return page


def do_linear_fault(mm_: MmStruct, vma: Vma, address: int, write: bool, orig_pte: int) -> VmFault:
    """Map the page of a file that belongs to an address.  Source: mm/memory.c, v3.3."""
    return __do_fault(mm_, vma, address, address - vma.vm_start + vma.vm_pgoff, write, orig_pte)


def __do_fault(mm_: MmStruct, vma: Vma, address: int, pgoff: int, write: bool, orig_pte: int) -> VmFault:
    """Find the page, and map it if the pte is still as it was, all under the page's lock.

    The page lock keeps clear_page_dirty_for_io away until a page with a dirty pte is dirty itself.
    Source: mm/memory.c, v3.3.
    """
    ret, page = filemap.filemap_fault(vma, pgoff)
    if page is None:
        return ret
    dirty_page = None
    rt.spin_lock(mm_.page_table_lock)
    mapped = mm_.ptes.read(address) == orig_pte
    if mapped:
        entry = pgtable.mk_pte(page)
        if write:
            entry = pgtable.pte_mkwrite(pgtable.pte_mkdirty(entry))
        page._count.rename("lookup", "pte")
        rmap.page_add_file_rmap(page)
        if write:
            dirty_page = page
            mm.get_page(page, "fault")
        pgtable.set_pte_at(mm_, address, entry)
    else:
        rt.reached("fault: pte changed meanwhile")
    rt.spin_unlock(mm_.page_table_lock)
    if dirty_page is not None:
        page_writeback.set_page_dirty_balance(dirty_page, False)
    filemap.unlock_page(page)
    if dirty_page is not None:
        swap.put_page(dirty_page, "fault")
    if not mapped:
        swap.put_page(page, "lookup")
    return ret


def do_swap_page(mm_: MmStruct, address: int, orig_pte: int) -> VmFault:
    """Wait for what an entry stands for: here always a migration.  Source: mm/memory.c, v3.3."""
    rt.spin_lock(mm_.page_table_lock)
    same = mm_.ptes.read(address) == orig_pte
    rt.spin_unlock(mm_.page_table_lock)
    if not same:
        rt.reached("fault: pte changed meanwhile")
    elif swapops.is_migration_entry(orig_pte):
        rmap.migration_entry_wait(mm_, address)
    return VmFault(0)


def do_wp_page(mm_: MmStruct, address: int, orig_pte: int) -> VmFault:
    """Let stores through a read-only pte, and mark its page dirty.  Needs the pte lock, and drops it; sleeps.

    The page is marked only when its lock was free: whoever holds that may be in the middle of clear_page_dirty_for_io,
    past this pte, and would take the mark away.  An anonymous page is never write-protected here, where nobody forks,
    swaps or calls mprotect.  Source: mm/memory.c, v3.3.
    """
    rt.reached("fault: write-protected")
    dirty_page = pgtable.pte_page(mm_, orig_pte)
    mm.get_page(dirty_page, "fault")
    pgtable.set_pte_at(mm_, address, pgtable.pte_mkwrite(pgtable.pte_mkdirty(pgtable.pte_mkyoung(orig_pte))))
    rt.spin_unlock(mm_.page_table_lock)
    filemap.wait_on_page_locked(dirty_page)
    page_writeback.set_page_dirty_balance(dirty_page, False)
    swap.put_page(dirty_page, "fault")
    return VmFault.VM_FAULT_WRITE


# -- zapping -----------------------------------------------------------------------------------------------------


def zap_pte_range(vma: Vma, start: int, end: int, check_mapping: AddressSpace | None = None) -> list[Page]:
    """Clear the ptes of a range; returns the pages that they mapped, whose references "pte" the caller drops.

    Takes no page lock: a dirty pte's page is marked while the pte, or the gathered reference, keeps it.
    Args: check_mapping: clear only ptes of pages that are still in this file, and no entries.
    Source: mm/memory.c, v3.3.
    """
    mm_ = vma.vm_mm
    gathered: list[Page] = []
    rt.spin_lock(mm_.page_table_lock)
    for address in range(start, end):
        pte = mm_.ptes.read(address)
        if pgtable.pte_none(pte):
            continue
        if not pgtable.pte_present(pte):
            _zap_entry(mm_, address, pte, check_mapping)
            continue
        page = pgtable.pte_page(mm_, pte)
        if check_mapping is not None and page.mapping is not check_mapping:
            continue
        pte = pgtable.ptep_clear_flush(mm_, address)
        anon = mm.PageAnon(page)  # its dirt and its use end with it
        if pgtable.pte_dirty(pte) and not anon:
            rt.reached("zap: dirty pte")
            page_writeback.set_page_dirty(page)
        if pgtable.pte_young(pte) and not anon:
            swap.mark_page_accessed(page)
        rmap.page_remove_rmap(page)
        gathered.append(page)
    rt.spin_unlock(mm_.page_table_lock)
    return gathered


def _zap_entry(mm_: MmStruct, address: int, pte: int, check_mapping: AddressSpace | None) -> None:
    """Clear a migration entry, unless the caller wants only pages that are in a file."""
    if check_mapping is not None:
        return
    rt.reached("zap: migration entry")
    swapops.migration_entry_to_page(mm_, pte)
    pgtable.set_pte_at(mm_, address, pgtable.PTE_NONE)


def unmap_vmas(vma: Vma, start: int, end: int, check_mapping: AddressSpace | None = None) -> None:
    """Clear the ptes of a range, then let go of their pages.  Source: mm/memory.c, v3.3."""
    swap.release_pages(zap_pte_range(vma, start, end, check_mapping), "pte")


def unmap_mapping_range(mapping: AddressSpace, first: int, count: int | None, even_cows: bool) -> None:
    """Clear the ptes of pages `first` on of a file, in every mapping: `count` of them, or all (None).  Sleeps.

    `even_cows`: whatever is there; else only pages that are still in the file.  Source: mm/memory.c, v3.3.
    """
    rt.mutex_lock(mapping.i_mmap_mutex)
    for vma in mapping.i_mmap:
        start = max(vma.vm_start, vma.vm_start + first - vma.vm_pgoff)
        end = vma.vm_end if count is None else min(vma.vm_end, vma.vm_start + first + count - vma.vm_pgoff)
        if start < end:
            unmap_vmas(vma, start, end, None if even_cows else mapping)
    rt.mutex_unlock(mapping.i_mmap_mutex)
