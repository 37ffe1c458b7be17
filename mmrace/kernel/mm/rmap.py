"""The page-table side of a page: from a page to the ptes that map it, and migration entries in their place.

Invariant: i_mmap_mutex, or the mutex of an anon_vma's root, is taken inside the page lock, the pte lock inside that;
each pte holds one reference "pte", and one of the page's map count; an anon_vma is there as long as a page that is
mapped points at it, or somebody holds a reference.  An unmapped page costs the mutexes, and one look at its map count,
as in the kernel.
Simplified: i_mmap is a list, not a prio tree; an anon_vma has no chains, since nobody forks; a flush of TLBs is nothing
(`pgtable`).  Whether an anonymous page was used, or is to be cleaned, nobody asks: there is no swap.
Not modelled: swap and its cache, mlock, nonlinear mappings, KSM, stacks that exec moves.
Source: mm/rmap.c, mm/migrate.c, v3.3.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, cast

from mmrace import runtime as rt
from mmrace.kernel.mm import filemap, mm, mm_types, mmzone, page_flags, page_writeback, pgtable, swap, swapops
from mmrace.kernel.mm.mm_types import AnonVma

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import MmStruct, Page, PrivateVma, Vma

MARKS = (
    ("anon_vma: mutex awaited", "who came from an anonymous page to its anon_vma slept for the mutex"),
    ("anon_vma: page unmapped meanwhile", "an anonymous page lost its last pte while somebody went to its anon_vma"),
    ("anon_vma: outlived its mapping", "an anon_vma was freed by who held it beyond its mapping"),
    ("unmap: dirty pte", "a pte that was taken away for reclaim or migration was dirty"),
    ("unmap: migration entry", "a pte became a migration entry"),
    ("unmap: pte in use", "reclaim left a pte that was used since it looked last"),
    ("mkclean: pte protected", "writeback took the right to store from a pte"),
    ("migration entry: removed", "a migration entry became a pte again"),
    ("migration entry: page lock awaited", "a fault slept until a migration was over, with a reference to the page"),
    ("migration entry: page frozen", "a fault met a migration entry of a frozen page and came again"),
)


class SwapResult(IntEnum):
    """What try_to_unmap says.  Source: include/linux/rmap.h, v3.3."""

    SWAP_SUCCESS = 0
    SWAP_AGAIN = 1
    SWAP_FAIL = 2


class TtuFlags(IntFlag):
    """What try_to_unmap is to do.  Source: include/linux/rmap.h, v3.3."""

    TTU_UNMAP = 0
    TTU_MIGRATION = 1
    TTU_IGNORE_MLOCK = 1 << 8
    TTU_IGNORE_ACCESS = 1 << 9


TTU_UNMAP = TtuFlags.TTU_UNMAP
TTU_MIGRATION = TtuFlags.TTU_MIGRATION
TTU_IGNORE_MLOCK = TtuFlags.TTU_IGNORE_MLOCK
TTU_IGNORE_ACCESS = TtuFlags.TTU_IGNORE_ACCESS


# -- what leads from an anonymous page to its ptes ---------------------------------------------------------------


def anon_vma_alloc() -> AnonVma:
    """Make an anon_vma, with the reference of its first mapping.  Source: mm/rmap.c, v3.3."""
    anon_vma = AnonVma(rt.fresh("anon_vma"))
    anon_vma.refcount.get("vma")
    return anon_vma


def anon_vma_free(anon_vma: AnonVma) -> None:
    """Free an anon_vma whose last reference is gone, but not from under who has its mutex.

    Whoever came by page_lock_anon_vma without a reference may have it, since the page was mapped when they looked.
    Sleeps for them only.  Source: mm/rmap.c, v3.3.
    """
    mutex = anon_vma.root.mutex
    if not rt.mutex_trylock(mutex):
        rt.mutex_lock(mutex)
    rt.mutex_unlock(mutex)
    rt.poison(anon_vma, keep=mm_types.ANON_VMA_TYPE_STABLE)


def anon_vma_lock(anon_vma: AnonVma) -> None:
    """Take the mutex of the root.  Sleeps.  Source: include/linux/rmap.h, v3.3."""
    rt.mutex_lock(anon_vma.root.mutex)


def anon_vma_unlock(anon_vma: AnonVma) -> None:
    """Release the mutex of the root.  Source: include/linux/rmap.h, v3.3."""
    rt.mutex_unlock(anon_vma.root.mutex)


def put_anon_vma(anon_vma: AnonVma, ref: str) -> None:
    """Drop the reference `ref`; the last one frees the anon_vma, and may sleep.  Source: include/linux/rmap.h, v3.3."""
    if anon_vma.refcount.put(ref) == 0:
        if ref != "vma":
            rt.reached("anon_vma: outlived its mapping")
        anon_vma_free(anon_vma)


def anon_vma_prepare(vma: PrivateVma) -> None:
    """See that a private mapping has an anon_vma before it has a page.  Needs mmap_sem; sleeps.

    Simplified: no neighbour's is shared (find_mergeable_anon_vma), for neighbours here are not merged either.
    Source: mm/rmap.c, v3.3.
    """
    if vma.anon_vma is not None:
        return
    anon_vma = anon_vma_alloc()
    anon_vma_lock(anon_vma)
    rt.spin_lock(vma.vm_mm.page_table_lock)  # where several threads fault at once
    vma.anon_vma = anon_vma
    anon_vma.head = (vma, *anon_vma.head)
    rt.spin_unlock(vma.vm_mm.page_table_lock)
    anon_vma_unlock(anon_vma)


def unlink_anon_vmas(vma: PrivateVma) -> None:
    """Take a mapping that has no ptes any more from its anon_vma, and let go of that.  Sleeps.

    Its pages may still be held, and point there.  Source: mm/rmap.c, v3.3.
    """
    anon_vma = vma.anon_vma
    if anon_vma is None:
        return
    anon_vma_lock(anon_vma)
    anon_vma.head = tuple(other for other in anon_vma.head if other is not vma)
    anon_vma_unlock(anon_vma)
    put_anon_vma(anon_vma, "vma")


def page_anon_vma(page: Page) -> AnonVma | None:
    """Return the page's anon_vma, None if it is not anonymous.  Source: include/linux/rmap.h, v3.3."""
    mapping: AddressSpace | AnonVma | None = page.mapping
    return mapping if isinstance(mapping, AnonVma) else None


