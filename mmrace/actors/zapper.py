"""Actor zapper: munmap(2) and mmap(2) again.  Each round it maps the file anew, at the same address.

It is another thread of the program that faults: mmap_sem keeps the two apart, but not the accesses, and the pages are
unmapped without their locks.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import faulter
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import mmap
from mmrace.runtime.param import Number

ZAPS = Number("zaps", 1, 1, 64, says="mappings that the zapper takes away and makes again in one round")
PARAMS = (*LOOP, ZAPS, faulter.MAPPINGS, faulter.TOUCHED)


def zapper(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(ZAPS)):
            map_again(stage, faulter.any_mapping(stage))
        rt.note("round", "zapper", i)


def map_again(stage: Stage, start: int) -> None:
    """Map the file over the mapping that begins at an address, as mmap(2) with MAP_FIXED."""
    rt.mutex_lock(stage.mm.mmap_sem)
    mmap.mmap_region(stage.mm, stage.mapping, start, stage.pages, 0)
    rt.mutex_unlock(stage.mm.mmap_sem)


ACTOR = Actor("zapper", zapper, PARAMS, maps=True)
