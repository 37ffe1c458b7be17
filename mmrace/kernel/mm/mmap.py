"""What is mapped where: mappings of files, and private ones of none, are made and taken away.

Invariant: a mapping is in its address space's list, under mmap_sem, and in its file's i_mmap, under i_mmap_mutex, or
from its first page on in its anon_vma's list, under that mutex, from the moment it can have ptes until after it has
none.
Simplified: a mapping is taken away whole.  The pages of a private one go after their anon_vma, as in the kernel, whose
mmu_gather keeps them so long; those of a file before it leaves the file.
Not modelled: merging, private mappings of files, accounting, brk.
Source: mm/mmap.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm import memory, mm_types, rmap, swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import CountedMm, MmStruct, PrivateVma, Vma

MARKS = (("mm: taken apart at exit", "the last thread of a program ended, and its address space with it"),)


def find_vma(mm_: MmStruct, address: int) -> Vma | None:
    """Return the mapping at an address, None if nothing is mapped there.  Needs mmap_sem.  Source: mm/mmap.c, v3.3."""
    for vma in mm_.mmap:
        if vma.vm_start <= address < vma.vm_end:
            return vma
    return None


def vma_link(mm_: MmStruct, vma: Vma) -> None:
    """Make a mapping known to its address space and its file.  Needs mmap_sem; sleeps.  Source: mm/mmap.c, v3.3."""
    mapping = vma.vm_file
    rt.mutex_lock(mapping.i_mmap_mutex)
    mm_.mmap = (*mm_.mmap, vma)
    mapping.i_mmap = (*mapping.i_mmap, vma)
    rt.mutex_unlock(mapping.i_mmap_mutex)


def mmap_private(mm_: MmStruct, address: int, pages: int) -> PrivateVma:
    """Map memory of the program's own at an address, in place of what was there.  Needs mmap_sem; sleeps.

    It has no page yet, and no anon_vma.  Source: mm/mmap.c (mmap_region, MAP_PRIVATE | MAP_ANONYMOUS), v3.3.
    """
    if find_vma(mm_, address) is not None:
        do_munmap(mm_, address)
    vma = mm_types.PrivateVma(rt.fresh("vma"), mm_, address, address + pages)
    rt.note("map-private", vma, address, pages)
    mm_.mmap = (*mm_.mmap, vma)
    return vma


def unlink_file_vma(vma: Vma) -> None:
    """Take a mapping that has no ptes any more from its file; sleeps.  Source: mm/mmap.c, v3.3."""
    mapping = vma.vm_file
    rt.mutex_lock(mapping.i_mmap_mutex)
    mapping.i_mmap = tuple(other for other in mapping.i_mmap if other is not vma)
    rt.mutex_unlock(mapping.i_mmap_mutex)


def mmap_region(mm_: MmStruct, mapping: AddressSpace, address: int, pages: int, pgoff: int) -> Vma:
    """Map pages `pgoff` on of a file at an address, in place of what was there.  Needs mmap_sem; sleeps.

    Source: mm/mmap.c, v3.3.
    """
    if find_vma(mm_, address) is not None:
        do_munmap(mm_, address)
    vma = mm_types.Vma(rt.fresh("vma"), mm_, mapping, address, address + pages, pgoff)
    rt.note("map", vma, mapping.host.i_ino, address, pages, pgoff)
    vma_link(mm_, vma)
    return vma


def do_munmap(mm_: MmStruct, address: int) -> None:
    """Take the mapping at an address away: first from the list, then its ptes, then from its file, then itself.

    Needs mmap_sem; sleeps.  Source: mm/mmap.c, v3.3.
    """
    vma = find_vma(mm_, address)
    rt.bug_on(vma is None, "do_munmap: nothing is mapped there", address=address)
    assert vma is not None
    mm_.mmap = tuple(other for other in mm_.mmap if other is not vma)
    if isinstance(vma, mm_types.PrivateVma):
        unmap_private(vma)
    else:
        memory.unmap_vmas(vma, vma.vm_start, vma.vm_end)
        unlink_file_vma(vma)
    rt.note("unmap", vma)
    rt.poison(vma)


def exit_mmap(mm_: MmStruct) -> None:
    """Take every mapping away: nobody lives in the address space any more, so mmap_sem is not needed.  Sleeps.

    Source: mm/mmap.c, v3.3.
    """
    for vma in mm_.mmap:
        do_munmap(mm_, vma.vm_start)


def mmput(mm_: CountedMm) -> None:
    """Be a thread that leaves its address space; the last one takes it apart.  Sleeps.  Source: kernel/fork.c, v3.3."""
    if mm_.mm_users.put("thread") == 0:
        rt.reached("mm: taken apart at exit")
        exit_mmap(mm_)


def unmap_private(vma: PrivateVma) -> None:
    """Clear the ptes of a private mapping, take it from its anon_vma, and only then let go of the pages.

    In between they are held, nothing maps them, and what they point at may be gone.  Sleeps.
    Source: mm/mmap.c (unmap_region, free_pgtables), v3.3.
    """
    gathered = memory.zap_pte_range(vma, vma.vm_start, vma.vm_end)
    rmap.unlink_anon_vmas(vma)
    swap.release_pages(gathered, "pte")