def page_get_anon_vma(page: Page) -> AnonVma | None:
    """Take a reference "migrate" to the anon_vma of a page that is mapped; None if it is not, or not anonymous.

    A page that nothing maps points at memory that may be another's by now, or was when the reference was taken: so it
    is asked before, and again after.  3.3 drops the reference within the RCU section, where freeing must not sleep;
    it would if a third had the mutex, which takes two who move pages (R35, mended in 3.16).  Source: mm/rmap.c, v3.3.
    """
    rt.rcu_read_lock()
    anon_vma = page_anon_vma(page)
    if anon_vma is not None and (not mm.page_mapped(page) or not anon_vma.refcount.get_unless_zero("migrate")):
        anon_vma = None
    if anon_vma is not None and not mm.page_mapped(page):
        rt.reached("anon_vma: page unmapped meanwhile")
        put_anon_vma(anon_vma, "migrate")
        anon_vma = None
    rt.rcu_read_unlock()
    return anon_vma


def page_lock_anon_vma(page: Page) -> AnonVma | None:
    """Lock the anon_vma of a page that is mapped; None if it is not, or not anonymous.  Sleeps.

    Who gets the mutex at once needs no reference: the page is mapped, so the mapping still has to take that mutex
    before the anon_vma can go.  Source: mm/rmap.c, v3.3.
    """
    rt.rcu_read_lock()
    anon_vma = page_anon_vma(page)
    if anon_vma is None or not mm.page_mapped(page):
        rt.rcu_read_unlock()
        return None
    if rt.mutex_trylock(anon_vma.root.mutex):
        mapped = mm.page_mapped(page)
        if not mapped:
            rt.reached("anon_vma: page unmapped meanwhile")
            rt.mutex_unlock(anon_vma.root.mutex)
        rt.rcu_read_unlock()
        return anon_vma if mapped else None
    got = anon_vma.refcount.get_unless_zero("lookup")
    if not got or not mm.page_mapped(page):
        if got:
            put_anon_vma(anon_vma, "lookup")
        rt.rcu_read_unlock()
        return None
    rt.rcu_read_unlock()
    rt.reached("anon_vma: mutex awaited")
    anon_vma_lock(anon_vma)
    if anon_vma.refcount.put("lookup") == 0:
        anon_vma_unlock(anon_vma)
        anon_vma_free(anon_vma)
        return None
    return anon_vma


