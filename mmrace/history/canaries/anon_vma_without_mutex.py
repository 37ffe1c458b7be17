"""BUGGY: munmap takes a private mapping from its anon_vma without that one's mutex.

A migration that made the mapping's pte an entry goes through the list meanwhile, to find it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import rmap

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import PrivateVma


def unlink_anon_vmas(vma: PrivateVma) -> None:
    """Take a private mapping from its anon_vma, and let go of that."""
    anon_vma = vma.anon_vma
    if anon_vma is not None:
        anon_vma.head = tuple(other for other in anon_vma.head if other is not vma)
        rmap.put_anon_vma(anon_vma, "vma")


CANARY = Canary(
    variant=Variant(
        "anon-vma-without-mutex",
        "munmap changes an anon_vma's list of mappings without its mutex",
        {"mm.rmap:unlink_anon_vmas": unlink_anon_vmas},
        source="the rule that an anon_vma's list is walked and changed under its root's mutex (2.6.36)",
    ),
    scenario="anon-vs-migration",
    oracle="data-race",
    rule="race",
    params={"accesses": 4, "rounds": 6, "idle": 10, "unmaps": 4, "migrations": 20},
    hunt=shortest(heap=1, touched=1, migrations=4, unmaps=4, accesses=2, rounds=2),
)
