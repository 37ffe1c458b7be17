"""LRU lists and the per-CPU pagevecs in front of them.

Invariant: each entry of a per-CPU pagevec holds one reference named "pagevec"; PG_lru is set and cleared under lru_lock
only; a page is on exactly one list while PG_lru is set.
Simplified: of the lists and pagevecs those of anonymous pages are apart, and only where there are such pages.
Not modelled: the deactivate pagevec (`invalidate_mapping_pages` alone feeds it, and nothing here calls that).
Source: mm/swap.c, include/linux/pagevec.h, mm_inline.h, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm import mm, mmzone, page_alloc, page_flags

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import AnonLru, LruList, Machine, PerCpuAnon, PerCpuState, Zone

MARKS = (
    ("pagevec: full", "a per-CPU pagevec filled up and went to the LRU"),
    ("put: last reference on the LRU", "the last reference went away while the page was on an LRU list"),
    ("rotate: page reclaimed after writeback", "a page marked for reclaim went to the tail when its writeback ended"),
)


# -- lists -------------------------------------------------------------------------------------------------------


def _lists(zone: Zone, lru: LruList) -> Zone | AnonLru:
    """Return what has a list among its fields."""
    if lru not in (mmzone.LRU_INACTIVE_ANON, mmzone.LRU_ACTIVE_ANON):
        return zone
    assert zone.anon is not None, "a machine with anonymous pages has lists for them"
    return zone.anon


def is_active_lru(lru: LruList) -> bool:
    """Say whether a list is one of active pages.  Source: include/linux/mmzone.h, v3.3."""
    return lru in (mmzone.LRU_ACTIVE_ANON, mmzone.LRU_ACTIVE_FILE)


def _statistic(lru: LruList) -> str:
    """Return the name of the statistic that counts a list; "": none does."""
    return "" if lru == mmzone.LRU_UNEVICTABLE else lru.name.replace("LRU", "NR").removesuffix("_FILE")


def add_page_to_lru_list(zone: Zone, page: Page, lru: LruList) -> None:
    """Put a page at the head of a list.  Needs lru_lock.  Source: include/linux/mm_inline.h, v3.3."""
    lists = _lists(zone, lru)
    if is_active_lru(lru):
        lists.active_list = (page, *lists.active_list)
        zone.account(_statistic(lru), 1)
    elif lru != mmzone.LRU_UNEVICTABLE:
        lists.inactive_list = (page, *lists.inactive_list)
        zone.account(_statistic(lru), 1)
    else:
        zone.unevictable_list = (page, *zone.unevictable_list)


def del_page_from_lru_list(zone: Zone, page: Page, lru: LruList) -> None:
    """Take a page off a list; BUG if it is not there.  Needs lru_lock.  Source: include/linux/mm_inline.h, v3.3."""
    lists = _lists(zone, lru)
    if is_active_lru(lru):
        lists.active_list = _without(lists.active_list, page)
        zone.account(_statistic(lru), -1)
    elif lru != mmzone.LRU_UNEVICTABLE:
        lists.inactive_list = _without(lists.inactive_list, page)
        zone.account(_statistic(lru), -1)
    else:
        zone.unevictable_list = _without(zone.unevictable_list, page)


def _without(pages: tuple[Page, ...], page: Page) -> tuple[Page, ...]:
    rt.bug_on(page not in pages, "del_page_from_lru_list: page is not on the list", page=page)
    return tuple(other for other in pages if other is not page)


def page_is_file_cache(page: Page) -> bool:
    """Say whether the page belongs to the file LRUs.  Source: include/linux/mm_inline.h, v3.3."""
    return not page_flags.PageSwapBacked(page)


def page_lru_base_type(page: Page) -> LruList:
    """Say which inactive list the page would belong on.  Point: never.

    PG_swapbacked, which here anonymous pages alone have, remains as it is as long as the page can be on a list.
    Source: include/linux/mm_inline.h, v3.3.
    """
    swapbacked = page.flags.value >> page_flags.PG_swapbacked & 1
    return mmzone.LRU_INACTIVE_ANON if swapbacked else mmzone.LRU_INACTIVE_FILE


def _active(lru: LruList) -> LruList:
    """Return the active list beside an inactive one.  Point: never."""
    return mmzone.LruList(lru + mmzone.LRU_ACTIVE)


def _isolated_statistic(page: Page) -> str:
    """Return the name of the statistic that counts the page while it is isolated.  Point: never."""
    return "NR_ISOLATED" if page_lru_base_type(page) == mmzone.LRU_INACTIVE_FILE else "NR_ISOLATED_ANON"


def page_lru(page: Page) -> LruList:
    """Say which list the page belongs on.  Source: include/linux/mm_inline.h, v3.3."""
    if page_flags.PageUnevictable(page):
        return mmzone.LRU_UNEVICTABLE
    base = page_lru_base_type(page)
    return _active(base) if page_flags.PageActive(page) else base


def page_off_lru(page: Page) -> LruList:
    """Say which list the page is on and clear the bits that say so.  Needs lru_lock.  Source: mm_inline.h, v3.3."""
    if page_flags.PageUnevictable(page):
        page_flags.ClearPageUnevictable(page)
        return mmzone.LRU_UNEVICTABLE
    if page_flags.PageActive(page):
        page_flags.ClearPageActive(page)
        return _active(page_lru_base_type(page))
    return page_lru_base_type(page)


# -- the last put ------------------------------------------------------------------------------------------------


def __page_cache_release(page: Page) -> None:
    """Take a page with count 0 off its LRU list, if it is on one.  Any context.  Source: mm/swap.c, v3.3."""
    if page_flags.PageLRU(page):
        rt.reached("put: last reference on the LRU")
        zone = page.zone
        rt.spin_lock_irqsave(zone.lru_lock)
        rt.bug_on(not page_flags.PageLRU(page), "__page_cache_release: page left the LRU", page=page)
        page_flags.ClearPageLRU(page)
        del_page_from_lru_list(zone, page, page_off_lru(page))
        rt.spin_unlock_irqrestore(zone.lru_lock)


def __put_single_page(page: Page) -> None:
    """Free a page whose last reference just went away.  Any context.  Source: mm/swap.c, v3.3."""
    __page_cache_release(page)
    page_alloc.free_hot_cold_page(page)


def put_page(page: Page, ref: str) -> None:
    """Drop the reference `ref`; the last put takes the page off its LRU and frees it.

    Usable in any context: the free path takes irq-safe locks only.  Source: mm/swap.c, v3.3.
    """
    if mm.put_page_testzero(page, ref):
        __put_single_page(page)


def release_pages(pages: list[Page] | tuple[Page, ...], ref: str) -> None:
    """Drop the reference `ref` of each page; frees those for which it was the last.  Source: mm/swap.c, v3.3."""
    for page in pages:
        put_page(page, ref)


def pagevec_release(machine: Machine, pages: list[Page], ref: str = "lookup") -> None:
    """Release a batch of looked-up pages; drains this CPU's pagevecs first, as the kernel does.

    Source: mm/swap.c (__pagevec_release), v3.3.
    """
    lru_add_drain(machine)
    release_pages(pages, ref)


# -- pagevecs of a CPU -------------------------------------------------------------------------------------------


def _pagevecs(machine: Machine, lru: LruList) -> rt.PerCpu[PerCpuState] | rt.PerCpu[PerCpuAnon]:
    """Return what has the pagevecs in front of a list."""
    if lru in (mmzone.LRU_INACTIVE_FILE, mmzone.LRU_ACTIVE_FILE):
        return machine.percpu
    assert machine.percpu_anon is not None, "a machine with anonymous pages has pagevecs for them"
    return machine.percpu_anon


def __lru_cache_add(page: Page, lru: LruList) -> None:
    """Queue a page for a list on this CPU; the pagevec takes a reference of its own.  Source: mm/swap.c, v3.3."""
    machine = mmzone.page_machine(page)
    rt.preempt_disable()
    cpu = _pagevecs(machine, lru).this_cpu()
    mm.get_page(page, "pagevec")
    if is_active_lru(lru):
        cpu.lru_add_active = full = (*cpu.lru_add_active, page)
    else:
        cpu.lru_add_inactive = full = (*cpu.lru_add_inactive, page)
    if len(full) >= machine.pagevec_size:
        rt.reached("pagevec: full")
        if is_active_lru(lru):
            cpu.lru_add_active = ()
        else:
            cpu.lru_add_inactive = ()
        __pagevec_lru_add(full, lru)
    rt.preempt_enable()


def lru_cache_add_lru(page: Page, lru: LruList) -> None:
    """Queue a page for the list `lru`, whatever list it came from.  Needs a reference.  Source: mm/swap.c, v3.3."""
    if page_flags.PageActive(page):
        rt.bug_on(page_flags.PageUnevictable(page), "lru_cache_add_lru: active and unevictable", page=page)
        page_flags.ClearPageActive(page)
    elif page_flags.PageUnevictable(page):
        page_flags.ClearPageUnevictable(page)
    rt.bug_on(page_flags.PageLRU(page), "lru_cache_add_lru: page is on the LRU", page=page)
    __lru_cache_add(page, lru)


def lru_cache_add_file(page: Page) -> None:
    """Queue a new page-cache page for the inactive list.  Source: include/linux/swap.h, v3.3."""
    __lru_cache_add(page, mmzone.LRU_INACTIVE_FILE)


def __pagevec_lru_add(pages: tuple[Page, ...], lru: LruList) -> None:
    """Move pages from a pagevec to a list, then drop the pagevec's references.  Source: mm/swap.c, v3.3."""
    if not pages:
        return
    zone = pages[0].zone
    rt.spin_lock_irqsave(zone.lru_lock)
    for page in pages:
        rt.bug_on(page_flags.PageLRU(page), "__pagevec_lru_add: page is on the LRU already", page=page)
        page_flags.SetPageLRU(page)
        if is_active_lru(lru):
            page_flags.SetPageActive(page)
        add_page_to_lru_list(zone, page, lru)
    rt.spin_unlock_irqrestore(zone.lru_lock)
    release_pages(pages, "pagevec")