def page_unlock_anon_vma(anon_vma: AnonVma) -> None:
    """Release what page_lock_anon_vma took.  Source: mm/rmap.c, v3.3."""
    anon_vma_unlock(anon_vma)


# -- the map count -----------------------------------------------------------------------------------------------


def page_add_new_anon_rmap(page: Page, vma: PrivateVma, address: int) -> None:
    """Make a new page, which nobody else can see, an anonymous one with one pte.  Needs the pte lock.

    It goes on the active list.  Source: mm/rmap.c, v3.3.
    """
    page_flags.SetPageSwapBacked(page)
    page._mapcount = 0
    page.zone.account("NR_ANON_PAGES", 1)
    __page_set_anon_rmap(page, vma, address)
    swap.lru_cache_add_lru(page, mmzone.LRU_ACTIVE_ANON)


def __page_set_anon_rmap(page: Page, vma: PrivateVma, address: int) -> None:
    """Have the page point at the mapping's anon_vma, and know its place.  Source: mm/rmap.c, v3.3."""
    anon_vma = vma.anon_vma
    rt.bug_on(anon_vma is None, "__page_set_anon_rmap: the mapping has no anon_vma", page=page)
    if mm.PageAnon(page):
        return
    page.mapping = cast("AddressSpace", anon_vma)
    page.index = address - vma.vm_start + vma.vm_pgoff


def page_add_anon_rmap(page: Page, vma: PrivateVma, address: int) -> None:
    """Count one pte more of an anonymous page.  Needs the pte lock, and the page lock.  Source: mm/rmap.c, v3.3."""
    mapcount = page._mapcount + 1
    page._mapcount = mapcount
    rt.bug_on(not page_flags.PageLocked(page), "page_add_anon_rmap: page is not locked", page=page)
    if mapcount == 0:
        page.zone.account("NR_ANON_PAGES", 1)
        __page_set_anon_rmap(page, vma, address)


def page_add_file_rmap(page: Page) -> None:
    """Count one pte more.  Needs the pte lock.  Source: mm/rmap.c, v3.3."""
    mapcount = page._mapcount + 1
    page._mapcount = mapcount
    if mapcount == 0:
        page.zone.account("NR_FILE_MAPPED", 1)


def page_remove_rmap(page: Page) -> None:
    """Count one pte less.  Needs the pte lock.  Source: mm/rmap.c, v3.3."""
    mapcount = page._mapcount - 1
    page._mapcount = mapcount
    rt.bug_on(mapcount < -1, "page_remove_rmap: no pte is counted", page=page)
    if mapcount < 0:
        # An anonymous page stays one: its mapping is cleared when it is freed.
        page.zone.account("NR_ANON_PAGES" if mm.PageAnon(page) else "NR_FILE_MAPPED", -1)


