"""Handles, transactions, and the lists that hold a transaction's buffers.

The kernel's file would be too long in one piece even here: reclaim and truncation of a page are in `transaction_page`.
Invariant: a buffer is on at most one list of one transaction, b_transaction and b_jlist say which, and the owner counts
one in b_jcount; all that changes under BH_State and j_list_lock only.  Lists are tuples, oldest first; what the kernel
calls the tail of a list is the last one.
Not modelled: undo access, barriers of handles (journal_lock_updates).
Source: fs/jbd/transaction.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import checkpoint, jbd, revoke
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList, JournalHead, Transaction, TState
from mmrace.kernel.mm import mmzone

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.jbd.jbd import Journal
    from mmrace.kernel.mm.mm_types import Page

MARKS: tuple[tuple[str, str], ...] = (
    ("journal_start: waited for T_LOCKED", "a handle came while the running transaction closed, and slept"),
    ("journal_start: transaction full", "the credits asked for did not fit: commit requested, slept"),
    ("journal_start: log full", "the log had no room for another transaction: checkpoint"),
    ("journal_start: refused, journal aborted", "the log could not be written before: -EROFS"),
    ("get_write_access: refused, journal aborted", "the journal was aborted after the handle had started: -EROFS"),
    ("journal_start: another handle is open", "two tasks change things in one transaction at the same time"),
    ("journal_stop: last handle woke commit", "t_updates fell to 0 while the commit waited for it"),
    ("get_write_access: buffer dirty", "a dirty buffer became dirty for the journal only"),
    ("get_write_access: waited for the log copy", "the buffer was in shadow: slept on BH_Unshadow"),
    ("get_write_access: frozen copy made", "the committing transaction keeps a copy of its own"),
    ("get_write_access: frozen copy exists", "the committing transaction has its copy already"),
    ("dirty_metadata: buffer of the committing transaction", "stays where it is for now"),
    ("forget: dropped from the running transaction", "a freed block's buffer left the journal at once"),
    ("forget: left to the commit, for its checkpoint", "a freed block's buffer waits on BJ_Forget"),
    ("forget: the committing transaction keeps it", "a freed block's buffer was wanted by the running one too"),
    ("dirty_data: unmapped", "truncated before the buffer could be filed"),
    ("dirty_data: unmapped while written", "truncated while the old transaction's data was written out"),
    ("dirty_data: metadata of the committing transaction", "left where it is"),
    ("dirty_data: committing data still dirty", "written out synchronously before it changed transactions"),
    ("dirty_data: committing transaction let go", "the commit unfiled the buffer while we wrote it out"),
    ("dirty_data: moved between transactions", "taken from the committing transaction"),
    ("dirty_data: write failed", "the committing transaction's data could not be written: -EIO"),
    ("temp_unlink: journal-dirty became dirty", "JBDDirty was handed on through mark_buffer_dirty"),
)


def _handle_transaction(handle: jbd.Handle) -> Transaction:
    """Return the transaction that a started handle belongs to."""
    transaction = handle.h_transaction
    assert transaction is not None, "a handle that was never started"
    return transaction


# -- handles -------------------------------------------------------------------------------------------------


def get_transaction(journal: Journal) -> Transaction:
    """Make the next transaction and let it run.  Needs j_state_lock.  Source: fs/jbd/transaction.c, v3.3."""
    tid = journal.j_transaction_sequence
    journal.j_transaction_sequence = tid + 1
    transaction = Transaction(journal, tid)
    rt.bug_on(journal.j_running_transaction is not None, "two running transactions", tid=tid)
    journal.j_running_transaction = transaction
    return transaction


def _wait_transaction_locked(journal: Journal, request: int | None) -> None:
    """Sleep while the running transaction is closing.  Needs j_state_lock, dropped for the sleep.

    Args: request: tid of a full transaction: sleep while it is the running one, too.
    """

    def open_again() -> bool:
        running = journal.j_running_transaction
        return running is None or (running.t_tid != request and running.t_state != TState.T_LOCKED)

    rt.wait_event(
        journal.j_wait_transaction_locked,
        open_again,
        before_sleep=lambda: rt.spin_unlock(journal.j_state_lock),
        after_sleep=lambda: rt.spin_lock(journal.j_state_lock),
        holds=lambda: rt.peek(journal, "j_running_transaction") is None,
        holder=lambda: committers(journal, rt.peek(journal, "j_transaction_sequence")),
    )


def committers(journal: Journal, tid: int) -> list[rt.Task]:
    """Name who commits the transactions up to `tid`, for explanations.  Point: never."""
    live = (rt.peek(journal, "j_running_transaction"), rt.peek(journal, "j_committing_transaction"))
    return [one.committer for one in live if one is not None and one.t_tid <= tid and one.committer is not None]


def is_handle_aborted(handle: jbd.Handle) -> bool:
    """Say whether the journal of an open handle was given up.  Source: include/linux/jbd.h, v3.3."""
    return journal_.is_journal_aborted(_handle_transaction(handle).t_journal)


def start_this_handle(journal: Journal, handle: jbd.Handle) -> int:
    """Join the running transaction, starting one if there is none; sleeps while it or the log is full, or it T_LOCKED.

    0, or -EROFS if the journal was aborted.  Needs nothing held; may be called under a page lock.  Simplified: the
    kernel allocates a transaction with the lock dropped and looks again, and waits while somebody locks updates
    (journal_lock_updates). Source: fs/jbd/transaction.c, v3.3.
    """
    nblocks = handle.h_buffer_credits
    rt.bug_on(nblocks > journal.j_max_transaction_buffers, "handle wants too many credits", credits=nblocks)
    rt.spin_lock(journal.j_state_lock)
    while True:
        if journal_.is_journal_aborted(journal):
            rt.reached("journal_start: refused, journal aborted")
            rt.spin_unlock(journal.j_state_lock)
            return -Errno.EROFS
        transaction = journal.j_running_transaction
        if transaction is None:
            transaction = get_transaction(journal)
        if transaction.t_state == TState.T_LOCKED:
            rt.reached("journal_start: waited for T_LOCKED")
            _wait_transaction_locked(journal, None)
            continue
        rt.spin_lock(transaction.t_handle_lock)
        if transaction.t_outstanding_credits + nblocks > journal.j_max_transaction_buffers:
            rt.spin_unlock(transaction.t_handle_lock)
            rt.reached("journal_start: transaction full")
            journal_.__log_start_commit(journal, transaction.t_tid)
            _wait_transaction_locked(journal, transaction.t_tid)
            continue
        if journal_.__log_space_left(journal) < checkpoint.jbd_space_needed(journal):
            rt.spin_unlock(transaction.t_handle_lock)
            rt.reached("journal_start: log full")
            checkpoint.__log_wait_for_space(journal)
            continue
        break
    handle.h_transaction = transaction
    transaction.t_outstanding_credits = transaction.t_outstanding_credits + nblocks
    updates = transaction.t_updates
    if updates:
        rt.reached("journal_start: another handle is open")
    transaction.t_updates = updates + 1
    transaction.t_handle_count = transaction.t_handle_count + 1
    transaction.users.append(rt.current())
    rt.spin_unlock(transaction.t_handle_lock)
    rt.spin_unlock(journal.j_state_lock)
    return 0


def journal_current_handle() -> jbd.Handle | None:
    """Return the handle that this task has open: `current->journal_info`.  Source: include/linux/jbd.h, v3.3."""
    return cast("jbd.Handle | None", rt.current().info)


def journal_start(journal: Journal, nblocks: int) -> jbd.Handle:
    """Open a handle with `nblocks` credits, or nest in the task's own; sleeps for a closing transaction.

    In an aborted journal the task has none then, and -EROFS comes in the handle's place.
    Source: fs/jbd/transaction.c, v3.3.
    """
    handle = journal_current_handle()
    if handle is not None:
        handle.h_ref += 1
        return handle
    handle = jbd.Handle(nblocks)
    rt.current().info = handle
    error = start_this_handle(journal, handle)
    if error:
        rt.current().info = None
        return jbd.ERR_PTR(error)
    return handle


def journal_stop(handle: jbd.Handle) -> int:
    """Close a handle; the last one wakes a waiting commit, a synchronous one asks for a commit and waits; 0 or -EIO.

    -EIO: the journal was aborted, so what the handle changed is not going to be committed.
    Needs no spinlock; may be called under a page lock.  Simplified: a synchronous handle does not wait for others to
    join it before it asks, and no transaction is committed for its age.  Source: fs/jbd/transaction.c, v3.3.
    """
    handle.h_ref -= 1
    if handle.h_ref > 0:
        return 0
    transaction = _handle_transaction(handle)
    journal = transaction.t_journal
    err = -Errno.EIO if is_handle_aborted(handle) else 0
    rt.current().info = None
    rt.spin_lock(journal.j_state_lock)
    rt.spin_lock(transaction.t_handle_lock)
    transaction.t_outstanding_credits = transaction.t_outstanding_credits - handle.h_buffer_credits
    updates = transaction.t_updates - 1
    transaction.t_updates = updates
    transaction.users.remove(rt.current())
    rt.bug_on(updates < 0, "more handles stopped than started", transaction=transaction)
    if updates == 0 and rt.wake_up(journal.j_wait_updates):
        rt.reached("journal_stop: last handle woke commit")
    full = transaction.t_outstanding_credits > journal.j_max_transaction_buffers
    tid = transaction.t_tid
    rt.spin_unlock(transaction.t_handle_lock)
    # From here on, with j_state_lock dropped, the transaction may be committed and freed: only tid is used.
    if handle.h_sync or full:
        journal_.__log_start_commit(journal, tid)
        rt.spin_unlock(journal.j_state_lock)
        if handle.h_sync and not rt.current().pf & mmzone.PF_MEMALLOC:
            return journal_.log_wait_commit(journal, tid)
    else:
        rt.spin_unlock(journal.j_state_lock)
    return err


def journal_force_commit(journal: Journal) -> int:
    """Commit a transaction, a new one if none runs, and wait, by a synchronous handle; 0, -EROFS or -EIO.  Sleeps.

    Source: fs/jbd/transaction.c, v3.3.
    """
    handle = journal_start(journal, 1)
    if jbd.IS_ERR(handle):
        return jbd.PTR_ERR(handle)
    handle.h_sync = True
    return journal_stop(handle)


# -- metadata: write access and dirtying ---------------------------------------------------------------------


def _wait_unshadow(bh: BufferHead, jh: JournalHead) -> None:
    """Sleep until the log has its copy of the buffer.  Needs a count on jh.  Source: fs/jbd/transaction.c, v3.3."""
    rt.reached("get_write_access: waited for the log copy")
    rt.wait_event(
        bh.b_state.queue(BufferState.BH_Unshadow),
        lambda: jh.b_jlist != JList.BJ_Shadow,
        holds=lambda: rt.peek(jh, "b_jlist") is not JList.BJ_Shadow,
        holder=lambda: rt.peek(jh, "b_transaction").committer,
    )


def _copy_to_frozen(bh: BufferHead, frozen: Page) -> None:
    """Copy the buffer's data, word by word, through b_page as it is now.  Needs BH_State only: not BH_Lock.

    Part of do_get_write_access.  Source: fs/jbd/transaction.c, v3.3.
    """
    source, offset = buffer._data_of(bh)
    for i in range(bh.b_size):
        frozen.words.write(i, source.words.read(offset + i))


def do_get_write_access(handle: jbd.Handle, jh: JournalHead, force_copy: bool) -> int:
    """Reserve a buffer for the handle's transaction; the committing one, if it owns the buffer, keeps a copy.

    0, or -EROFS if the journal was aborted.  Sleeps on the buffer lock, on a log write of the buffer, and to allocate.
    Source: fs/jbd/transaction.c, v3.3.
    """
    if is_handle_aborted(handle):
        rt.reached("get_write_access: refused, journal aborted")
        return -Errno.EROFS
    transaction = _handle_transaction(handle)
    journal = transaction.t_journal
    frozen: Page | None = None
    need_copy = False
    while True:
        bh = jbd.jh2bh(jh)
        buffer.lock_buffer(bh)
        jbd.jbd_lock_bh_state(bh)
        if buffer_head.buffer_dirty(bh):
            rt.reached("get_write_access: buffer dirty")
            buffer_head.clear_buffer_dirty(bh)
            jbd.set_buffer_jbddirty(bh)  # From now on only the journal writes the buffer.
        buffer.unlock_buffer(bh)
        owner = jh.b_transaction
        if owner is transaction or jh.b_next_transaction is transaction:
            break
        jh.b_modified = 0
        if jh.b_frozen_data is not None:
            rt.reached("get_write_access: frozen copy exists")
            rt.bug_on(jh.b_next_transaction is not None, "frozen buffer wanted by a third transaction", jh=jh)
            jh.b_next_transaction = transaction
            break
        if owner is not None:
            rt.bug_on(owner is not journal.j_committing_transaction, "buffer of a stray transaction", jh=jh)
            jlist = jh.b_jlist
            if jlist == JList.BJ_Shadow:
                jbd.jbd_unlock_bh_state(bh)
                _wait_unshadow(bh, jh)
                continue
            if jlist != JList.BJ_Forget or force_copy:
                if frozen is None:
                    jbd.jbd_unlock_bh_state(bh)
                    frozen = jbd.jbd_alloc(journal, bh.b_size)
                    continue
                rt.reached("get_write_access: frozen copy made")
                jh.b_frozen_data = frozen
                need_copy = True
            jh.b_next_transaction = transaction
        else:
            rt.spin_lock(journal.j_list_lock)
            __journal_file_buffer(jh, transaction, JList.BJ_Reserved)
            rt.spin_unlock(journal.j_list_lock)
        break
    if need_copy and frozen is not None:
        _copy_to_frozen(bh, frozen)
        frozen = None
    jbd.jbd_unlock_bh_state(bh)
    # A block that is journaled again is not a freed one.
    revoke.journal_cancel_revoke(handle, jh)
    if frozen is not None:
        jbd.jbd_free(frozen)
    return 0


def journal_get_write_access(handle: jbd.Handle, bh: BufferHead) -> int:
    """Announce a change of a metadata buffer that the caller counts; 0 or -EROFS.  May sleep.

    Source: fs/jbd/transaction.c, v3.3.
    """
    jh = journal_.journal_add_journal_head(bh)
    rc = do_get_write_access(handle, jh, False)
    journal_.journal_put_journal_head(jh)
    return rc


def journal_dirty_metadata(handle: jbd.Handle, bh: BufferHead) -> None:
    """File a changed metadata buffer on the handle's transaction.  Needs write access taken before.

    Does nothing in an aborted journal.  Never sleeps.  Source: fs/jbd/transaction.c, v3.3.
    """
    if is_handle_aborted(handle):
        return
    transaction = _handle_transaction(handle)
    journal = transaction.t_journal
    jh = jbd.bh2jh(bh)
    rt.bug_on(jh is None, "journal_dirty_metadata without write access", bh=bh)
    assert jh is not None
    jbd.jbd_lock_bh_state(bh)
    if not jh.b_modified:
        jh.b_modified = 1
        rt.bug_on(handle.h_buffer_credits <= 0, "handle out of credits", bh=bh)
        handle.h_buffer_credits -= 1
    owner = jh.b_transaction
    if owner is transaction and jh.b_jlist == JList.BJ_Metadata:
        jbd.jbd_unlock_bh_state(bh)
        return
    jbd.set_buffer_jbddirty(bh)
    if owner is not transaction:
        rt.reached("dirty_metadata: buffer of the committing transaction")
        rt.bug_on(owner is not journal.j_committing_transaction, "metadata of a stray transaction", jh=jh)
        rt.bug_on(jh.b_next_transaction is not transaction, "dirty metadata without write access", jh=jh)
    else:
        rt.bug_on(jh.b_frozen_data is not None, "frozen copy in the running transaction", jh=jh)
        rt.spin_lock(journal.j_list_lock)
        __journal_file_buffer(jh, transaction, JList.BJ_Metadata)
        rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh)


def journal_forget(handle: jbd.Handle, bh: BufferHead) -> None:
    """Give up a metadata buffer whose block was freed, with the caller's count "journal" on it.

    What this transaction did to it is dropped; the committing one keeps what it has.  A buffer that waits for its
    checkpoint goes to BJ_Forget: the commit of the free is as good as a write home.  Not called yet but by
    `revoke.journal_revoke`: waits for truncation.  Source: fs/jbd/transaction.c, v3.3.
    """
    transaction = _handle_transaction(handle)
    journal = transaction.t_journal
    drop_reserve, gone = False, False
    jbd.jbd_lock_bh_state(bh)
    rt.spin_lock(journal.j_list_lock)
    jh = jbd.bh2jh(bh) if jbd.buffer_jbd(bh) else None
    if jh is not None:
        was_modified = bool(jh.b_modified)
        jh.b_modified = 0
        owner = jh.b_transaction
        if owner is transaction:
            rt.bug_on(jh.b_frozen_data is not None, "frozen copy in the running transaction", jh=jh)
            buffer_head.clear_buffer_dirty(bh)
            jbd.clear_buffer_jbddirty(bh)
            drop_reserve = was_modified
            if jh.b_cp_transaction is not None:
                rt.reached("forget: left to the commit, for its checkpoint")
                __journal_temp_unlink_buffer(jh)
                __journal_file_buffer(jh, transaction, JList.BJ_Forget)
            else:
                rt.reached("forget: dropped from the running transaction")
                __journal_unfile_buffer(jh)
                gone = not jbd.buffer_jbd(bh)
        elif owner is not None:
            rt.bug_on(owner is not journal.j_committing_transaction, "forgotten buffer of a stray transaction", jh=jh)
            following = jh.b_next_transaction
            if following is not None:
                rt.reached("forget: the committing transaction keeps it")
                rt.bug_on(following is not transaction, "forgotten buffer wanted by another transaction", jh=jh)
                jh.b_next_transaction = None
                drop_reserve = was_modified
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh)
    if gone:
        buffer.__bforget(bh, "journal")
    else:
        buffer.__brelse(bh, "journal")
    if drop_reserve:
        handle.h_buffer_credits += 1


# -- ordered data --------------------------------------------------------------------------------------------


def journal_dirty_data(handle: jbd.Handle, bh: BufferHead) -> int:
    """File a data buffer for writing before the handle's transaction commits; 0 or -EIO.

    May sleep: data of the committing transaction that is still dirty is written out first.  Called under the page lock
    by write_end, without it by ordered writepage.  Does nothing in an aborted journal.
    Source: fs/jbd/transaction.c, v3.3.
    """
    if is_handle_aborted(handle):
        return 0
    transaction = _handle_transaction(handle)
    journal = transaction.t_journal
    jh = journal_.journal_add_journal_head(bh)
    jbd.jbd_lock_bh_state(bh)
    rt.spin_lock(journal.j_list_lock)
    need_brelse, ret = False, 0
    if not buffer_head.buffer_mapped(bh):
        rt.reached("dirty_data: unmapped")
    else:
        need_brelse, ret = _file_sync_data(transaction, jh, bh)
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh)
    if need_brelse:
        buffer.__brelse(bh, "journal")
    journal_.journal_put_journal_head(jh)
    return ret


def _file_sync_data(transaction: Transaction, jh: JournalHead, bh: BufferHead) -> tuple[bool, int]:
    """Put a mapped buffer on BJ_SyncData of `transaction`: (an extra count on bh was taken, 0 or -EIO).

    Needs BH_State and j_list_lock; both may be dropped and taken again.  The middle of journal_dirty_data.  A clean
    buffer that the committing transaction is just writing is taken all the same, and that commit does not wait for it:
    its commit block may come before its data.  3.3 does so, where writepage has a handle.
    Source: fs/jbd/transaction.c, v3.3.
    """
    owner = jh.b_transaction
    need_brelse = False
    if owner is None:
        __journal_file_buffer(jh, transaction, JList.BJ_SyncData)
        return False, 0
    if owner is not transaction:
        journal = transaction.t_journal
        rt.bug_on(owner is not journal.j_committing_transaction, "data of a stray transaction", jh=jh)
        if jh.b_jlist not in (JList.BJ_None, JList.BJ_SyncData, JList.BJ_Locked):
            rt.reached("dirty_data: metadata of the committing transaction")
            return False, 0
        if buffer_head.buffer_dirty(bh):
            need_brelse = True
            _write_out_committing_data(journal, bh)
            if not buffer_head.buffer_mapped(bh):
                rt.reached("dirty_data: unmapped while written")
                return True, 0
        if not buffer_head.buffer_uptodate(bh):
            rt.reached("dirty_data: write failed")
            return need_brelse, -Errno.EIO
        owner = jh.b_transaction  # The commit may have unfiled the buffer while we slept.
        if owner is None:
            rt.reached("dirty_data: committing transaction let go")
        elif owner is not transaction:
            rt.reached("dirty_data: moved between transactions")
            __journal_temp_unlink_buffer(jh)
            # So that filing it below finds a buffer of this transaction.
            jh.b_transaction = transaction
    jlist = jh.b_jlist
    if jlist not in (JList.BJ_SyncData, JList.BJ_Locked):
        rt.bug_on(jlist == JList.BJ_Shadow, "data buffer in shadow", jh=jh)
        __journal_temp_unlink_buffer(jh)
        __journal_file_buffer(jh, transaction, JList.BJ_SyncData)
    return need_brelse, 0


def _write_out_committing_data(journal: Journal, bh: BufferHead) -> None:
    """Write out a buffer for the committing transaction, and wait; leaves one more count on the buffer.

    Needs BH_State and j_list_lock, dropped for the write.  Part of journal_dirty_data.
    Source: fs/jbd/transaction.c, v3.3.
    """
    rt.reached("dirty_data: committing data still dirty")
    buffer.get_bh(bh, "journal")
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh)
    buffer.sync_dirty_buffer(bh)
    jbd.jbd_lock_bh_state(bh)
    rt.spin_lock(journal.j_list_lock)


# -- lists ---------------------------------------------------------------------------------------------------


def __blist_add_buffer(transaction: Transaction, field: str, jh: JournalHead) -> None:
    """Append to a list.  Needs j_list_lock.  Source: fs/jbd/transaction.c, v3.3."""
    jhs: tuple[JournalHead, ...] = getattr(transaction, field)
    setattr(transaction, field, (*jhs, jh))


def __blist_del_buffer(transaction: Transaction, field: str, jh: JournalHead) -> None:
    """Take off a list.  Needs j_list_lock.  Source: fs/jbd/transaction.c, v3.3."""
    jhs: tuple[JournalHead, ...] = getattr(transaction, field)
    rt.bug_on(jh not in jhs, "buffer is not on the list that b_jlist names", jh=jh, list=field)
    setattr(transaction, field, tuple(other for other in jhs if other is not jh))


def __journal_temp_unlink_buffer(jh: JournalHead) -> None:
    """Take a buffer off its list, keeping its transaction; a journal-dirty buffer becomes plainly dirty.

    Needs BH_State and j_list_lock. mark_buffer_dirty below takes neither page lock nor buffer lock.
    Source: fs/jbd/transaction.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    transaction = jh.b_transaction
    jlist = jh.b_jlist
    rt.bug_on(jlist != JList.BJ_None and transaction is None, "listed buffer without transaction", jh=jh)
    if transaction is None or jlist == JList.BJ_None:
        return
    __blist_del_buffer(transaction, jbd.LIST_FIELDS[jlist], jh)
    jh.b_jlist = JList.BJ_None
    if jbd.test_clear_buffer_jbddirty(bh):
        rt.reached("temp_unlink: journal-dirty became dirty")
        buffer.mark_buffer_dirty(bh)


