"""Actor unmapper: munmap(2) and mmap(2) again of a program's own memory, by another of its threads.

mmap_sem keeps it from the faults of the first, but not from its accesses; and nothing keeps it from who moves the
pages, which lose their last pte, and their anon_vma its last mapping, under the move.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import faulter, heap
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import mmap
from mmrace.runtime.param import Number

UNMAPS = Number("unmaps", 1, 1, 64, says="times that the unmapper takes the memory away and makes it anew in one round")
PARAMS = (*LOOP, UNMAPS, faulter.TOUCHED, heap.HEAP, heap.EXITS)


def unmapper(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(UNMAPS)):
            unmap_and_map(stage)
        rt.note("round", "unmapper", i)
    heap.leave(stage)


def unmap_and_map(stage: Stage) -> None:
    """Take the memory away, and map as much at the same place; all of it is zeros then."""
    pages = stage.value(heap.HEAP)
    blocks = pages * stage.machine.buffers_per_page
    rt.mutex_lock(stage.mm.mmap_sem)
    rt.note("discard-begin", heap.NAME, blocks)
    mmap.mmap_private(stage.mm, stage.heap_start, pages)
    rt.note("discard-end", heap.NAME, blocks)
    rt.mutex_unlock(stage.mm.mmap_sem)


ACTOR = Actor("unmapper", unmapper, PARAMS, private=True)