# -- from a page to its ptes -------------------------------------------------------------------------------------


def vma_address(page: Page, vma: Vma) -> int | None:
    """Return the address at which a mapping shows a page; None if it does not.  Source: mm/rmap.c, v3.3."""
    address = vma.vm_start + mm.page_index(page) - vma.vm_pgoff
    return address if vma.vm_start <= address < vma.vm_end else None


def page_check_address(page: Page, mm_: MmStruct, address: int, sync: bool) -> bool:
    """Say whether the pte at an address maps the page; if so, its lock is held.

    Unless `sync` an absent pte is believed without the lock.  Source: mm/rmap.c, v3.3.
    """
    if not sync and not pgtable.pte_present(mm_.ptes.read(address)):
        return False
    rt.spin_lock(mm_.page_table_lock)
    pte = mm_.ptes.read(address)
    if pgtable.pte_present(pte) and pgtable.pte_pfn(pte) == page.pfn:
        return True
    rt.spin_unlock(mm_.page_table_lock)
    return False


def page_referenced(page: Page, is_locked: bool) -> int:
    """Return through how many ptes the page was used since somebody last looked, and make them old.

    Sleeps on i_mmap_mutex if the page is mapped; unless it `is_locked`, tries its lock, and counts a busy one as a use.
    Source: mm/rmap.c, v3.3.
    """
    if not mm.page_mapped(page) or mm.page_mapping(page) is None:
        return 0
    if not is_locked and not filemap.trylock_page(page):
        return 1
    referenced = page_referenced_file(page)
    if not is_locked:
        filemap.unlock_page(page)
    return referenced


def page_referenced_file(page: Page) -> int:
    """Do so for a locked page of a file; one that was truncated meanwhile has no ptes.  Source: mm/rmap.c, v3.3."""
    mapping = page.mapping
    if mapping is None:
        return 0
    referenced = 0
    rt.mutex_lock(mapping.i_mmap_mutex)
    mapcount = mm.page_mapcount(page)
    for vma in mapping.i_mmap:
        address = vma_address(page, vma)
        if address is None or not page_check_address(page, vma.vm_mm, address, False):
            continue
        referenced += pgtable.ptep_clear_flush_young(vma.vm_mm, address)
        rt.spin_unlock(vma.vm_mm.page_table_lock)
        mapcount -= 1
        if not mapcount:
            break
    rt.mutex_unlock(mapping.i_mmap_mutex)
    return referenced


# -- writeback ---------------------------------------------------------------------------------------------------


def page_mkclean(page: Page) -> bool:
    """Write-protect the page's ptes and say whether a store may have gone through one.  Needs the page lock.

    Sleeps on i_mmap_mutex if the page is mapped; an unmapped one costs one read.  Source: mm/rmap.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "page_mkclean: page is not locked", page=page)
    if not mm.page_mapped(page):
        return False
    mapping = mm.page_mapping(page)
    if mapping is None:
        return False
    cleaned = False
    rt.mutex_lock(mapping.i_mmap_mutex)
    for vma in mapping.i_mmap:
        address = vma_address(page, vma)
        if address is not None and page_mkclean_one(page, vma, address):
            cleaned = True
    rt.mutex_unlock(mapping.i_mmap_mutex)
    return cleaned


def page_mkclean_one(page: Page, vma: Vma, address: int) -> bool:
    """Write-protect and clean one pte, if it is dirty or lets stores through.  Source: mm/rmap.c, v3.3."""
    mm_ = vma.vm_mm
    if not page_check_address(page, mm_, address, True):
        return False
    pte = mm_.ptes.read(address)
    cleaned = pgtable.pte_dirty(pte) or pgtable.pte_write(pte)
    if cleaned:
        rt.reached("mkclean: pte protected")
        entry = pgtable.ptep_clear_flush(mm_, address)
        pgtable.set_pte_at(mm_, address, pgtable.pte_mkclean(pgtable.pte_wrprotect(entry)))
    rt.spin_unlock(mm_.page_table_lock)
    return cleaned


# -- unmapping ---------------------------------------------------------------------------------------------------


def try_to_unmap(page: Page, flags: TtuFlags) -> SwapResult:
    """Take away every pte of a page; TTU_MIGRATION leaves entries.  Needs the page lock; sleeps on the rmap's mutex.

    Source: mm/rmap.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "try_to_unmap: page is not locked", page=page)
    ret = try_to_unmap_anon(page, flags) if mm.PageAnon(page) else try_to_unmap_file(page, flags)
    return ret if mm.page_mapped(page) else SwapResult.SWAP_SUCCESS


