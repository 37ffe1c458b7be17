"""The zone, the per-CPU state and the machine: the root from which all of the model is reached.

Invariant: no module of the kernel has mutable globals; everything hangs off a `Machine`.
Not modelled: several zones or nodes (there is one), watermarks, per-CPU free lists.
Source: include/linux/mmzone.h, sched.h, v3.3.
"""

from __future__ import annotations

import threading
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from mmrace import runtime as rt
from mmrace.kernel.mm import mm_types

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page

MARKS: tuple[tuple[str, str], ...] = ()

_LATER: Any = None  # a ghost that the constructor sets at once

# Task flags, as in include/linux/sched.h: kept in `rt.current().pf`.
PF_KSWAPD = 0x40000
PF_MEMALLOC = 0x800
PF_SWAPWRITE = 0x800000

# Entries of a per-CPU pagevec before it drains itself. Source: include/linux/pagevec.h, v3.3.
PAGEVEC_SIZE = 14


class LruList(IntEnum):
    """The LRU lists of file pages (the anonymous ones would stay empty)."""

    LRU_INACTIVE_FILE = 0
    LRU_ACTIVE_FILE = 1
    LRU_UNEVICTABLE = 2


LRU_INACTIVE_FILE = LruList.LRU_INACTIVE_FILE
LRU_ACTIVE_FILE = LruList.LRU_ACTIVE_FILE
LRU_UNEVICTABLE = LruList.LRU_UNEVICTABLE

# The statistics that the model keeps; all but NR_FILE_PAGES and NR_FILE_MAPPED return to zero at quiescence.
COUNTERS = ("NR_FILE_DIRTY", "NR_WRITEBACK", "NR_FILE_PAGES", "NR_FILE_MAPPED", "NR_ISOLATED")


class Zone(rt.Struct):
    """The one zone: free list under `lock`, LRU lists under `lru_lock`."""

    lock = rt.irq_spinlock()
    lru_lock = rt.irq_spinlock()
    free_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    inactive_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    active_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    unevictable_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    machine: Machine = rt.ghost(_LATER)
    vm_stat: dict[str, int] = rt.ghost(_LATER)
    vm_stat_guard: threading.Lock = rt.ghost(_LATER)

    def __init__(self, machine: Machine, pages: tuple[Page, ...]) -> None:
        super().__init__(("zone", 0), free_list=pages)
        self.machine = machine
        self.vm_stat = dict.fromkeys(COUNTERS, 0)
        self.vm_stat_guard = threading.Lock()

    def account(self, name: str, delta: int) -> None:
        """Add `delta` to a statistic.  Point: never.

        Statistics are ghosts: no kernel path here decides by them, so they need not be scheduling points until one does
        (`too_many_isolated` would, by NR_ISOLATED, and is not modelled).  The guard only keeps real threads of the
        `free` engine from losing an update, and is never held across a point.
        """
        with self.vm_stat_guard:
            self.vm_stat[name] += delta


class PerCpuState(rt.Struct):
    """Per-CPU state: the pagevecs of mm/swap.c and the buffer LRU of fs/buffer.c.

    Touched only by tasks of that CPU with preemption off (`lru_rotate` and `bh_lru`: with irqs off).
    """

    lru_add_inactive: rt.Field[tuple[Page, ...]] = rt.shared(())
    lru_add_active: rt.Field[tuple[Page, ...]] = rt.shared(())
    lru_rotate: rt.Field[tuple[Page, ...]] = rt.shared(())
    activate: rt.Field[tuple[Page, ...]] = rt.shared(())
    bh_lru: rt.Field[tuple[BufferHead, ...]] = rt.shared(())

    def __init__(self, number: int) -> None:
        super().__init__(("percpu", number))


class Machine:
    """Everything that one run of the model has: memory, CPUs, devices, mappings.  Built before any task runs.

    Args: ncpus; nr_pages: page frames, all free at first; buffers_per_page: blocks in a page (>= 1); words_per_buffer:
    words of data in a block (>= 1, two show a torn block); pagevec_size: entries before a drain.
    """

    __slots__ = (
        "buffers_per_page", "devices", "mappings", "ncpus", "pages", "pagevec_size", "percpu", "words_per_buffer",
        "zone",
    )  # fmt: skip

    def __init__(
        self,
        ncpus: int = 2,
        nr_pages: int = 16,
        buffers_per_page: int = 2,
        words_per_buffer: int = 2,
        pagevec_size: int = PAGEVEC_SIZE,
    ) -> None:
        self.ncpus = ncpus
        self.buffers_per_page = buffers_per_page
        self.words_per_buffer = words_per_buffer
        self.pagevec_size = pagevec_size
        nr_words = self.words_per_page
        self.pages: tuple[Page, ...] = tuple(mm_types.new_page(pfn, nr_words) for pfn in range(nr_pages))
        self.zone = Zone(self, self.pages)
        for page in self.pages:
            page.zone = self.zone
        self.percpu = rt.PerCpu(ncpus, PerCpuState)
        self.devices: list[BlockDevice] = []
        self.mappings: list[AddressSpace] = []

    @property
    def words_per_page(self) -> int:
        """Words of data in a page: what PAGE_CACHE_SIZE counts in bytes."""
        return self.buffers_per_page * self.words_per_buffer


def page_machine(page: Page) -> Machine:
    """Return the machine that the page belongs to.  Point: never."""
    return page.zone.machine
