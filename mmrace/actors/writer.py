"""Actor writer: write(2).  Each round it overwrites `burst` blocks of the file with new versions.

All words of the block get the write's version number, which the content oracle looks for.  The number is drawn with
i_mutex held, so that versions of a block grow in the order of the writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import filemap
from mmrace.runtime.param import Number

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode

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
    return write_blocks(stage, stage.inode, block, 1)


def write_blocks(stage: Stage, inode: Inode, block: int, count: int) -> bool:
    """Write blocks of a file by one write(2), all with one version; return False if that did not write all of them."""
    words = stage.machine.words_per_buffer
    blocks = range(block, block + count)
    rt.mutex_lock(inode.i_mutex)
    version = stage.next_version()
    for number in blocks:
        rt.note("write-begin", inode.i_ino, number, version)
    written = filemap.generic_perform_write(inode.i_mapping, block * words, [version] * (words * count))
    whole = written == words * count
    for number in blocks:
        if whole:
            rt.note("write-end", inode.i_ino, number, version)
        else:
            rt.note("write-failed", inode.i_ino, number, written)
    rt.mutex_unlock(inode.i_mutex)
    return whole


ACTOR = Actor("writer", writer, PARAMS)
