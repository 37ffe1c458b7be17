"""The zone, the per-CPU state and the machine: the root from which all of the model is reached.

Invariant: no module of the kernel has mutable globals; everything hangs off a `Machine`.
Not modelled: several zones or nodes (there is one), per-CPU free lists, per-CPU halves of statistics (a look is exact).
Source: include/linux/mmzone.h, sched.h, v3.3.
"""

from __future__ import annotations

import threading
from collections import Counter
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
# Frames that a scanner looks at between two moments in which others may have lru_lock, and pages that it takes at
# once. Source: include/linux/swap.h, v3.3.
SWAP_CLUSTER_MAX = 32
# Passes of a migration over what is left. Source: mm/migrate.c, v3.3.
MIGRATE_PASSES = 10
# Orders above this one are hard to come by. Source: include/linux/mmzone.h, v3.3.
PAGE_ALLOC_COSTLY_ORDER = 3


class LruList(IntEnum):
    """The LRU lists.  Source: include/linux/mmzone.h, v3.3."""

    LRU_INACTIVE_ANON = 0
    LRU_ACTIVE_ANON = 1
    LRU_INACTIVE_FILE = 2
    LRU_ACTIVE_FILE = 3
    LRU_UNEVICTABLE = 4


LRU_INACTIVE_ANON = LruList.LRU_INACTIVE_ANON
LRU_ACTIVE_ANON = LruList.LRU_ACTIVE_ANON
LRU_INACTIVE_FILE = LruList.LRU_INACTIVE_FILE
LRU_ACTIVE_FILE = LruList.LRU_ACTIVE_FILE
LRU_UNEVICTABLE = LruList.LRU_UNEVICTABLE
LRU_ACTIVE = 1
"""What an active list's number has more than the inactive one's."""

DECIDING = ("NR_FREE_PAGES", "NR_INACTIVE", "NR_ACTIVE", "NR_ISOLATED")
"""Statistics that an allocator or a reclaimer decides by."""

# The statistics that the model keeps; NR_FILE_DIRTY, NR_WRITEBACK and NR_ISOLATED return to zero at quiescence.
COUNTERS = ("NR_FILE_DIRTY", "NR_WRITEBACK", "NR_FILE_PAGES", "NR_FILE_MAPPED", *DECIDING)


# Those of a machine with anonymous pages, beside them: AnonLru has the first three, for who decides by them.
DECIDING_ANON = ("NR_INACTIVE_ANON", "NR_ACTIVE_ANON", "NR_ISOLATED_ANON")
COUNTERS_ANON = ("NR_ANON_PAGES", *DECIDING_ANON)


class MigrateType(IntEnum):
    """What the pages of a pageblock are used for.  Source: include/linux/mmzone.h, v3.3."""

    MIGRATE_UNMOVABLE = 0
    MIGRATE_RECLAIMABLE = 1
    MIGRATE_MOVABLE = 2
    MIGRATE_RESERVE = 3
    MIGRATE_ISOLATE = 4


MIGRATE_UNMOVABLE = MigrateType.MIGRATE_UNMOVABLE
MIGRATE_RECLAIMABLE = MigrateType.MIGRATE_RECLAIMABLE
MIGRATE_MOVABLE = MigrateType.MIGRATE_MOVABLE
MIGRATE_RESERVE = MigrateType.MIGRATE_RESERVE
MIGRATE_ISOLATE = MigrateType.MIGRATE_ISOLATE


class FreeList(rt.Struct):
    """The free blocks of one order and one migrate type: their first pages, the next one to be taken first."""

    pages: rt.Field[tuple[Page, ...]] = rt.shared(
        (), benign="whether there is a block at all is asked without the zone's lock, and then again under it"
    )
    order = rt.ghost(0)

    def __init__(self, order: int, migratetype: MigrateType) -> None:
        super().__init__(("free", order, migratetype.name))
        self.order = order


class FreeArea(rt.Struct):
    """The free blocks of one order, by migrate type.  Changed under the zone's lock."""

    nr_free: rt.Field[int] = rt.shared(
        0, benign="watermarks and the fragmentation index are reckoned without the zone's lock: a hint, asked again"
    )
    free_list: tuple[FreeList, ...] = rt.ghost(())

    def __init__(self, order: int, types: int) -> None:
        super().__init__(("free_area", order))
        self.free_list = tuple(FreeList(order, MigrateType(migratetype)) for migratetype in range(types))


