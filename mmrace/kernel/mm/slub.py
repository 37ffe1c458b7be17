"""The slab allocator, as far as it asks the page allocator for memory.

Objects are Python's.  What matters to others is that a small allocation now and then needs a new slab, of several pages
in one block, and gets it as its mask says: by compaction and reclaim, from wherever its caller stands.
Invariant: where `slabs` is 0 nothing here is an op.
Simplified: whether a slab has room is drawn, one of `slabs` times it has not; a new slab goes back at once, as if its
object were the last to be freed, so that slabs take no memory for long.
Not modelled: caches, per-CPU slabs, kmalloc's sizes.
Source: mm/slub.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.errno import Errno
from mmrace.kernel.mm import page_alloc

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Machine

MARKS = (
    ("slub: new slab", "an object needed a slab of its own"),
    ("slub: smaller slab", "no block of the order that a slab should have was to be had"),
)


def slab_alloc(machine: Machine, gfpflags: int) -> bool:
    """Make sure of an object: True, or False where memory is out.  May sleep if the mask lets it.

    Source: mm/slub.c, v3.3.
    """
    if not machine.slabs or (machine.slabs > 1 and rt.choose(machine.slabs, "slab") != machine.slabs - 1):
        return True
    rt.reached("slub: new slab")
    return allocate_slab(machine, gfpflags)


def allocate_slab(machine: Machine, flags: int) -> bool:
    """Get a slab of the order that suits its cache, else of a single page; give it back.  Source: mm/slub.c, v3.3."""
    order = machine.slab_order
    page: Page | None = page_alloc.alloc_pages(machine, flags | gfp.__GFP_NOWARN | gfp.__GFP_NORETRY, order)
    if page is None and order:
        rt.reached("slub: smaller slab")
        order = 0
        page = page_alloc.alloc_pages(machine, flags, order)
    if page is None:
        return False
    page_alloc.__free_pages(page, order)
    return True


def radix_tree_preload(machine: Machine, gfp_mask: int) -> int:
    """Make sure of a node for an insertion: 0, or -ENOMEM.  May sleep if the mask lets it.

    Simplified: preemption stays on, for no node is kept.  It is not in `radix_tree.py`, because the tree is what
    every other file includes.  Source: lib/radix-tree.c, v3.3.
    """
    return 0 if slab_alloc(machine, gfp_mask) else -Errno.ENOMEM
