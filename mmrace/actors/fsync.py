"""Actor fsync: fsync(2).  Each round it brings the file to the disk, as its file system does that.

Dirty pages are written and waited for.  Where the inode changed too, or data are journalled, kjournald is asked for a
commit, and that is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.committer import RESCHED, WBUF
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.fs import ext3_fsync
from mmrace.kernel.jbd import jbd
from mmrace.runtime.param import Number

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode

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
        sync_file(stage.inode, ext3_fsync.ext3_sync_file)
        rt.note("round", "fsync", i)


def sync_file(inode: Inode, sync: Callable[[Inode], int]) -> int:
    """Bring a file to its disk, the way that its file system has it; return 0 or a negative errno."""
    rt.note("fsync-begin", inode.i_ino)
    rc = sync(inode)
    rt.note("fsync-end", inode.i_ino, rc)
    return rc


ACTOR = Actor("fsync", fsync, PARAMS, asks=True)
