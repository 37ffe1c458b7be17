"""Actor writeback: the flusher thread.  Each round it writes the file's dirty pages, for memory or for integrity."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import page_writeback
from mmrace.kernel.mm.page_writeback import SyncMode, WritebackControl

PARAMS = LOOP


def writeback(stage: Stage) -> None:
    """Play `rounds` rounds; which of them are WB_SYNC_ALL is chosen."""
    for i in range(stage.rounds):
        stage.pause()
        write_range(stage, SyncMode(rt.choose(2, "sync mode")), 0, stage.pages - 1)
        rt.note("round", "writeback", i)


def write_range(stage: Stage, mode: SyncMode, first: int, last: int) -> int:
    """Write the dirty pages `first`..`last`; returns what ->writepages did."""
    wbc = WritebackControl(sync_mode=mode, range_start=first, range_end=last)
    rt.note("flush-begin", stage.inode.i_ino, first, last)
    rc = page_writeback.do_writepages(stage.mapping, wbc)
    rt.note("flush-end", stage.inode.i_ino)
    return rc


ACTOR = Actor("writeback", writeback, PARAMS)