def __journal_unfile_buffer(jh: JournalHead) -> None:
    """Take a buffer away from its transaction, and that one's count from the journal head (may free it).

    Needs BH_State, j_list_lock and a count on the buffer itself.  Source: fs/jbd/transaction.c, v3.3.
    """
    __journal_temp_unlink_buffer(jh)
    jh.b_transaction = None
    journal_.journal_put_journal_head(jh)


def journal_unfile_buffer(journal: Journal, jh: JournalHead) -> None:
    """Take a buffer away from its transaction, locks included.  Source: fs/jbd/transaction.c, v3.3."""
    bh = jbd.jh2bh(jh)
    buffer.get_bh(bh, "journal")
    jbd.jbd_lock_bh_state(bh)
    rt.spin_lock(journal.j_list_lock)
    __journal_unfile_buffer(jh)
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh)
    buffer.__brelse(bh, "journal")


def __journal_file_buffer(jh: JournalHead, transaction: Transaction, jlist: JList) -> None:
    """Put a buffer on a list of a transaction; the transaction counts the journal head if it is new there.

    Needs BH_State and j_list_lock.  Keeps JBDDirty across the move; a plain dirty bit on metadata is taken over.
    Source: fs/jbd/transaction.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    owner = jh.b_transaction
    rt.bug_on(owner is not None and owner is not transaction, "filed on a second transaction", jh=jh)
    if owner is not None and jh.b_jlist == jlist:
        return
    was_dirty = False
    if jlist in (JList.BJ_Metadata, JList.BJ_Reserved, JList.BJ_Shadow, JList.BJ_Forget):
        # Short-circuit as in the kernel: JBDDirty is looked at only if BH_Dirty was clear.
        was_dirty = buffer_head.test_clear_buffer_dirty(bh) or jbd.test_clear_buffer_jbddirty(bh)
    if owner is not None:
        __journal_temp_unlink_buffer(jh)
    else:
        journal_.journal_grab_journal_head(bh)
    jh.b_transaction = transaction
    if jlist == JList.BJ_None:
        rt.bug_on(jh.b_frozen_data is not None, "frozen copy on no list", jh=jh)
        return
    __blist_add_buffer(transaction, jbd.LIST_FIELDS[jlist], jh)
    jh.b_jlist = jlist
    if was_dirty:
        jbd.set_buffer_jbddirty(bh)


def journal_file_buffer(jh: JournalHead, transaction: Transaction, jlist: JList) -> None:
    """Put a buffer on a list of a transaction, locks included.  Source: fs/jbd/transaction.c, v3.3."""
    bh = jbd.jh2bh(jh)
    journal = transaction.t_journal
    jbd.jbd_lock_bh_state(bh)
    rt.spin_lock(journal.j_list_lock)
    __journal_file_buffer(jh, transaction, jlist)
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh)


def __journal_refile_buffer(jh: JournalHead) -> None:
    """Move a buffer from the committing transaction to its next one; without a next one, unfile it.

    Needs BH_State, j_list_lock and a count on the buffer.  Source: fs/jbd/transaction.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    next_transaction = jh.b_next_transaction
    if next_transaction is None:
        __journal_unfile_buffer(jh)
        return
    was_dirty = jbd.test_clear_buffer_jbddirty(bh)
    __journal_temp_unlink_buffer(jh)
    jh.b_transaction = next_transaction
    jh.b_next_transaction = None
    if jbd.buffer_freed(bh):
        jlist = JList.BJ_Forget
    elif jh.b_modified:
        jlist = JList.BJ_Metadata
    else:
        jlist = JList.BJ_Reserved
    __journal_file_buffer(jh, next_transaction, jlist)
    rt.bug_on(next_transaction.t_state != TState.T_RUNNING, "refiled to a closed transaction", jh=jh)
    if was_dirty:
        jbd.set_buffer_jbddirty(bh)


def journal_refile_buffer(journal: Journal, jh: JournalHead) -> None:
    """Refile a buffer, locks included.  Source: fs/jbd/transaction.c, v3.3."""
    bh = jbd.jh2bh(jh)
    buffer.get_bh(bh, "journal")
    jbd.jbd_lock_bh_state(bh)
    rt.spin_lock(journal.j_list_lock)
    __journal_refile_buffer(jh)
    jbd.jbd_unlock_bh_state(bh)
    rt.spin_unlock(journal.j_list_lock)
    buffer.__brelse(bh, "journal")
