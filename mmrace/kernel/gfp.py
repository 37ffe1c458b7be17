"""What an allocation may do to get its pages, and of which kind they are: the GFP masks.

Invariant: bits have the kernel's numbers, so that a mask can be read off a log of a real kernel.
Not modelled: zone modifiers but __GFP_HIGHMEM and __GFP_DMA32 as bits (there is one zone), __GFP_HARDWALL's cpusets.
Source: include/linux/gfp.h, v3.3.
"""

from __future__ import annotations

__GFP_HIGHMEM = 0x02
__GFP_MOVABLE = 0x08
__GFP_WAIT = 0x10
__GFP_HIGH = 0x20
__GFP_IO = 0x40
__GFP_FS = 0x80
__GFP_COLD = 0x100
__GFP_NOWARN = 0x200
__GFP_REPEAT = 0x400
__GFP_NOFAIL = 0x800
__GFP_NORETRY = 0x1000
__GFP_COMP = 0x4000
__GFP_NOMEMALLOC = 0x10000
__GFP_HARDWALL = 0x20000
__GFP_RECLAIMABLE = 0x80000
__GFP_NO_KSWAPD = 0x400000

# What of a mask says how hard to try, and not what kind of page is wanted. Source: mm/internal.h, v3.3.
GFP_RECLAIM_MASK = (
    __GFP_WAIT | __GFP_HIGH | __GFP_IO | __GFP_FS | __GFP_NOWARN | __GFP_REPEAT | __GFP_NOFAIL | __GFP_NORETRY
    | __GFP_NOMEMALLOC
)  # fmt: skip

GFP_ATOMIC = __GFP_HIGH
GFP_NOIO = __GFP_WAIT
GFP_NOFS = __GFP_WAIT | __GFP_IO
GFP_KERNEL = __GFP_WAIT | __GFP_IO | __GFP_FS
GFP_USER = GFP_KERNEL | __GFP_HARDWALL
GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM
GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE
GFP_TRANSHUGE = GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN | __GFP_NO_KSWAPD
