"""Revoke records: blocks that were freed, so that recovery must not write an older copy of them home.

A record lives in the table of the running transaction until its commit writes it to the log; who journals the block
again in that transaction takes it back.  The bits of a buffer spare the search: BH_RevokeValid says that BH_Revoked is
to be trusted.
Invariant: a block has at most one record in a table; the committing table is the commit's alone.  j_revoke_lock guards
the running one.
Not called yet but for the commit and for write access: waits for truncation, which frees metadata blocks.
Source: fs/jbd/revoke.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import jbd, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.jbd.jbd import Handle, Journal, JournalHead, Transaction

MARKS: tuple[tuple[str, str], ...] = (
    ("revoke: block revoked", "a freed block got a record"),
    ("revoke: revoked again", "the block had a record of this transaction or an older one: its sequence was raised"),
    ("revoke: cancelled", "the block is journaled again: its record was taken back"),
    ("revoke: records written", "a commit wrote revoke records into the log"),
    ("revoke: alias cleared", "the device's own buffer of the block was marked as revoked, too"),
)


# -- the tables ----------------------------------------------------------------------------------------------


def insert_revoke_hash(journal: Journal, blocknr: int, seq: int) -> None:
    """Add a record to the running table.  May sleep to allocate.  Source: fs/jbd/revoke.c, v3.3."""
    rt.might_sleep()
    rt.spin_lock(journal.j_revoke_lock)
    records = journal.j_revoke
    if any(block == blocknr for block, _ in records):
        rt.reached("revoke: revoked again")
        records = tuple(record for record in records if record[0] != blocknr)
    journal.j_revoke = (*records, (blocknr, seq))
    rt.spin_unlock(journal.j_revoke_lock)


def find_revoke_record(journal: Journal, blocknr: int) -> tuple[int, int] | None:
    """Return a block's record in the running table, or None.  Source: fs/jbd/revoke.c, v3.3."""
    rt.spin_lock(journal.j_revoke_lock)
    found = next((record for record in journal.j_revoke if record[0] == blocknr), None)
    rt.spin_unlock(journal.j_revoke_lock)
    return found


def journal_clear_buffer_revoked_flags(journal: Journal) -> None:
    """Let no buffer say that it is revoked: in the transaction to come none is.  Needs j_state_lock and no open handle.

    Source: fs/jbd/revoke.c, v3.3.
    """
    for blocknr, _ in journal.j_revoke:
        bh = buffer.__find_get_block(journal.j_dev, blocknr, "commit")
        if bh is not None:
            rt.clear_bit(bh.b_state, BufferState.BH_Revoked)
            buffer.__brelse(bh, "commit")


def journal_switch_revoke_table(journal: Journal) -> None:
    """Hand the running table to the commit, and begin an empty one.  Needs j_state_lock and no open handle.

    Source: fs/jbd/revoke.c, v3.3.
    """
    journal.j_revoke_committing = journal.j_revoke
    journal.j_revoke = ()


# -- revoke and cancel ---------------------------------------------------------------------------------------


def journal_revoke(handle: Handle, blocknr: int, bh_in: BufferHead | None) -> int:
    """Revoke a block that is being freed, and forget its buffer, whose count `bh_in` brings; 0 or -EIO.

    -EIO: the buffer was revoked already and nobody journaled it since.  Sleeps.  Source: fs/jbd/revoke.c, v3.3.
    """
    this = transaction._handle_transaction(handle)
    journal = this.t_journal
    bh = bh_in if bh_in is not None else buffer.__find_get_block(journal.j_dev, blocknr, "journal")
    if bh is not None:
        if rt.test_bit(bh.b_state, BufferState.BH_Revoked):
            if bh_in is None:
                buffer.brelse(bh, "journal")
            return -Errno.EIO
        rt.set_bit(bh.b_state, BufferState.BH_Revoked)
        rt.set_bit(bh.b_state, BufferState.BH_RevokeValid)
        if bh_in is not None:
            transaction.journal_forget(handle, bh_in)
        else:
            buffer.__brelse(bh, "journal")
    rt.reached("revoke: block revoked")
    insert_revoke_hash(journal, blocknr, this.t_tid)
    return 0


def journal_cancel_revoke(handle: Handle, jh: JournalHead) -> bool:
    """Take back the record of a block that is journaled again; says whether it had one.

    Source: fs/jbd/revoke.c, v3.3.
    """
    journal = transaction._handle_transaction(handle).t_journal
    bh = jbd.jh2bh(jh)
    if rt.test_and_set_bit(bh.b_state, BufferState.BH_RevokeValid):
        need_cancel = rt.test_and_clear_bit(bh.b_state, BufferState.BH_Revoked)
    else:
        need_cancel = True
        rt.clear_bit(bh.b_state, BufferState.BH_Revoked)
    if not need_cancel:
        return False
    blocknr = bh.b_blocknr
    record = find_revoke_record(journal, blocknr)
    if record is not None:
        rt.reached("revoke: cancelled")
        rt.spin_lock(journal.j_revoke_lock)
        journal.j_revoke = tuple(other for other in journal.j_revoke if other != record)
        rt.spin_unlock(journal.j_revoke_lock)
    # A file's buffer of the block is not the device's own, whose bits would go stale.
    alias = buffer.__find_get_block(journal.j_dev, blocknr, "journal")
    if alias is not None:
        if alias is not bh:
            rt.reached("revoke: alias cleared")
            rt.clear_bit(alias.b_state, BufferState.BH_Revoked)
        buffer.__brelse(alias, "journal")
    return record is not None


# -- records in the log --------------------------------------------------------------------------------------


def journal_write_revoke_records(journal: Journal, commit_transaction: Transaction) -> None:
    """Write the committing table to the log, and empty it; the commit waits for the blocks with its descriptors.

    Simplified: one word holds the records of a block (see `jbd.log_header`), `j_tags_max` of them at most.
    Source: fs/jbd/revoke.c, v3.3.
    """
    records = journal.j_revoke_committing
    if not records:
        return
    rt.reached("revoke: records written")
    for first in range(0, len(records), journal.j_tags_max):
        homes = tuple(blocknr for blocknr, _ in records[first : first + journal.j_tags_max])
        flush_descriptor(journal, commit_transaction, homes)
    journal.j_revoke_committing = ()


def flush_descriptor(journal: Journal, commit_transaction: Transaction, homes: tuple[int, ...]) -> None:
    """Compose one revoke block on the next log block, and start to write it.  Source: fs/jbd/revoke.c, v3.3."""
    descriptor = journal_.journal_get_descriptor_buffer(journal)
    bh = jbd.jh2bh(descriptor)
    tid = commit_transaction.t_tid
    header = jbd.log_header(jbd.JFS_REVOKE_BLOCK, tid, tuple((blocknr, 0) for blocknr in homes))
    journal_._write_words(bh, (jbd.JFS_MAGIC_NUMBER, header))
    rt.note("log-block", rt.peek(bh, "b_blocknr"), "revoke", tid, homes)
    transaction.journal_file_buffer(descriptor, commit_transaction, JList.BJ_LogCtl)
    jbd.set_buffer_jwrite(bh)
    buffer_head.set_buffer_dirty(bh)
    buffer.write_dirty_buffer(bh)
