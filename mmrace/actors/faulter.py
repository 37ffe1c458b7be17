"""Actor faulter: a program with the file mapped.  Each round it loads or stores `accesses` blocks through a mapping.

A store is a write(2) without a system call: no lock of the kernel orders it with anything, and nobody is told of it but
the pte.  So two who write the same block, one of them through a mapping, would race by their own fault: `stores` is for
casts without a writer.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import fault
from mmrace.kernel.mm.mm import VmFault
from mmrace.runtime.param import Number

ACCESSES = Number("accesses", 2, 1, 64, says="blocks that a program loads or stores in one round through its ptes")
STORES = Number(
    "stores",
    1,
    0,
    2,
    says="what a program does to a block through its ptes: 0: it loads it, 1: it loads or stores it, 2: it stores it",
)
MAPPINGS = Number("mappings", 1, 1, 3, says="how often the file is mapped, one after the other, in one address space")
TOUCHED = Number(
    "touched", 0, 0, 64, says="pages of each mapping, of the file or private, that have ptes before the actors begin"
)
PARAMS = (*LOOP, ACCESSES, STORES, MAPPINGS, TOUCHED)


def faulter(stage: Stage) -> None:
    """Play `rounds` rounds."""
    stores = stage.value(STORES)
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(ACCESSES)):
            block = stage.any_block()
            mapping = any_mapping(stage)
            if stores == 2 or (stores and rt.choose(2, "store")):
                store_block(stage, mapping, block)
            else:
                load_block(stage, mapping, block)
        rt.note("round", "faulter", i)


def any_mapping(stage: Stage) -> int:
    """Choose a mapping, as the number of its first page.  Point: if there is more than one."""
    mappings = stage.value(MAPPINGS)
    return rt.choose(mappings, "mapping") * stage.pages if mappings > 1 else 0


def store_block(stage: Stage, start: int, block: int, of: str = "") -> bool:
    """Store a new version in each word of a block; return False if an error ended that.

    Args: of: what the notes call the memory, "": the file's inode.
    """
    index, of_page = divmod(block, stage.machine.buffers_per_page)
    words, ino = stage.machine.words_per_buffer, of or stage.inode.i_ino
    version = stage.next_version()
    rt.note("store-begin", ino, block, version)
    for word in range(of_page * words, (of_page + 1) * words):
        error = fault.store_word(stage.mm, start + index, word, version)
        if error:
            rt.note("store-failed", ino, block, version, str(error.name))
            return False
    rt.note("store-end", ino, block, version)
    return True


def load_block(stage: Stage, start: int, block: int, of: str = "") -> list[int] | None:
    """Load each word of a block; return them, or None if an error ended that."""
    index, of_page = divmod(block, stage.machine.buffers_per_page)
    words, ino = stage.machine.words_per_buffer, of or stage.inode.i_ino
    values = []
    rt.note("load-begin", ino, block)
    for word in range(of_page * words, (of_page + 1) * words):
        error, value = fault.load_word(stage.mm, start + index, word)
        if error:
            rt.note("load-failed", ino, block, str(error.name))
            return None
        values.append(value)
    rt.note("load-end", ino, block, tuple(values))
    return values


def touch_page(stage: Stage, start: int, index: int) -> VmFault:
    """Load the first word of a page, so that it is mapped."""
    return fault.load_word(stage.mm, start + index, 0)[0]


ACTOR = Actor("faulter", faulter, PARAMS, maps=True)