class Pageblock(rt.Struct):
    """As many frames as a huge page has, aligned.  The kernel keeps these bits in the zone's `pageblock_flags`."""

    migratetype: rt.Field[MigrateType] = rt.shared(
        MIGRATE_MOVABLE, benign="a free asks before it takes the zone's lock, and scanners ask without it: a hint"
    )


_DEFERRAL = "no lock: how long to do without compaction is a guess, and an update that is lost one failure less"


class AnonLru(rt.Struct):
    """The LRU lists of a zone's anonymous pages, under the zone's lru_lock, with their statistics."""

    inactive_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    active_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    nr_inactive_anon = rt.atomic()
    nr_active_anon = rt.atomic()
    nr_isolated_anon = rt.atomic()


class Zone(rt.Struct):
    """The one zone: free blocks under `lock`, LRU lists under `lru_lock`.

    `nr_*` are the statistics of `DECIDING`, for a zone in which somebody decides by them (`counts`).  `anon`: the lists
    of anonymous pages, None where no program has private memory.
    """

    lock = rt.irq_spinlock()
    lru_lock = rt.irq_spinlock()
    nr_free_pages = rt.atomic()
    nr_inactive = rt.atomic()
    nr_active = rt.atomic()
    nr_isolated = rt.atomic()
    inactive_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    active_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    unevictable_list: rt.Field[tuple[Page, ...]] = rt.shared(())
    compact_considered: rt.Field[int] = rt.shared(0, benign=_DEFERRAL)
    compact_defer_shift: rt.Field[int] = rt.shared(0, benign=_DEFERRAL)
    machine: Machine = rt.ghost(_LATER)
    vm_stat: dict[str, int] = rt.ghost(_LATER)
    vm_stat_guard: threading.Lock = rt.ghost(_LATER)
    counts = rt.ghost(False)
    free_area: tuple[FreeArea, ...] = rt.ghost(())
    pageblocks: tuple[Pageblock, ...] = rt.ghost(())
    watermark: tuple[int, int, int] = rt.ghost((0, 0, 0))
    anon: AnonLru | None = rt.ghost(None)
    zone_start_pfn = rt.ghost(0)
    spanned_pages = rt.ghost(0)

    def __init__(self, machine: Machine) -> None:
        super().__init__(("zone", 0))
        self.machine = machine
        self.vm_stat = dict.fromkeys(COUNTERS, 0)
        self.vm_stat_guard = threading.Lock()

    def account(self, name: str, delta: int) -> None:
        """Add `delta` to a statistic.  Point: if somebody may decide by it.

        Else it is a ghost.  The guard only keeps real threads of the `free` engine from losing an update, and is never
        held across a point.
        """
        if self.counts and (name in DECIDING or name in DECIDING_ANON):
            _number(self, name).add(delta)
        with self.vm_stat_guard:
            self.vm_stat[name] += delta


def _number(zone: Zone, name: str) -> rt.Atomic:
    """Return the statistic that somebody decides by."""
    number: rt.Atomic = getattr(zone.anon if name in DECIDING_ANON else zone, name.lower())
    return number


