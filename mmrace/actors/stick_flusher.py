"""Actor stick_flusher: the flusher thread of the stick.  Each round it writes what is dirty of the file there."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors import flusher
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm.page_writeback import SyncMode

PARAMS = LOOP


def stick_flusher(stage: Stage) -> None:
    """Play `rounds` rounds; which of them are WB_SYNC_ALL, as in sync(2), is chosen."""
    for i in range(stage.rounds):
        stage.pause()
        flush_stick(stage, SyncMode(rt.choose(2, "sync mode")))
        rt.note("round", "stick_flusher", i)


def flush_stick(stage: Stage, mode: SyncMode) -> int:
    """Write the dirty pages of the copy; returns what ->writepages did."""
    return flusher.flush_inode(stage.stick, stage.pages - 1, mode)


ACTOR = Actor("stick_flusher", stick_flusher, PARAMS, copies=True)
