"""Checkpoints: committed metadata that has not reached its home block yet, and how its log space is won back.

Invariant: a buffer on a checkpoint list has b_cp_transaction set and one count of its journal head for it; a finished
transaction goes away with its last checkpoint buffer.  All of it under j_list_lock.  The log's tail is never behind the
oldest transaction that waits for its checkpoint; who moves it has j_checkpoint_mutex.
Not modelled: need_resched.
Source: fs/jbd/checkpoint.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import jbd
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList, JournalHead, TState

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.jbd.jbd import Journal, Transaction

NR_BATCH = 2
"""Buffers that a checkpoint starts to write at once.  64 in the kernel; small, so that small logs fill it."""

MARKS: tuple[tuple[str, str], ...] = (
    ("checkpoint: written buffer left the list", "a buffer was found clean on a checkpoint list"),
    ("checkpoint: buffer busy", "dirty, locked or in a transaction again: it stays on its checkpoint list"),
    ("checkpoint: BH_State contended", "the trylock under j_list_lock failed: buffer skipped"),
    ("checkpoint: transaction dropped", "the last checkpoint buffer took its transaction along"),
    ("checkpoint: committing transaction kept", "its last buffer left, but the commit still needs it"),
    ("checkpoint: log space was there already", "another won log space back while this one waited for the mutex"),
    ("checkpoint: waited for the commit", "no transaction to checkpoint: the space is the committing one's"),
    ("checkpoint: tail moved", "log blocks may be used again"),
    ("checkpoint: buffer in a transaction", "it was changed again: that transaction is committed first"),
    ("checkpoint: waited for a buffer", "a buffer was locked: by its I/O, or a migration"),
    ("checkpoint: batch full", "as many writes as go together"),
    ("checkpoint: wrote a batch home", "metadata on its way to its home blocks"),
    ("checkpoint: waited for its own write", "a buffer written home was still locked"),
    ("checkpoint: BH_State awaited", "the trylock under j_list_lock failed: list lock dropped, waited, started over"),
)

# -- log space -----------------------------------------------------------------------------------------------


def jbd_space_needed(journal: Journal) -> int:
    """Say how much free log a new handle wants: a whole transaction, and what the committing one still writes.

    Needs j_state_lock.  Source: include/linux/jbd.h, v3.3.
    """
    needed = journal.j_max_transaction_buffers
    committing = journal.j_committing_transaction
    return needed if committing is None else needed + committing.t_outstanding_credits


def __log_wait_for_space(journal: Journal) -> None:
    """Win log space back until a transaction fits.  Needs j_state_lock, dropped while it checkpoints.

    An aborted journal gives none back.
    Source: fs/jbd/checkpoint.c, v3.3.
    """
    while journal_.__log_space_left(journal) < jbd_space_needed(journal):
        if journal_.is_journal_aborted(journal):
            return
        rt.spin_unlock(journal.j_state_lock)
        rt.mutex_lock(journal.j_checkpoint_mutex)
        rt.spin_lock(journal.j_state_lock)
        rt.spin_lock(journal.j_list_lock)
        if journal_.__log_space_left(journal) < jbd_space_needed(journal):
            waiting = bool(journal.j_checkpoint_transactions)
            committing = journal.j_committing_transaction
            tid = None if committing is None else committing.t_tid
            rt.spin_unlock(journal.j_list_lock)
            rt.spin_unlock(journal.j_state_lock)
            if waiting:
                log_do_checkpoint(journal)
            elif cleanup_journal_tail(journal) == 0:
                pass  # the space was there, only the tail had not moved
            elif tid is not None:
                rt.reached("checkpoint: waited for the commit")
                journal_.log_wait_commit(journal, tid)
            else:  # or the journal was aborted meanwhile
                stuck = not journal_.is_journal_aborted(journal)
                rt.bug_on(stuck, "no log space, and nothing that would give it back", journal=journal)
            rt.spin_lock(journal.j_state_lock)
        else:
            rt.reached("checkpoint: log space was there already")
            rt.spin_unlock(journal.j_list_lock)
        rt.mutex_unlock(journal.j_checkpoint_mutex)


def cleanup_journal_tail(journal: Journal) -> int:
    """Move the tail up to the oldest transaction that the log still has to keep; 1 if it is there, or has to stay.

    As in 3.3 the blocks count as free before the superblock that says so is on the disk.
    Source: fs/jbd/checkpoint.c, v3.3.
    """
    if journal_.is_journal_aborted(journal):
        return 1
    rt.spin_lock(journal.j_state_lock)
    rt.spin_lock(journal.j_list_lock)
    waiting = journal.j_checkpoint_transactions
    oldest = waiting[0] if waiting else journal.j_committing_transaction
    if oldest is not None:
        first_tid, blocknr = oldest.t_tid, oldest.t_log_start
    else:
        running = journal.j_running_transaction
        first_tid = journal.j_transaction_sequence if running is None else running.t_tid
        blocknr = journal.j_head
    rt.spin_unlock(journal.j_list_lock)
    if journal.j_tail_sequence == first_tid:
        rt.spin_unlock(journal.j_state_lock)
        return 1
    rt.reached("checkpoint: tail moved")
    freed = blocknr - journal.j_tail
    if freed < 0:
        freed += journal.j_last - journal.j_first
    free = journal.j_free + freed
    rt.bug_on(free > journal.j_last - journal.j_first, "more free log than log", free=free)
    journal.j_free = free
    journal.j_tail_sequence = first_tid
    journal.j_tail = blocknr
    rt.spin_unlock(journal.j_state_lock)
    journal_.journal_update_superblock(journal)
    return 0


# -- writing home --------------------------------------------------------------------------------------------


def log_do_checkpoint(journal: Journal) -> int:
    """Write the metadata of the oldest transaction home, and move the tail; 0 or -EIO.  Needs j_checkpoint_mutex.

    Source: fs/jbd/checkpoint.c, v3.3.
    """
    if cleanup_journal_tail(journal) == 0:
        return 0  # that was enough
    result = 0
    rt.spin_lock(journal.j_list_lock)
    if journal.j_checkpoint_transactions:
        transaction = journal.j_checkpoint_transactions[0]
        more = True
        # Whoever cleans up the transaction while we sleep has done our work.
        while more and _is_oldest(journal, transaction):
            more, err = _checkpoint_pass(journal, transaction)
            result = result or err
        if not more:
            result = result or __wait_cp_io(journal, transaction)
    rt.spin_unlock(journal.j_list_lock)
    if result:
        journal_.journal_abort(journal, result)
        return result
    cleanup_journal_tail(journal)
    return 0


def _is_oldest(journal: Journal, transaction: Transaction) -> bool:
    """Say whether a transaction is still the first that waits for its checkpoint.  Needs j_list_lock."""
    waiting = journal.j_checkpoint_transactions
    return bool(waiting) and waiting[0] is transaction


def _checkpoint_pass(journal: Journal, transaction: Transaction) -> tuple[bool, int]:
    """Start to write what waits, until the list lock has to go: (look again, 0 or -EIO).  Needs and keeps j_list_lock.

    Source: log_do_checkpoint in fs/jbd/checkpoint.c, v3.3.
    """
    bhs: list[BufferHead] = []
    retry, err = False, 0
    while not retry and (waiting := transaction.t_checkpoint_list):
        jh = waiting[0]
        bh = jbd.jh2bh(jh)
        if not jbd.jbd_trylock_bh_state(bh):
            jbd_sync_bh(journal, bh)
            retry = True
            break
        retry, error = __process_buffer(journal, jh, bhs)
        err = err or error
    if bhs:
        if not retry:
            rt.spin_unlock(journal.j_list_lock)
            retry = True
        __flush_batch(bhs)
    if retry:
        rt.spin_lock(journal.j_list_lock)
    return retry, err


def jbd_sync_bh(journal: Journal, bh: BufferHead) -> None:
    """Wait until BH_State is free, in the allowed order.  Needs j_list_lock, which it drops.

    Source: fs/jbd/checkpoint.c, v3.3.
    """
    rt.reached("checkpoint: BH_State awaited")
    buffer.get_bh(bh, "checkpoint")
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_lock_bh_state(bh)
    jbd.jbd_unlock_bh_state(bh)
    buffer.put_bh(bh, "checkpoint")


def __process_buffer(journal: Journal, jh: JournalHead, bhs: list[BufferHead]) -> tuple[bool, int]:
    """Deal with one buffer of a checkpoint list: (j_list_lock was dropped, 0 or -EIO).

    Needs j_list_lock and BH_State, which it releases.  A dirty buffer that nobody uses joins the batch `bhs`; one in a
    transaction has that committed first, for a write now would put what is not committed into its home.
    Source: fs/jbd/checkpoint.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    if buffer_head.buffer_locked(bh):
        rt.reached("checkpoint: waited for a buffer")
        buffer.get_bh(bh, "checkpoint")
        rt.spin_unlock(journal.j_list_lock)
        jbd.jbd_unlock_bh_state(bh)
        buffer.wait_on_buffer(bh)
        buffer.__brelse(bh, "checkpoint")
        return True, 0
    owner = jh.b_transaction
    if owner is not None:
        rt.reached("checkpoint: buffer in a transaction")
        tid = owner.t_tid
        rt.spin_unlock(journal.j_list_lock)
        jbd.jbd_unlock_bh_state(bh)
        journal_.log_start_commit(journal, tid)
        journal_.log_wait_commit(journal, tid)
        return True, 0
    buffer.get_bh(bh, "checkpoint")
    if not buffer_head.buffer_dirty(bh):
        err = -Errno.EIO if buffer_head.buffer_write_io_error(bh) else 0
        rt.bug_on(jbd.buffer_jbddirty(bh), "checkpointed buffer is dirty for the journal", bh=bh)
        rt.reached("checkpoint: written buffer left the list")
        __journal_remove_checkpoint(jh)
        rt.spin_unlock(journal.j_list_lock)
        jbd.jbd_unlock_bh_state(bh)
        buffer.__brelse(bh, "checkpoint")
        return True, err
    rt.bug_on(rt.test_bit(bh.b_state, BufferState.BH_JWrite), "checkpoint of a buffer on its way to the log", bh=bh)
    jbd.set_buffer_jwrite(bh)
    bhs.append(bh)
    __buffer_relink_io(jh)
    jbd.jbd_unlock_bh_state(bh)
    if len(bhs) < NR_BATCH:
        return False, 0
    rt.reached("checkpoint: batch full")
    rt.spin_unlock(journal.j_list_lock)
    __flush_batch(bhs)
    return True, 0


