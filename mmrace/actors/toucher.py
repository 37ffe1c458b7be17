"""Actor toucher: touch(1), chmod(1).  Each round it changes an inode that lies in the same block as the file's.

It needs no page of the file and no lock of it: what it shares with a writer are the block's buffer and the transaction,
in which both have a handle.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs import ext3
from mmrace.kernel.fs.fs import Inode
from mmrace.runtime.param import Number

TOUCHES = Number("touches", 1, 1, 64, says="changes that the toucher makes to its inode in one round")
PARAMS = (*LOOP, TOUCHES)


def toucher(stage: Stage) -> None:
    """Play `rounds` rounds."""
    inode = neighbour(stage)
    for i in range(stage.rounds):
        stage.pause()
        for _ in range(stage.value(TOUCHES)):
            touch(inode)
        rt.note("round", "toucher", i)


def neighbour(stage: Stage) -> Inode:
    """Return an empty file whose inode lies in the same block as that of the stage's file."""
    ino = stage.inode.i_ino
    assert isinstance(ino, int), "an inode of ext3 has a number"
    return ext3.ext3_iget(stage.fs, ino + stage.fs.inodes, 0)


def touch(inode: Inode) -> None:
    """Change an inode in a handle of its own."""
    rt.mutex_lock(inode.i_mutex)
    rt.note("touch-begin", inode.i_ino)
    ext3.ext3_dirty_inode(inode)
    rt.note("touch-end", inode.i_ino)
    rt.mutex_unlock(inode.i_mutex)


ACTOR = Actor("toucher", toucher, PARAMS, logs=True)
