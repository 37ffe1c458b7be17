"""Actor hugepage: a process that touches new memory where transparent huge pages are on.

Each round is one page fault: a huge page, or, if none can be had even by compaction, small pages, as many as make one.
It keeps the last `held` of these and frees what is older; at the end it frees all.
Not played here: anonymous memory on the LRU; what a fault has got is in no mapping, and stays where it is.
Source: mm/huge_memory.c (do_huge_pmd_anonymous_page), v3.3.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.migrator import PASSES
from mmrace.actors.stage import IDLE, Stage
from mmrace.kernel import gfp
from mmrace.kernel.mm import mmzone, page_alloc
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.param import Number

FAULTS = Number("faults", 3, 1, 10_000, says="page faults of the actor hugepage, each for a huge page")
HELD = Number("held", 1, 0, 64, says="huge pages, or as many small ones, that the actor hugepage keeps between faults")
PARAMS = (IDLE, FAULTS, HELD, PASSES)

Taken = list[tuple[Page, int]]
"""Pages with their orders."""


def hugepage(stage: Stage) -> None:
    """Play `faults` rounds."""
    held: list[Taken] = []
    for i in range(stage.value(FAULTS)):
        stage.pause()
        held.append(fault(stage))
        while len(held) > stage.value(HELD):
            give_back(held.pop(0))
        rt.note("round", "hugepage", i)
    while held:
        give_back(held.pop(0))


def fault(stage: Stage) -> Taken:
    """Take a huge page, or fall back to small ones; returns what was got, which is less if memory is out."""
    machine = stage.machine
    order = machine.pageblock_order
    page = page_alloc.alloc_pages(machine, gfp.GFP_TRANSHUGE, order)
    if page is not None:
        mmzone.count_vm_event(machine, "THP_FAULT_ALLOC")
        return [(page, order)]
    mmzone.count_vm_event(machine, "THP_FAULT_FALLBACK")
    taken: Taken = []
    for _ in range(1 << order):
        small = page_alloc.alloc_page(machine, gfp.GFP_HIGHUSER_MOVABLE)
        if small is not None:
            taken.append((small, 0))
    return taken


def give_back(taken: Taken) -> None:
    """Free what one fault has got."""
    for page, order in taken:
        page_alloc.__free_pages(page, order)


ACTOR = Actor("hugepage", hugepage, PARAMS, migrates=True)
