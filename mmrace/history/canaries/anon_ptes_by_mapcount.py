"""BUGGY: the ptes of a moved anonymous page are looked for by way of page_lock_anon_vma, as those to be taken away are.

That one wants the page mapped.  Now nothing maps it, all its ptes being migration entries: it finds no anon_vma, and
they stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import rmap
from mmrace.kernel.mm.rmap import SwapResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmrace.kernel.mm.mm_types import Page, Vma


def rmap_walk_anon(page: Page, rmap_one: Callable[[Page, Vma, int, Page], SwapResult], arg: Page) -> SwapResult:
    """Call `rmap_one` where the page may be mapped, if it is."""
    ret = SwapResult.SWAP_AGAIN
    anon_vma = rmap.page_lock_anon_vma(page)
    if anon_vma is None:
        return ret
    for vma in anon_vma.head:
        address = rmap.vma_address(page, vma)
        if address is not None:
            ret = rmap_one(page, vma, address, arg)
    rmap.page_unlock_anon_vma(anon_vma)
    return ret


CANARY = Canary(
    variant=Variant(
        "anon-ptes-by-mapcount",
        "the ptes of a moved anonymous page are restored only if something maps it",
        {"mm.rmap:rmap_walk_anon": rmap_walk_anon},
        source="the rule that rmap_walk_anon cannot use page_lock_anon_vma, which depends on page_mapped",
    ),
    scenario="anon-vs-migration",
    oracle="ptes",
    rule="migration entry left",
    params={"rounds": 4, "idle": 20, "migrations": 8},
    hunt=shortest(heap=1, accesses=1, touched=1, without="unmapper"),
)
