"""Actor reader: read(2).  Each round it reads `reads` blocks, without the page lock, as the kernel does.

They are of the file, or, where there is a second disk, of either of the two files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import filemap
from mmrace.runtime.param import Number

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import FileRaState, Inode

READS = Number("reads", 1, 1, 64, says="blocks that the reader reads in one round")
PARAMS = (*LOOP, READS)


def reader(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(READS)):
            read_block(stage, stage.any_block(), stage.any_file())
        rt.note("round", "reader", i)


def read_block(stage: Stage, block: int, inode: Inode | None = None, ra: FileRaState | None = None) -> list[int] | None:
    """Read one block of the file, or of another; return its words, or None on an error.

    Args: ra: how far the kernel has read ahead for whoever reads on; None: it does not.
    """
    inode = inode or stage.inode
    ino = inode.i_ino
    words = stage.machine.words_per_buffer
    rt.note("read-begin", ino, block)
    values = filemap.do_generic_file_read(inode.i_mapping, block * words, words, ra)
    if isinstance(values, int):
        rt.note("read-failed", ino, block, values)
        return None
    rt.note("read-end", ino, block, tuple(values))
    return values


ACTOR = Actor("reader", reader, PARAMS)
