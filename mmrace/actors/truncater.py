"""Actor truncater: truncate(2).  Each round it makes the file end at a chosen block, nearer or further than it did.

What lies beyond the new size is gone, for readers at once and on the disk by and by; a file that is made longer has a
hole there.  A block that was freed can be used again once that is committed, so kjournald runs beside it.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs import ext3_truncate
from mmrace.runtime.param import Number

TAILS = Number(
    "tails",
    0,
    0,
    1,
    says="1: a truncation may end the file in the middle of a page, whose rest is zeroed; with data=journal 3.3 zeroes "
    "it in the log of a commit under way, too, and a crash then shows zeros before the truncation is committed (R32)",
)
PARAMS = (*LOOP, TAILS)


def truncater(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        truncate_to(stage, any_end(stage))
        rt.note("round", "truncater", i)


def any_end(stage: Stage) -> int:
    """Choose where the file is to end, as a number of blocks, from none to all.  Point: always."""
    per_page = stage.machine.buffers_per_page
    step = 1 if stage.value(TAILS) else per_page
    return rt.choose(stage.pages * per_page // step + 1, "end") * step


def truncate_to(stage: Stage, block: int) -> int:
    """Make the file end before a block; return 0 or a negative errno."""
    inode = stage.inode
    rt.mutex_lock(inode.i_mutex)
    rt.note("truncate-begin", inode.i_ino, block)
    rc = ext3_truncate.ext3_setattr_size(inode, block * stage.machine.words_per_buffer)
    rt.note("truncate-end", inode.i_ino, block, rc)
    rt.mutex_unlock(inode.i_mutex)
    return rc


ACTOR = Actor("truncater", truncater, PARAMS, asks=True, commits=True, logs=True)
