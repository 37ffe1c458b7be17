"""The page-table side of a page, as far as an unmapped page shows it.

No page of this cast is ever mapped: `mapping.i_mmap` is empty and `_mapcount` stays -1.  So these functions take the
locks that the kernel takes, walk nothing and find nothing; they are here because taking i_mmap_mutex under the page
lock is part of the protocol (it can sleep even in MIGRATE_ASYNC), and so that a variant has a place to map pages.
Invariant: i_mmap_mutex is taken inside the page lock.
Not modelled: ptes, migration entries, anonymous pages.
Source: mm/rmap.c, mm/migrate.c, v3.3.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm import mm, page_flags

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page

MARKS: tuple[tuple[str, str], ...] = ()


class SwapResult(IntEnum):
    """What try_to_unmap says.  Source: include/linux/rmap.h, v3.3."""

    SWAP_SUCCESS = 0
    SWAP_AGAIN = 1


def try_to_unmap(page: Page) -> SwapResult:
    """Unmap the page everywhere, leaving migration entries.  Needs the page lock; sleeps on i_mmap_mutex.

    Here the walk over i_mmap finds nothing.  Source: mm/rmap.c (try_to_unmap_file), v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "try_to_unmap: page is not locked", page=page)
    mapping = page.mapping
    assert mapping is not None
    rt.mutex_lock(mapping.i_mmap_mutex)
    rt.bug_on(len(mapping.i_mmap) != 0, "try_to_unmap: nothing maps pages in this cast", page=page)
    rt.mutex_unlock(mapping.i_mmap_mutex)
    return SwapResult.SWAP_AGAIN if mm.page_mapped(page) else SwapResult.SWAP_SUCCESS


def page_mkclean(page: Page) -> bool:
    """Write-protect the page's ptes and say whether one was dirty.  Needs the page lock.  Never true here.

    An unmapped page costs one read, as in the kernel.  Source: mm/rmap.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "page_mkclean: page is not locked", page=page)
    rt.bug_on(mm.page_mapped(page), "page_mkclean: nothing maps pages in this cast", page=page)
    return False


def remove_migration_ptes(old: Page, new: Page) -> None:
    """Turn migration entries for `old` into ptes for `new`.  Needs both page locks; sleeps on i_mmap_mutex.

    The walk goes by the mapping of `new` and finds nothing here.  Source: mm/migrate.c, mm/rmap.c (rmap_walk), v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(new), "rmap_walk: page is not locked", page=new)
    mapping = new.mapping
    if mapping is None:
        return
    rt.mutex_lock(mapping.i_mmap_mutex)
    rt.bug_on(len(mapping.i_mmap) != 0, "rmap_walk: nothing maps pages in this cast", old=old, new=new)
    rt.mutex_unlock(mapping.i_mmap_mutex)