class PerCpuAnon(rt.Struct):
    """Per-CPU state of a machine with anonymous pages: their pagevecs.  Touched as `PerCpuState` is."""

    lru_add_inactive: rt.Field[tuple[Page, ...]] = rt.shared(())
    lru_add_active: rt.Field[tuple[Page, ...]] = rt.shared(())

    def __init__(self, number: int) -> None:
        super().__init__(("percpu_anon", number))


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
    words of data in a block (>= 1, two show a torn block); pagevec_size: entries before a drain; max_order: order of
    the largest free block (0: there are single pages only, no pageblocks, and one list); pageblock_order: of a huge
    page, `max_order` if None; min_free_pages: the watermark below which an ordinary allocation does not go;
    swap_cluster_max, migrate_passes: of a compaction, see the constants; slabs: one of so many small allocations needs
    a new slab (0: none does), of `slab_order`.
    `vm_events` counts what happened, by the names of /proc/vmstat: ghosts, for people.
    """

    __slots__ = (
        "buffers_per_page", "devices", "mappings", "max_order", "migrate_passes", "ncpus", "pageblock_order", "pages",
        "pagevec_size", "percpu", "percpu_anon", "slab_order", "slabs", "swap_cluster_max", "vm_events",
        "words_per_buffer", "zone",
    )  # fmt: skip

    def __init__(
        self,
        ncpus: int = 2,
        nr_pages: int = 16,
        buffers_per_page: int = 2,
        words_per_buffer: int = 2,
        pagevec_size: int = PAGEVEC_SIZE,
        max_order: int = 0,
        pageblock_order: int | None = None,
        min_free_pages: int = 0,
        swap_cluster_max: int = SWAP_CLUSTER_MAX,
        migrate_passes: int = MIGRATE_PASSES,
        slabs: int = 0,
        slab_order: int = 0,
    ) -> None:
        self.ncpus = ncpus
        self.buffers_per_page = buffers_per_page
        self.words_per_buffer = words_per_buffer
        self.pagevec_size = pagevec_size
        nr_words = self.words_per_page
        self.pages: tuple[Page, ...] = tuple(mm_types.new_page(pfn, nr_words) for pfn in range(nr_pages))
        self.max_order = max_order
        self.swap_cluster_max = swap_cluster_max
        self.migrate_passes = migrate_passes
        self.pageblock_order = max_order if pageblock_order is None else pageblock_order
        self.slabs = slabs
        self.slab_order = slab_order
        self.vm_events: Counter[str] = Counter()
        self.zone = zone = Zone(self)
        for page in self.pages:
            page.zone = zone
        zone.counts = max_order > 0 or min_free_pages > 0
        zone.spanned_pages = nr_pages
        setup_per_zone_wmarks(zone, min_free_pages)
        _free_all(self)
        self.percpu = rt.PerCpu(ncpus, PerCpuState)
        self.percpu_anon: rt.PerCpu[PerCpuAnon] | None = None
        self.devices: list[BlockDevice] = []
        self.mappings: list[AddressSpace] = []

    @property
    def words_per_page(self) -> int:
        """Words of data in a page: what PAGE_CACHE_SIZE counts in bytes."""
        return self.buffers_per_page * self.words_per_buffer


def prepare_anon(machine: Machine) -> None:
    """Give the machine lists and pagevecs for anonymous pages, before it has any.  Point: never.

    The kernel always has them; here nobody should pass by lists that stay empty in most casts.
    """
    zone = machine.zone
    zone.anon = AnonLru(("anon_lru", 0))
    zone.vm_stat.update(dict.fromkeys(COUNTERS_ANON, 0))
    machine.percpu_anon = rt.PerCpu(machine.ncpus, PerCpuAnon)


def _free_all(machine: Machine) -> None:
    """Make every frame free, in the largest blocks there can be, as the boot does.  Point: never."""
    zone, max_order, pages = machine.zone, machine.max_order, machine.pages
    types = len(MigrateType) if max_order else 1
    at_first = MIGRATE_MOVABLE if max_order else MIGRATE_UNMOVABLE
    zone.free_area = tuple(FreeArea(order, types) for order in range(max_order + 1))
    zone.nr_free_pages.value = zone.vm_stat["NR_FREE_PAGES"] = len(pages)
    first: list[list[Page]] = [[] for _ in zone.free_area]
    if max_order:
        blocks = range(0, len(pages), pageblock_nr_pages(machine))
        zone.pageblocks = tuple(Pageblock(("pageblock", number)) for number, _ in enumerate(blocks))
        _in_blocks(pages, first)
    else:
        first[0] += pages
    for area, heads in zip(zone.free_area, first, strict=True):
        free_list = area.free_list[at_first]
        for page in heads:
            page.list_of = free_list
        area._set("nr_free", len(heads))
        free_list._set("pages", tuple(heads))


def _in_blocks(pages: tuple[Page, ...], first: list[list[Page]]) -> None:
    """Cut frames into blocks, as large as can be, each at a multiple of its size; `first`: their first pages by order.

    Each block's first page is marked with its order.
    """
    pfn = 0
    while pfn < len(pages):
        order = len(first) - 1
        while pfn % (1 << order) or pfn + (1 << order) > len(pages):
            order -= 1
        page = pages[pfn]
        first[order].append(page)
        page._set("_mapcount", PAGE_BUDDY_MAPCOUNT_VALUE)
        page._set("order", order)
        pfn += 1 << order


# What a free block's first page has as its map count. Source: include/linux/mm.h, v3.3.
PAGE_BUDDY_MAPCOUNT_VALUE = -128


def free_pages(zone: Zone) -> list[Page]:
    """Return every frame that is on a free list, block by block; for judges and tests.  Point: never."""
    return [
        zone.machine.pages[head.pfn + i]
        for area in zone.free_area
        for free_list in area.free_list
        for head in rt.peek(free_list, "pages")
        for i in range(1 << free_list.order)
    ]


def costly_order(machine: Machine) -> int:
    """Return above which order an allocation is hard to come by, and may fail.  Point: never.

    PAGE_ALLOC_COSTLY_ORDER, or less where huge pages are that small: those must remain hard to come by.
    """
    return min(PAGE_ALLOC_COSTLY_ORDER, machine.pageblock_order - 1) if machine.max_order else PAGE_ALLOC_COSTLY_ORDER


# -- pageblocks ----------------------------------------------------------------------------------------------------


def pageblock_nr_pages(machine: Machine) -> int:
    """Return how many frames a pageblock has.  Point: never.  Source: include/linux/pageblock-flags.h, v3.3."""
    return 1 << machine.pageblock_order


def pfn_to_page(machine: Machine, pfn: int) -> Page:
    """Return the struct page of a frame.  Raises IndexError beyond the zone.  Point: never.

    Source: include/asm-generic/memory_model.h, v3.3.
    """
    if not 0 <= pfn < len(machine.pages):
        raise IndexError(f"pfn {pfn} of {len(machine.pages)}, which are numbered from 0 on")
    return machine.pages[pfn]


def _pageblock(page: Page) -> Pageblock:
    machine = page_machine(page)
    return machine.zone.pageblocks[page.pfn >> machine.pageblock_order]


def get_pageblock_migratetype(page: Page) -> MigrateType:
    """Return what the page's block is used for.  Point: if the machine has pageblocks.

    Without pageblocks there is one list: grouping by mobility is off.  Source: include/linux/mmzone.h, v3.3.
    """
    if not page.zone.pageblocks:
        return MIGRATE_UNMOVABLE
    return _pageblock(page).migratetype


def set_pageblock_migratetype(page: Page, migratetype: MigrateType) -> None:
    """Say what the page's block is used for.  Needs the zone's lock.  Source: mm/page_alloc.c, v3.3."""
    _pageblock(page).migratetype = migratetype


# -- statistics ----------------------------------------------------------------------------------------------------


def zone_page_state(zone: Zone, item: str) -> int:
    """Return a statistic.  Needs a zone in which somebody decides by it.  Source: include/linux/vmstat.h, v3.3."""
    return _number(zone, item).read()


def mod_zone_page_state(zone: Zone, item: str, delta: int) -> None:
    """Add to a statistic.  Source: mm/vmstat.c, v3.3."""
    zone.account(item, delta)


def count_vm_event(machine: Machine, name: str, n: int = 1) -> None:
    """Count what happened, by its name in /proc/vmstat in capitals.  Point: never.  Source: vmstat.h, v3.3."""
    with machine.zone.vm_stat_guard:
        machine.vm_events[name] += n
    rt.note("vm-event", name, n)


def setup_per_zone_wmarks(zone: Zone, min_free_pages: int) -> None:
    """Say how many free pages are kept: by the administrator, or when the machine is built.  Point: never.

    Source: mm/page_alloc.c, v3.3.
    """
    zone.watermark = min_free_pages, min_free_pages + min_free_pages // 4, min_free_pages + min_free_pages // 2


def min_wmark_pages(zone: Zone) -> int:
    """Return how many free pages an ordinary allocation leaves.  Source: include/linux/mmzone.h, v3.3."""
    return zone.watermark[0]


def low_wmark_pages(zone: Zone) -> int:
    """Return below how many free pages kswapd is woken.  Source: include/linux/mmzone.h, v3.3."""
    return zone.watermark[1]


def high_wmark_pages(zone: Zone) -> int:
    """Return at how many free pages kswapd sleeps.  Source: include/linux/mmzone.h, v3.3."""
    return zone.watermark[2]


def page_machine(page: Page) -> Machine:
    """Return the machine that the page belongs to.  Point: never."""
    return page.zone.machine
