"""BUGGY: munmap takes a private mapping from its anon_vma first, and clears its ptes after that.

A migration that made its page's pte an entry before finds no mapping when it is to restore it: the entry stays, of a
page that is unlocked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import memory, rmap, swap

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import PrivateVma


def unmap_private(vma: PrivateVma) -> None:
    """Take a private mapping from its anon_vma, then clear its ptes and let go of the pages."""
    rmap.unlink_anon_vmas(vma)
    gathered = memory.zap_pte_range(vma, vma.vm_start, vma.vm_end)
    swap.release_pages(gathered, "pte")


CANARY = Canary(
    variant=Variant(
        "anon-vma-left-early",
        "munmap unlinks the anon_vma before it clears the ptes",
        {"mm.mmap:unmap_private": unmap_private},
        source="the order of unmap_region: unmap_vmas, then free_pgtables, then the pages",
    ),
    scenario="anon-vs-migration",
    oracle="ptes",
    rule="migration entry left",
    params={"accesses": 4, "rounds": 6, "idle": 10, "unmaps": 4, "migrations": 20},
    hunt=shortest(heap=1, accesses=1, unmaps=2, touched=1, migrations=2),
)
