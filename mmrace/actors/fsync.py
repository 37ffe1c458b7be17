"""Actor fsync: fsync(2).  Each round it brings the file to the disk, as its file system does that.

Dirty pages are written and waited for.  Where the inode changed too, or data are journalled, kjournald is asked for a
commit, and that is waited for.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.committer import RESCHED, WBUF
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs import ext3_fsync
from mmrace.kernel.jbd import jbd
from mmrace.runtime.param import Number

CREDITS = Number(
    "credits",
    jbd.DEFAULT_MAX_CREDITS,
    3,
    64,
    says="metadata buffers that a transaction may have (data=journal: beside the file's); a handle that finds it full "
    "asks for its commit",
)
LOG = Number(
    "log",
    0,
    0,
    256,
    says="blocks of the log, at least what a transaction needs; 0: so many that it never fills. A handle that finds it "
    "full writes metadata home",
)
LOG_ERRORS = Number(
    "log_errors",
    0,
    0,
    64,
    says="one of so many writes of the log fails, by chance, and the journal is given up; 0: none, 1: each",
)
PARAMS = (*LOOP, WBUF, RESCHED, CREDITS, LOG, LOG_ERRORS)


def fsync(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        sync_file(stage)
        rt.note("round", "fsync", i)


def sync_file(stage: Stage) -> int:
    """Bring the file to the disk; return 0 or a negative errno."""
    ino = stage.inode.i_ino
    rt.note("fsync-begin", ino)
    rc = ext3_fsync.ext3_sync_file(stage.inode)
    rt.note("fsync-end", ino, rc)
    return rc


ACTOR = Actor("fsync", fsync, PARAMS, asks=True)