def rotate_reclaimable_page(page: Page) -> None:
    """Queue a page for the tail of the inactive list: its writeback ended, so it can be reclaimed at once.

    Any context; called from irq.  Source: mm/swap.c, v3.3.
    """
    if page_flags.PageLocked(page) or page_flags.PageDirty(page) or page_flags.PageActive(page):
        return
    if page_flags.PageUnevictable(page) or not page_flags.PageLRU(page):
        return
    rt.reached("rotate: page reclaimed after writeback")
    machine = mmzone.page_machine(page)
    mm.get_page(page, "pagevec")
    rt.local_irq_disable()
    cpu = machine.percpu.this_cpu()
    cpu.lru_rotate = full = (*cpu.lru_rotate, page)
    if len(full) >= machine.pagevec_size:
        cpu.lru_rotate = ()
        pagevec_move_tail(full)
    rt.local_irq_enable()


def pagevec_move_tail(pages: tuple[Page, ...]) -> None:
    """Move pages to the tail of the inactive list, then drop the pagevec's references.  Source: mm/swap.c, v3.3."""
    if not pages:
        return
    zone = pages[0].zone
    rt.spin_lock_irqsave(zone.lru_lock)
    for page in pages:
        if page_flags.PageLRU(page) and not page_flags.PageActive(page) and not page_flags.PageUnevictable(page):
            zone.inactive_list = (*_without(zone.inactive_list, page), page)
    rt.spin_unlock_irqrestore(zone.lru_lock)
    release_pages(pages, "pagevec")