def __flush_batch(bhs: list[BufferHead]) -> None:
    """Start to write the batch, and empty it.  Sleeps on buffer locks.  Source: fs/jbd/checkpoint.c, v3.3."""
    rt.reached("checkpoint: wrote a batch home")
    for bh in bhs:
        buffer.write_dirty_buffer(bh, device.WRITE_SYNC)
    for bh in bhs:
        jbd.clear_buffer_jwrite(bh)
        buffer.__brelse(bh, "checkpoint")
    bhs.clear()


def __wait_cp_io(journal: Journal, transaction: Transaction) -> int:
    """Wait for what was written home, and take it off the transaction, which goes with its last buffer; 0 or -EIO.

    Needs j_list_lock, dropped and taken again.  Source: fs/jbd/checkpoint.c, v3.3.
    """
    ret = 0
    while _is_oldest(journal, transaction) and (under_io := transaction.t_checkpoint_io_list):
        jh = under_io[0]
        bh = jbd.jh2bh(jh)
        if not jbd.jbd_trylock_bh_state(bh):
            jbd_sync_bh(journal, bh)
            rt.spin_lock(journal.j_list_lock)
            continue
        buffer.get_bh(bh, "checkpoint")
        if buffer_head.buffer_locked(bh):
            rt.reached("checkpoint: waited for its own write")
            rt.spin_unlock(journal.j_list_lock)
            jbd.jbd_unlock_bh_state(bh)
            buffer.wait_on_buffer(bh)
            buffer.__brelse(bh, "checkpoint")
            rt.spin_lock(journal.j_list_lock)
            continue
        if buffer_head.buffer_write_io_error(bh):
            ret = -Errno.EIO
        released = __journal_remove_checkpoint(jh)
        jbd.jbd_unlock_bh_state(bh)
        buffer.__brelse(bh, "checkpoint")
        if released:
            break
    return ret


