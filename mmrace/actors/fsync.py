"""Actor fsync: the data half of fsync(2).  Each round it writes the file's dirty pages and waits for all writeback."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs.ext3 import DataMode
from mmrace.kernel.mm import filemap

PARAMS = LOOP


def fsync(stage: Stage) -> None:
    """Play `rounds` rounds.  With data=journal the promise is the other half's: a commit puts the data into the log."""
    promised = stage.fs.data is not DataMode.JOURNAL
    for i in range(stage.rounds):
        stage.pause()
        ino = stage.inode.i_ino
        rt.note("fsync-begin", ino, promised)
        rc = filemap.filemap_write_and_wait(stage.mapping)
        rt.note("fsync-end", ino, rc)
        rt.note("round", "fsync", i)


ACTOR = Actor("fsync", fsync, PARAMS)
