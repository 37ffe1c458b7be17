"""ext3's fsync: the file's data first, then the transaction that changed its inode last.

Invariant: when it returns 0, what was written to the file before it began is at home or in a committed transaction.
Not modelled: fdatasync, whose transaction is that of the last allocation.
Source: fs/ext3/fsync.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.fs import ext3
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd import transaction
from mmrace.kernel.mm import filemap

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import Inode

MARKS: tuple[tuple[str, str], ...] = (
    ("fsync: forced a commit", "data=journal: a transaction of its own making takes the data along"),
    ("fsync: flushed the disk's cache", "no commit was left to do it: the disk was asked to"),
)


def ext3_sync_file(inode: Inode) -> int:
    """Bring a file to the disk: 0, or a negative errno.  Needs no handle; sleeps for I/O and for the commit.

    data=journal: what writepage finds is clean or goes into the journal, so a commit is forced.  Otherwise the commit
    of the inode's last transaction is asked for, which may be done already.  Source: fs/ext3/fsync.c, v3.3.
    """
    journal = ext3.EXT3_JOURNAL(inode)
    ret = filemap.filemap_write_and_wait(inode.i_mapping)
    if ret:
        return ret
    rt.bug_on(ext3.ext3_journal_current_handle() is not None, "fsync inside a handle", inode=inode)
    if ext3.ext3_should_journal_data(inode):
        rt.reached("fsync: forced a commit")
        return transaction.journal_force_commit(journal)
    commit_tid = inode.i_sync_tid
    needs_barrier = journal.j_barrier and not journal_.journal_trans_will_send_data_barrier(journal, commit_tid)
    journal_.log_start_commit(journal, commit_tid)
    ret = journal_.log_wait_commit(journal, commit_tid)
    if needs_barrier:
        rt.reached("fsync: flushed the disk's cache")
        device.blkdev_issue_flush(ext3.EXT3_SB(inode).bdev)
    return ret
