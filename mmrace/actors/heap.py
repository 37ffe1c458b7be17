"""Actor heap: a program that works on memory of its own.  Each round it loads or stores `accesses` blocks of it.

A block is as many words as one of the file has.  Nobody else knows of this memory but whoever moves its pages, so that
what was stored last is what is loaded, whatever becomes of the page; and zeros after a munmap (actor `unmapper`).
With `exits` the process ends with its last thread.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import faulter
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import mmap
from mmrace.runtime.param import Number

HEAP = Number("heap", 1, 1, 16, says="pages of the memory that a program has for itself")
EXITS = Number(
    "exits", 0, 0, 1, says="1: the program ends when its last thread has played its rounds, and its memory with it"
)
PARAMS = (*LOOP, faulter.ACCESSES, faulter.STORES, faulter.TOUCHED, HEAP, EXITS)

NAME = "heap"
"""What notes call this memory, where they have the inode of a file."""


def heap(stage: Stage) -> None:
    """Play `rounds` rounds."""
    stores = stage.value(faulter.STORES)
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(faulter.ACCESSES)):
            block = any_block(stage)
            if stores == 2 or (stores and rt.choose(2, "store")):
                faulter.store_block(stage, stage.heap_start, block, NAME)
            else:
                faulter.load_block(stage, stage.heap_start, block, NAME)
        rt.note("round", "heap", i)
    leave(stage)


def any_block(stage: Stage) -> int:
    """Choose a page of the memory, then a block of that page.  Point: for each choice among more than one."""
    pages, per_page = stage.value(HEAP), stage.machine.buffers_per_page
    index = rt.choose(pages, "page") if pages > 1 else 0
    return index * per_page + (rt.choose(per_page, "buffer") if per_page > 1 else 0)


def leave(stage: Stage) -> None:
    """Be a thread that is done: the last one takes the address space away, if the program is to end."""
    if stage.value(EXITS):
        mmap.mmput(stage.program)


ACTOR = Actor("heap", heap, PARAMS, private=True)
