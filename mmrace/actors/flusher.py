"""Actor flusher: the flusher thread of the block device's own inode, whose pages have the metadata.

Each round it writes what is dirty there, as it does for any inode that says so.  What the journal holds back is not
dirty for it; what a commit let go of is, whether a checkpoint is at it or not.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import IDLE, Stage
from mmrace.kernel.fs import fs_writeback
from mmrace.kernel.mm.page_writeback import SyncMode, WritebackControl
from mmrace.runtime.param import Number

FLUSHES = Number("flushes", 8, 1, 1000, says="rounds of the flusher of the block device")
PARAMS = (IDLE, FLUSHES)


def flusher(stage: Stage) -> None:
    """Play `flushes` rounds; which of them are WB_SYNC_ALL, as in sync(2), is chosen."""
    for i in range(stage.value(FLUSHES)):
        stage.pause()
        flush_device(stage, SyncMode(rt.choose(2, "sync mode")))
        rt.note("round", "flusher", i)


def flush_device(stage: Stage, mode: SyncMode) -> int:
    """Write the device's dirty pages; returns what ->writepages did."""
    inode = stage.device.bd_inode
    last = inode.i_blocks // stage.machine.buffers_per_page
    rt.note("flush-begin", inode.i_ino, 0, last)
    rc = fs_writeback.writeback_sb_inodes(inode, WritebackControl(sync_mode=mode))
    rt.note("flush-end", inode.i_ino)
    return rc


ACTOR = Actor("flusher", flusher, PARAMS)
