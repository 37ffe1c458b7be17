"""Actor compactor: compacts memory for no allocation of its own.

Each round it writes to /proc/sys/vm/compact_memory, which empties all pageblocks that it can and may wait; or it is one
pass of a direct compactor for a huge page (PF_MEMALLOC), asynchronous or not, with what came of it left to others.
Invariant: between rounds it has no page and no free frame.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.migrator import PASSES
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel import gfp
from mmrace.kernel.mm import compaction, mmzone
from mmrace.runtime.param import Choice

COMPACT_MEMORY, DIRECT_ASYNC, DIRECT_SYNC = "compact_memory", "direct-async", "direct-sync"
COMPACTS = Choice(
    "compacts",
    COMPACT_MEMORY,
    (COMPACT_MEMORY, DIRECT_ASYNC, DIRECT_SYNC),
    says="what the compactor does in a round: all of memory for an administrator, or a direct compactor's first "
    "(asynchronous) or second pass for a huge page",
)
PARAMS = (*LOOP, COMPACTS, PASSES)


def compactor(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        compact(stage)
        rt.note("round", rt.current().name, i)


def compact(stage: Stage) -> None:
    """Compact once, as the parameter says."""
    machine = stage.machine
    way = stage.value(COMPACTS)
    if way == COMPACT_MEMORY:
        compaction.compact_memory(machine)
        return
    task = rt.current()
    task.pf |= mmzone.PF_MEMALLOC
    compaction.try_to_compact_pages(machine.zone, machine.pageblock_order, gfp.GFP_TRANSHUGE, way == DIRECT_SYNC)
    task.pf &= ~mmzone.PF_MEMALLOC


ACTOR = Actor("compactor", compactor, PARAMS, migrates=True)
RIVAL = Actor("rival", compactor, PARAMS, migrates=True)
"""Another one, which does the same at the same time."""