# -- lists ---------------------------------------------------------------------------------------------------


def __buffer_unlink(jh: JournalHead, transaction: Transaction) -> None:
    """Take a buffer off its checkpoint list.  Needs j_list_lock.  Source: fs/jbd/checkpoint.c, v3.3."""
    waiting = transaction.t_checkpoint_list
    if jh in waiting:
        transaction.t_checkpoint_list = tuple(other for other in waiting if other is not jh)
        return
    under_io = transaction.t_checkpoint_io_list
    rt.bug_on(jh not in under_io, "buffer is not on its checkpoint list", jh=jh)
    transaction.t_checkpoint_io_list = tuple(other for other in under_io if other is not jh)


def __buffer_relink_io(jh: JournalHead) -> None:
    """Move a buffer to the list of those on their way home.  Needs j_list_lock.  Source: fs/jbd/checkpoint.c, v3.3."""
    transaction = jh.b_cp_transaction
    assert transaction is not None, "a buffer that waits for no checkpoint"
    __buffer_unlink(jh, transaction)
    transaction.t_checkpoint_io_list = (*transaction.t_checkpoint_io_list, jh)


def __try_to_free_cp_buf(jh: JournalHead) -> int:
    """Take a written buffer off its checkpoint list: 0 kept, 1 removed, 2 its transaction dropped too.

    Needs BH_State, which it releases, and j_list_lock.  Source: fs/jbd/checkpoint.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    if jh.b_jlist != JList.BJ_None or buffer_head.buffer_locked(bh) or buffer_head.buffer_dirty(bh):
        rt.reached("checkpoint: buffer busy")
        jbd.jbd_unlock_bh_state(bh)
        return 0
    if buffer_head.buffer_write_io_error(bh):
        jbd.jbd_unlock_bh_state(bh)
        return 0
    rt.reached("checkpoint: written buffer left the list")
    # Our own count: the journal head may go, and its count on the buffer with it, before BH_State is released.
    buffer.get_bh(bh, "checkpoint")
    ret = __journal_remove_checkpoint(jh) + 1
    jbd.jbd_unlock_bh_state(bh)
    buffer.__brelse(bh, "checkpoint")
    return ret


def journal_clean_one_cp_list(jhs: tuple[JournalHead, ...]) -> tuple[int, bool]:
    """Free what can be freed of one checkpoint list: (buffers freed, the transaction was dropped).

    Needs j_list_lock; takes BH_State by trylock only, for the order is the other way round.
    Source: fs/jbd/checkpoint.c, v3.3.
    """
    freed = 0
    for jh in jhs:
        if not jbd.jbd_trylock_bh_state(jbd.jh2bh(jh)):
            rt.reached("checkpoint: BH_State contended")
            continue
        ret = __try_to_free_cp_buf(jh)
        if ret:
            freed += 1
        if ret == 2:
            return freed, True
    return freed, False


def __journal_clean_checkpoint_list(journal: Journal) -> int:
    """Free the written buffers of all checkpoint lists; returns how many.  Needs j_list_lock.

    Source: fs/jbd/checkpoint.c, v3.3.
    """
    total = 0
    for transaction in journal.j_checkpoint_transactions:
        freed, dropped = journal_clean_one_cp_list(transaction.t_checkpoint_list)
        total += freed
        if dropped:
            continue
        freed, _ = journal_clean_one_cp_list(transaction.t_checkpoint_io_list)
        total += freed
    return total


def __journal_remove_checkpoint(jh: JournalHead) -> int:
    """Take a buffer off its checkpoint list, with that list's count; 1 if its transaction went too.

    Needs j_list_lock and, for its own sake, a count on the buffer.  Source: fs/jbd/checkpoint.c, v3.3.
    """
    transaction = jh.b_cp_transaction
    if transaction is None:
        return 0
    journal = transaction.t_journal
    __buffer_unlink(jh, transaction)
    jh.b_cp_transaction = None
    journal_.journal_put_journal_head(jh)
    if transaction.t_checkpoint_list or transaction.t_checkpoint_io_list:
        return 0
    if transaction.t_state != TState.T_FINISHED:
        rt.reached("checkpoint: committing transaction kept")
        return 0
    rt.reached("checkpoint: transaction dropped")
    __journal_drop_transaction(journal, transaction)
    rt.wake_up(journal.j_wait_logspace)
    return 1


def __journal_insert_checkpoint(jh: JournalHead, transaction: Transaction) -> None:
    """Put a committed buffer on a checkpoint list, which counts its journal head.  Needs j_list_lock.

    Source: fs/jbd/checkpoint.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    dirty = buffer_head.buffer_dirty(bh) or jbd.buffer_jbddirty(bh)
    rt.bug_on(not dirty, "clean buffer on a checkpoint list", jh=jh)
    rt.bug_on(jh.b_cp_transaction is not None, "buffer on two checkpoint lists", jh=jh)
    journal_.journal_grab_journal_head(bh)
    jh.b_cp_transaction = transaction
    transaction.t_checkpoint_list = (*transaction.t_checkpoint_list, jh)


def __journal_drop_transaction(journal: Journal, transaction: Transaction) -> None:
    """Free a finished transaction.  Needs j_list_lock; any list left is a BUG.

    Source: fs/jbd/checkpoint.c, v3.3.
    """
    waiting = journal.j_checkpoint_transactions
    if transaction in waiting:
        journal.j_checkpoint_transactions = tuple(other for other in waiting if other is not transaction)
    finished = transaction.t_state == TState.T_FINISHED
    rt.bug_on(not finished, "unfinished transaction dropped", transaction=transaction)
    for field in filter(None, jbd.LIST_FIELDS):
        rt.bug_on(bool(getattr(transaction, field)), "transaction dropped with buffers", list=field)
    rt.bug_on(journal.j_committing_transaction is transaction, "committing transaction dropped")
    rt.bug_on(journal.j_running_transaction is transaction, "running transaction dropped")
    rt.poison(transaction)
