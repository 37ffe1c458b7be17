"""`struct page`: one page frame; `struct mm_struct`: an address space of a process, and what is mapped in it.

Invariant: a struct page is type-stable: its count, its flags and its map count may be touched at any time, all other
fields only while the page is allocated.
Not checked: who holds which reference (the ledger oracle does, from the names).
Source: include/linux/mm_types.h, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mmrace import runtime as rt
from mmrace.kernel.mm.page_flags import PageFlags

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mmzone import FreeList, Machine, Zone

_LATER: Any = None  # a ghost that the constructor, or the machine, sets at once


class Page(rt.Struct):
    """One page frame.  Made once per pfn; freed and allocated again under the same pfn with a new generation.

    `order` is what the kernel keeps in `private` while the page is the first of a free block.  `list_of` stands for the
    links of that block's list; `block_order` is the order that the page was last allocated with.
    """

    flags = rt.flag_word(PageFlags, waitable=(PageFlags.PG_locked, PageFlags.PG_writeback))
    _count = rt.refcount()
    _mapcount: rt.Field[int] = rt.shared(
        -1,
        benign="page_mapped() is an atomic_read, a hint or true by the page lock; whether a frame is the first of a "
        "free block is asked without the zone's lock, and then again under it",
    )
    # of an anonymous page: its AnonVma, in the guise of an AddressSpace, as in the kernel; see mm.PageAnon
    mapping: rt.Field[AddressSpace | None] = rt.shared(
        None,
        benign="page_mapping() needs no lock: isolation, reclaim and mark_buffer_dirty look at what truncation may be "
        "clearing, and what they take from it is only a hint, or asked again under tree_lock or the page lock",
    )
    index: rt.Field[int | None] = rt.shared(None)
    private: rt.Field[BufferHead | None] = rt.shared(None)
    words = rt.words()
    lazy: ClassVar[bool] = True  # most frames of a run are never touched
    benign: ClassVar[dict[str, str]] = {
        "words": "read(2) copies without the page lock, and v3.3 lets a write go on while the page is being written out"
    }
    order: rt.Field[int] = rt.shared(
        0, benign="who walks the frames without the zone's lock takes the order of a free block as a hint"
    )
    pfn = rt.ghost(0)
    generation = rt.ghost(0)
    zone: Zone = rt.ghost(_LATER)
    list_of: FreeList | None = rt.ghost(None)
    block_order = rt.ghost(0)

    def __init__(self, pfn: int, nr_words: int) -> None:
        super().__init__(("page", pfn), words=nr_words)
        self.pfn = pfn


class AnonVma(rt.Struct):
    """What anonymous pages have instead of a file: it leads from a page to the mappings that may show it.

    `head`: those mappings, under the mutex of `root`; each of them holds the reference "vma".  Without fork an anon_vma
    is its own root, and has one mapping: no chains.  Freed, it stays an anon_vma for who is in an RCU section
    (SLAB_DESTROY_BY_RCU): its count and its mutex may be touched then.  Source: include/linux/rmap.h, v3.3.
    """

    mutex = rt.mutex()
    refcount = rt.refcount()
    head: rt.Field[tuple[Vma, ...]] = rt.shared(())
    root: AnonVma = rt.ghost(_LATER)

    def __init__(self, name: object) -> None:
        super().__init__(name)
        self.root = self


class Vma(rt.Struct):
    """One mapping of a file: pages `vm_pgoff` on of `vm_file` at the addresses `vm_start` to before `vm_end`, in pages.

    Always MAP_SHARED and writable.  `vm_file` is what the kernel has as vm_file->f_mapping.  Not modelled: private
    mappings of files, mlock, nonlinear mappings.  Source: include/linux/mm_types.h, v3.3.
    """

    vm_mm: MmStruct = rt.ghost(_LATER)
    vm_file: AddressSpace = rt.ghost(_LATER)
    vm_start = rt.ghost(0)
    vm_end = rt.ghost(0)
    vm_pgoff = rt.ghost(0)

    def __init__(self, name: object, mm_: MmStruct, mapping: AddressSpace, start: int, end: int, pgoff: int) -> None:
        super().__init__(name, vm_mm=mm_, vm_file=mapping, vm_start=start, vm_end=end, vm_pgoff=pgoff)


class PrivateVma(Vma):
    """A private mapping of no file (`vm_file` is None), writable.  `anon_vma`: of its pages, from the first one on.

    `vm_pgoff` is where it begins, so that a page's index is its address.  Source: include/linux/mm_types.h, v3.3.
    """

    anon_vma: rt.Field[AnonVma | None] = rt.shared(None)

    def __init__(self, name: object, mm_: MmStruct, start: int, end: int) -> None:
        super().__init__(name, mm_, _LATER, start, end, start)


class MmStruct(rt.Struct):
    """An address space: its mappings, under mmap_sem, and its page table, under page_table_lock.

    Simplified: mmap_sem is a mutex, where the kernel's lets several threads of one process fault at once; one lock for
    all ptes (no split ptlocks), which is also what makes changes of a map count atomic: a run has one address space.
    Source: include/linux/mm_types.h, v3.3.
    """

    mmap_sem = rt.mutex()
    page_table_lock = rt.spinlock()
    mmap: rt.Field[tuple[Vma, ...]] = rt.shared(())
    ptes = rt.words()
    benign: ClassVar[dict[str, str]] = {
        "ptes": "a fault, and whoever looks for a page's pte, looks without the pte lock first, and again under it"
    }
    machine: Machine = rt.ghost(_LATER)

    def __init__(self, name: object, machine: Machine, pages: int) -> None:
        super().__init__(name, ptes=pages, machine=machine)


class CountedMm(MmStruct):
    """An address space that ends with the last of its threads, each of which holds the reference "thread".

    The others are there to the end of the run, and nobody counts.
    """

    mm_users = rt.refcount()


ANON_VMA_TYPE_STABLE = ("refcount", "mutex")
"""What may be touched in a free anon_vma, by who is in an RCU section."""

# What may be touched in a free page: a late speculative get and a recheck must find memory that is still a page.
TYPE_STABLE = ("_count", "flags", "_mapcount", "order")


def new_page(pfn: int, nr_words: int) -> Page:
    """Make the struct page of `pfn`, free.  Called when the machine is built, never later."""
    page = Page(pfn, nr_words)
    rt.poison(page, keep=TYPE_STABLE)
    return page
