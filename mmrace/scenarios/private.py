"""Set up memory that is private to a program: where a cast has actors that work on it.

Invariant: where no actor of a cast does, nothing here is done, and no frame is kept for it.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import faulter, heap
from mmrace.actors.stage import Stage
from mmrace.kernel.mm import mm_types, mmap, mmzone, swap
from mmrace.runtime.param import Values


def pages(params: Values) -> int:
    """Return how many pages the memory has, 0 where no actor works on it."""
    return heap.HEAP.value_in(params) if heap.HEAP.name in params else 0


def map_memory(stage: Stage, threads: int) -> None:
    """Map the memory, and have its first pages touched.  Args: threads: of the program, which may end with them."""
    mmzone.prepare_anon(stage.machine)
    rt.note("heap", stage.heap_start, stage.machine.buffers_per_page)
    if stage.value(heap.EXITS):
        stage.mm = stage.program = mm_types.CountedMm("mm", stage.machine, pages(stage.params))
        for _ in range(threads):
            stage.program.mm_users.get("thread")
    else:
        stage.mm = mm_types.MmStruct("mm", stage.machine, pages(stage.params))
    rt.mutex_lock(stage.mm.mmap_sem)
    mmap.mmap_private(stage.mm, stage.heap_start, pages(stage.params))
    rt.mutex_unlock(stage.mm.mmap_sem)
    for index in range(min(stage.value(faulter.TOUCHED), pages(stage.params))):
        faulter.touch_page(stage, stage.heap_start, index)
    swap.lru_add_drain_all(stage.machine)
