"""Actor flusher: the flusher thread of the block device's own inode, whose pages have the metadata.

Each round it writes what is dirty there, as it does for any inode that says so.  What the journal holds back is not
dirty for it; what a commit let go of is, whether a checkpoint is at it or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import IDLE, Stage
from mmrace.kernel.fs import fs_writeback
from mmrace.kernel.mm import radix_tree
from mmrace.kernel.mm.page_writeback import SyncMode, WritebackControl
from mmrace.runtime.param import Number

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode

FLUSHES = Number("flushes", 8, 1, 1000, says="rounds of the flusher of the block device")
PARAMS = (IDLE, FLUSHES)

DIRTIED = ("inodes", "superblock")
"""Regions of the disk whose blocks somebody dirties for writeback; what the log has is dirty for its commit only."""


def flusher(stage: Stage) -> None:
    """Play `flushes` rounds; which of them are WB_SYNC_ALL, as in sync(2), is chosen."""
    make_slots(stage)
    for i in range(stage.value(FLUSHES)):
        stage.pause()
        flush_device(stage, SyncMode(rt.choose(2, "sync mode")))
        rt.note("round", "flusher", i)


def make_slots(stage: Stage) -> None:
    """Make the slots of the blocks that can be dirty.  Point: never.

    A look for dirty pages passes over slots that nobody made, without an op: an exhaustive walk would not see that it
    meets who makes one.
    """
    tree, per_page = stage.device.bd_inode.i_mapping.page_tree, stage.machine.buffers_per_page
    for region in stage.device.regions:
        if region.key in DIRTIED:
            for blocknr in range(region.first, region.first + region.blocks):
                radix_tree.radix_tree_lookup_slot(tree, blocknr // per_page)


def flush_device(stage: Stage, mode: SyncMode) -> int:
    """Write the device's dirty pages; returns what ->writepages did."""
    inode = stage.device.bd_inode
    return flush_inode(inode, inode.i_blocks // stage.machine.buffers_per_page, mode)


def flush_inode(inode: Inode, last: int, mode: SyncMode) -> int:
    """Write an inode's dirty pages, which are those to `last` at most; returns what ->writepages did."""
    rt.note("flush-begin", inode.i_ino, 0, last)
    rc = fs_writeback.writeback_sb_inodes(inode, WritebackControl(sync_mode=mode))
    rt.note("flush-end", inode.i_ino)
    return rc


ACTOR = Actor("flusher", flusher, PARAMS)
