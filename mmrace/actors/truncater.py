"""Actor truncater: drops the file's pages from a chosen one on, as truncate(2) and a last close do.

The file keeps its size and its blocks, so readers find the pages on the disk again.  Not played: what was written and
not yet on the disk is lost by it, so no writer belongs into its cast, nor pages that are dirty at first.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import truncate

PARAMS = LOOP


def truncater(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        first = stage.any_index()
        rt.note("truncate-begin", stage.inode.i_ino, first)
        truncate.truncate_inode_pages(stage.mapping, first)
        rt.note("truncate-end", stage.inode.i_ino)
        rt.note("round", "truncater", i)


ACTOR = Actor("truncater", truncater, PARAMS, loses=True)