def activate_page(page: Page) -> None:
    """Queue a page for the active list, if it is on the inactive one.  Source: mm/swap.c, v3.3."""
    if not page_flags.PageLRU(page) or page_flags.PageActive(page) or page_flags.PageUnevictable(page):
        return
    machine = mmzone.page_machine(page)
    rt.preempt_disable()
    cpu = machine.percpu.this_cpu()
    mm.get_page(page, "pagevec")
    cpu.activate = full = (*cpu.activate, page)
    if len(full) >= machine.pagevec_size:
        rt.reached("pagevec: full")
        cpu.activate = ()
        _pagevec_activate(full)
    rt.preempt_enable()


def _pagevec_activate(pages: tuple[Page, ...]) -> None:
    """Move pages from the inactive list to the active one, as `__activate_page` does with each."""
    if not pages:
        return
    zone = pages[0].zone
    rt.spin_lock_irqsave(zone.lru_lock)
    for page in pages:
        if page_flags.PageLRU(page) and not page_flags.PageActive(page) and not page_flags.PageUnevictable(page):
            base = page_lru_base_type(page)
            del_page_from_lru_list(zone, page, base)
            page_flags.SetPageActive(page)
            add_page_to_lru_list(zone, page, _active(base))
    rt.spin_unlock_irqrestore(zone.lru_lock)
    release_pages(pages, "pagevec")


