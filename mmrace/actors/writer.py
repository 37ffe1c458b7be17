"""Actor writer: write(2).  Each round it overwrites `burst` blocks of the file with new versions.

All words of the block get the write's version number, which the content oracle looks for.  The number is drawn with
i_mutex held, so that versions of a block grow in the order of the writes.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import filemap
from mmrace.runtime.param import Number

BURST = Number("burst", 1, 1, 64, says="blocks that the writer overwrites in one round")
METADATA = Number("metadata", 0, 0, 1, says="1: a write also changes its inode's block through the journal")
PARAMS = (*LOOP, BURST, METADATA)


def writer(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(BURST)):
            write_block(stage, stage.any_block())
        rt.note("round", "writer", i)


def write_block(stage: Stage, block: int) -> bool:
    """Overwrite one block; return False if the file system had no page for it."""
    inode = stage.inode
    words = stage.machine.words_per_buffer
    rt.mutex_lock(inode.i_mutex)
    version = stage.next_version()
    rt.note("write-begin", inode.i_ino, block, version)
    written = filemap.generic_perform_write(stage.mapping, block * words, [version] * words)
    if written == words:
        rt.note("write-end", inode.i_ino, block, version)
    else:
        rt.note("write-failed", inode.i_ino, block, written)
    rt.mutex_unlock(inode.i_mutex)
    return written == words


ACTOR = Actor("writer", writer, PARAMS)