def try_to_unmap_anon(page: Page, flags: TtuFlags) -> SwapResult:
    """Go through the mappings of an anonymous page.  Source: mm/rmap.c, v3.3."""
    ret = SwapResult.SWAP_AGAIN
    anon_vma = page_lock_anon_vma(page)
    if anon_vma is None:
        return ret
    for vma in anon_vma.head:
        address = vma_address(page, vma)
        if address is None:
            continue
        ret = try_to_unmap_one(page, vma, address, flags)
        if ret != SwapResult.SWAP_AGAIN or not mm.page_mapped(page):
            break
    page_unlock_anon_vma(anon_vma)
    return ret


def try_to_unmap_file(page: Page, flags: TtuFlags) -> SwapResult:
    """Go through the mappings of the page's file.  Source: mm/rmap.c, v3.3."""
    mapping = page.mapping
    assert mapping is not None
    ret = SwapResult.SWAP_AGAIN
    rt.mutex_lock(mapping.i_mmap_mutex)
    for vma in mapping.i_mmap:
        address = vma_address(page, vma)
        if address is None:
            continue
        ret = try_to_unmap_one(page, vma, address, flags)
        if ret != SwapResult.SWAP_AGAIN or not mm.page_mapped(page):
            break
    rt.mutex_unlock(mapping.i_mmap_mutex)
    return ret


def try_to_unmap_one(page: Page, vma: Vma, address: int, flags: TtuFlags) -> SwapResult:
    """Take one pte away, with its dirt, its count and its reference.  Source: mm/rmap.c, v3.3."""
    mm_ = vma.vm_mm
    if not page_check_address(page, mm_, address, False):
        return SwapResult.SWAP_AGAIN
    if not flags & TTU_IGNORE_ACCESS and pgtable.ptep_clear_flush_young(mm_, address):
        rt.reached("unmap: pte in use")
        rt.spin_unlock(mm_.page_table_lock)
        return SwapResult.SWAP_FAIL
    pte = pgtable.ptep_clear_flush(mm_, address)
    # Only now, when no store goes through the pte any more, is its dirt all there will be.
    if pgtable.pte_dirty(pte):
        rt.reached("unmap: dirty pte")
        page_writeback.set_page_dirty(page)
    rt.bug_on(
        mm.PageAnon(page) and not flags & TTU_MIGRATION, "try_to_unmap_one: an anonymous page, and no swap", page=page
    )
    if flags & TTU_MIGRATION:
        rt.reached("unmap: migration entry")
        pgtable.set_pte_at(mm_, address, swapops.make_migration_entry(page, pgtable.pte_write(pte)))
    page_remove_rmap(page)
    swap.put_page(page, "pte")
    rt.spin_unlock(mm_.page_table_lock)
    return SwapResult.SWAP_AGAIN


# -- migration entries -------------------------------------------------------------------------------------------