def mark_page_accessed(page: Page) -> None:
    """Say that the page was used: first referenced, then active.  Source: mm/swap.c, v3.3."""
    if not page_flags.PageReferenced(page):
        page_flags.SetPageReferenced(page)
        return
    if not page_flags.PageActive(page) and not page_flags.PageUnevictable(page) and page_flags.PageLRU(page):
        activate_page(page)
        page_flags.ClearPageReferenced(page)


# -- draining ----------------------------------------------------------------------------------------------------


def lru_add_drain(machine: Machine) -> None:
    """Flush the pagevecs of this CPU.  Does not sleep.  Source: mm/swap.c, v3.3."""
    rt.preempt_disable()
    drain_cpu_pagevecs(machine)
    rt.preempt_enable()


def _lru_adds(machine: Machine, cpu: PerCpuState) -> list[tuple[PerCpuState | PerCpuAnon, LruList]]:
    """Return what has pagevecs of this CPU in front of lists, and which list."""
    adds: list[tuple[PerCpuState | PerCpuAnon, LruList]] = []
    if machine.percpu_anon is not None:
        anon = machine.percpu_anon.this_cpu()
        adds += [(anon, mmzone.LRU_INACTIVE_ANON), (anon, mmzone.LRU_ACTIVE_ANON)]
    return [*adds, (cpu, mmzone.LRU_INACTIVE_FILE), (cpu, mmzone.LRU_ACTIVE_FILE)]


def drain_cpu_pagevecs(machine: Machine) -> None:
    """Flush the pagevecs of this CPU.  Needs preemption off.  Source: mm/swap.c, v3.3."""
    cpu = machine.percpu.this_cpu()
    for adds, lru in _lru_adds(machine, cpu):
        if is_active_lru(lru):
            pages = adds.lru_add_active
            if pages:
                adds.lru_add_active = ()
        else:
            pages = adds.lru_add_inactive
            if pages:
                adds.lru_add_inactive = ()
        __pagevec_lru_add(pages, lru)
    # Writeback completions fill this one from irq.
    rt.local_irq_disable()
    pages = cpu.lru_rotate
    if pages:
        cpu.lru_rotate = ()
    pagevec_move_tail(pages)
    rt.local_irq_enable()
    pages = cpu.activate
    if pages:
        cpu.activate = ()
    _pagevec_activate(pages)


def lru_add_drain_all(machine: Machine) -> None:
    """Flush the pagevecs of every CPU: schedule the drain on each of them and wait.  Sleeps.

    A pagevec belongs to its CPU, whose tasks touch it with preemption off and no lock, so the drain has to run there.
    Source: mm/swap.c (schedule_on_each_cpu), v3.3.
    """
    rt.might_sleep()
    works = [rt.spawn(lru_add_drain, machine, cpu=cpu) for cpu in range(machine.ncpus)]
    for work in works:
        rt.join(work)
