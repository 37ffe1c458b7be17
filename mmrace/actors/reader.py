"""Actor reader: read(2).  Each round it reads `reads` blocks of the file, without the page lock, as the kernel does."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import filemap
from mmrace.runtime.param import Number

READS = Number("reads", 1, 1, 64, says="blocks that the reader reads in one round")
PARAMS = (*LOOP, READS)


def reader(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(READS)):
            read_block(stage, stage.any_block())
        rt.note("round", "reader", i)


def read_block(stage: Stage, block: int) -> list[int] | None:
    """Read one block; return its words, or None on an error."""
    ino = stage.inode.i_ino
    words = stage.machine.words_per_buffer
    rt.note("read-begin", ino, block)
    values = filemap.do_generic_file_read(stage.mapping, block * words, words)
    if isinstance(values, int):
        rt.note("read-failed", ino, block, values)
        return None
    rt.note("read-end", ino, block, tuple(values))
    return values


ACTOR = Actor("reader", reader, PARAMS)