def rmap_walk(page: Page, rmap_one: Callable[[Page, Vma, int, Page], SwapResult], arg: Page) -> SwapResult:
    """Call `rmap_one` for each address at which the page may be mapped.  Needs the page lock; sleeps.

    Source: mm/rmap.c (rmap_walk_file), v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "rmap_walk: page is not locked", page=page)
    if mm.PageAnon(page):
        return rmap_walk_anon(page, rmap_one, arg)
    ret = SwapResult.SWAP_AGAIN
    mapping = page.mapping
    if mapping is None:
        return ret
    rt.mutex_lock(mapping.i_mmap_mutex)
    for vma in mapping.i_mmap:
        address = vma_address(page, vma)
        if address is None:
            continue
        ret = rmap_one(page, vma, address, arg)
        if ret != SwapResult.SWAP_AGAIN:
            break
    rt.mutex_unlock(mapping.i_mmap_mutex)
    return ret


def rmap_walk_anon(page: Page, rmap_one: Callable[[Page, Vma, int, Page], SwapResult], arg: Page) -> SwapResult:
    """Do so for an anonymous page, which nothing may map: its anon_vma is there because the caller has a reference.

    Source: mm/rmap.c, v3.3.
    """
    ret = SwapResult.SWAP_AGAIN
    anon_vma = page_anon_vma(page)
    if anon_vma is None:
        return ret
    anon_vma_lock(anon_vma)
    for vma in anon_vma.head:
        address = vma_address(page, vma)
        if address is None:
            continue
        ret = rmap_one(page, vma, address, arg)
        if ret != SwapResult.SWAP_AGAIN:
            break
    anon_vma_unlock(anon_vma)
    return ret


def remove_migration_pte(new: Page, vma: Vma, address: int, old: Page) -> SwapResult:
    """Turn one migration entry for `old`, if it is one, into a pte for `new`: old, clean, writable as it was.

    Source: mm/migrate.c, v3.3.
    """
    mm_ = vma.vm_mm
    rt.spin_lock(mm_.page_table_lock)
    pte = mm_.ptes.read(address)
    if (
        swapops.is_swap_pte(pte)
        and swapops.is_migration_entry(pte)
        and swapops.migration_entry_to_page(mm_, pte) is old
    ):
        rt.reached("migration entry: removed")
        mm.get_page(new, "pte")
        entry = pgtable.pte_mkold(pgtable.mk_pte(new))
        if swapops.is_write_migration_entry(pte):
            entry = pgtable.pte_mkwrite(entry)
        pgtable.set_pte_at(mm_, address, entry)
        if mm.PageAnon(new):
            page_add_anon_rmap(new, cast("PrivateVma", vma), address)
        else:
            page_add_file_rmap(new)
    rt.spin_unlock(mm_.page_table_lock)
    return SwapResult.SWAP_AGAIN


def remove_migration_ptes(old: Page, new: Page) -> None:
    """Turn migration entries for `old` into ptes for `new`.  Needs both page locks; sleeps on the rmap's mutex.

    The walk goes by the mapping of `new`.  Source: mm/migrate.c, v3.3.
    """
    rmap_walk(new, remove_migration_pte, old)


def migration_entry_wait(mm_: MmStruct, address: int) -> None:
    """Sleep until the page of a migration entry is unlocked; the fault then comes again.

    The reference that it needs for that is not one that a migration accounts for: tried again meanwhile, it fails.  A
    frozen page has none to give, and its fault comes again at once.  Source: mm/migrate.c, v3.3.
    """
    rt.spin_lock(mm_.page_table_lock)
    pte = mm_.ptes.read(address)
    if not swapops.is_swap_pte(pte) or not swapops.is_migration_entry(pte):
        rt.spin_unlock(mm_.page_table_lock)
        return
    page = swapops.migration_entry_to_page(mm_, pte)
    if not mm.get_page_unless_zero(page, "entry-wait"):
        rt.reached("migration entry: page frozen")
        rt.spin_unlock(mm_.page_table_lock)
        return
    rt.spin_unlock(mm_.page_table_lock)
    rt.reached("migration entry: page lock awaited")
    filemap.wait_on_page_locked(page)
    swap.put_page(page, "entry-wait")
