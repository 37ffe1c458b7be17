"""What every file of mm/ asks of a page: its count, its mapping and its place in it.

Invariant: every change of a count names the reference that it makes or drops.
Not checked: who holds which reference (the ledger oracle does, from the names).
Source: include/linux/mm.h, v3.3.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.mm.mm_types import AnonVma

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page


class VmFault(IntFlag):
    """What came of a fault.  Source: include/linux/mm.h, v3.3."""

    VM_FAULT_OOM = 0x0001
    VM_FAULT_SIGBUS = 0x0002
    VM_FAULT_MAJOR = 0x0004
    VM_FAULT_WRITE = 0x0008
    VM_FAULT_LOCKED = 0x0200


# -- references --------------------------------------------------------------------------------------------------


def get_page(page: Page, ref: str) -> None:
    """Take the reference `ref`.  Needs one already held.  Source: include/linux/mm.h, v3.3."""
    page._count.get(ref)


def put_page_testzero(page: Page, ref: str) -> bool:
    """Drop the reference `ref` and say whether it was the last; the caller then frees the page.

    Source: include/linux/mm.h, v3.3.
    """
    return page._count.put(ref) == 0


def get_page_unless_zero(page: Page, ref: str) -> bool:
    """Take the reference `ref` unless the count is 0 (page free or frozen); returns whether it did.

    Source: include/linux/mm.h, v3.3.
    """
    return page._count.get_unless_zero(ref)


def page_count(page: Page) -> int:
    """Read the reference count.  Source: include/linux/mm.h, v3.3."""
    return page._count.read()


# -- fields ------------------------------------------------------------------------------------------------------


def PageAnon(page: Page) -> bool:
    """Say whether the page is anonymous: whether its mapping is an anon_vma (PAGE_MAPPING_ANON).  Point: never.

    It is no op: a page becomes anonymous before anybody else can see it, or as the locked target of a move, and remains
    so until it is moved away or freed.  Source: include/linux/mm.h, v3.3.
    """
    return isinstance(rt.peek(page, "mapping"), AnonVma)


def page_mapping(page: Page) -> AddressSpace | None:
    """Read the page's mapping: None for an anonymous one (no swap cache here).  Source: include/linux/mm.h, v3.3."""
    mapping = page.mapping
    return None if isinstance(mapping, AnonVma) else mapping


def page_index(page: Page) -> int:
    """Read the page's slot index.  Needs a page that is or was in a mapping.  Source: include/linux/mm.h, v3.3."""
    index = page.index
    rt.bug_on(index is None, "page_index: page has no index", page=page)
    assert index is not None
    return index


def page_mapcount(page: Page) -> int:
    """Return how many ptes map the page: the count starts at -1.  Source: include/linux/mm.h, v3.3."""
    return page._mapcount + 1


def page_mapped(page: Page) -> bool:
    """Say whether a pte maps the page.  Source: include/linux/mm.h, v3.3."""
    return page._mapcount >= 0
