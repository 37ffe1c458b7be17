"""The commit of a transaction: ordered data first, then metadata to the log, then the commit block.

Invariant: no metadata of a transaction is in the log with its commit block before the transaction's ordered data was
written.  Ordered data buffers are locked for their I/O, and seen by nothing but that lock: no page lock, no
PG_writeback, no page reference.  Before it sleeps on a buffer lock the commit submits the batch of locked buffers that
it holds; else it deadlocks against anyone who takes buffer locks in another order.
A commit whose log cannot be written aborts the journal, and goes through the rest without a commit block.
Not modelled: plugging, statistics.
Source: fs/jbd/commit.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head, fs
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import checkpoint, jbd, revoke, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList, JournalHead, TState
from mmrace.kernel.mm import filemap, mm, page_flags, swap

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.jbd.jbd import Journal, Transaction

MARKS: tuple[tuple[str, str], ...] = (
    ("commit: waited for T_LOCKED updates", "handles were open: slept on j_wait_updates"),
    ("commit: reserved buffer refiled", "write access was taken, but nothing dirtied"),
    ("commit: buffer lock busy, batch flushed", "a dirty buffer was locked: batch submitted, slept"),
    ("commit: flush had buffers", "the batch was not empty when the commit went to sleep on a buffer lock"),
    ("commit: BH_State contended", "trylock under j_list_lock failed: list lock dropped, scheduled"),
    ("commit: jh moved while lock dropped", "the buffer left BJ_SyncData while j_list_lock was dropped"),
    ("commit: cleaned while waiting for the lock", "locked at last, the buffer was no longer dirty"),
    ("commit: buffer already locked", "a clean buffer was locked by another: taken for I/O, filed BJ_Locked"),
    ("commit: clean buffer unfiled", "nothing to write: the transaction lets go of the buffer"),
    ("commit: batch full", "j_wbuf was full: submitted, list walk started over"),
    ("commit: resched with a locked batch", "gave way with locked buffers not submitted"),
    ("commit: data not uptodate", "a data buffer was not uptodate: an earlier write failed"),
    ("locked-list: waited for a buffer", "slept on a data buffer under I/O"),
    ("locked-list: write error", "data I/O failed: the page is marked"),
    ("locked-list: page lock busy", "write error: the page was locked by another, slept on its lock"),
    ("locked-list: b_page changed after the page lock", "write error: about to unlock a page not locked by us"),
    ("locked-list: BH_State contended", "trylock under j_list_lock failed: started over"),
    ("locked-list: jh moved while lock dropped", "the buffer left BJ_Locked while j_list_lock was dropped"),
    ("commit: freed data buffer released", "truncate had left an ordered buffer to the commit"),
    ("commit: aborted, metadata let go", "the journal was aborted before: the transaction's metadata is not written"),
    ("commit: aborted, no commit block", "the log of the transaction could not be written, or that of one before"),
    ("commit: waited for log I/O", "slept on a copy under way to the log"),
    ("commit: waited for control I/O", "slept on a descriptor under way to the log"),
    ("commit: forgotten buffer freed", "BH_Freed: a truncated metadata buffer dropped its dirtiness"),
    ("commit: freed buffer left to the next transaction", "BH_Freed, but the truncation is not committed yet"),
    ("commit: left an older checkpoint", "the buffer was on an older transaction's checkpoint list"),
    ("commit: forget list refilled", "a truncate filed a buffer after the forget list was done"),
    ("release_buffer_page: stripped", "the page had lost its mapping: the commit freed its buffers"),
    ("release_buffer_page: page lock busy", "the page had lost its mapping, but was locked by another"),
    ("release_buffer_page: buffer busy", "dirty, counted by others or still mapped: just released"),
)


# -- small pieces --------------------------------------------------------------------------------------------


def journal_end_buffer_io_sync(bh: BufferHead, uptodate: bool) -> None:
    """Finish log I/O: note success, unlock.  Irq context.  Source: fs/jbd/commit.c, v3.3."""
    if uptodate:
        buffer_head.set_buffer_uptodate(bh)
    else:
        buffer_head.clear_buffer_uptodate(bh)
    buffer.unlock_buffer(bh)


def release_buffer_page(bh: BufferHead) -> None:
    """Drop the commit's count on a buffer; strip the page too if truncate left it to us.  Needs j_list_lock.

    The page is reached through b_page with no reference: the lock is tried before one is taken.
    Source: fs/jbd/commit.c, v3.3.
    """
    if not buffer_head.buffer_dirty(bh) and bh.b_count.read() == 1:
        page = bh.b_page
        if page is not None and page.mapping is None:
            if filemap.trylock_page(page):
                rt.reached("release_buffer_page: stripped")
                mm.get_page(page, "commit")
                buffer.__brelse(bh, "commit")
                buffer.try_to_free_buffers(page)
                filemap.unlock_page(page)
                swap.put_page(page, "commit")
                return
            rt.reached("release_buffer_page: page lock busy")
            buffer.__brelse(bh, "commit")
            return
    rt.reached("release_buffer_page: buffer busy")
    buffer.__brelse(bh, "commit")


def release_data_buffer(bh: BufferHead) -> None:
    """Drop the commit's count on a data buffer; finish its truncation if that was left to us.

    Needs j_list_lock.  Source: fs/jbd/commit.c, v3.3.
    """
    if jbd.buffer_freed(bh):
        rt.reached("commit: freed data buffer released")
        jbd.clear_buffer_freed(bh)
        release_buffer_page(bh)
    else:
        buffer.put_bh(bh, "commit")


def inverted_lock(journal: Journal, bh: BufferHead) -> bool:
    """Try BH_State under j_list_lock, against the order; on failure drop j_list_lock, give way, return False.

    Source: fs/jbd/commit.c, v3.3.
    """
    if jbd.jbd_trylock_bh_state(bh):
        return True
    rt.spin_unlock(journal.j_list_lock)
    rt.schedule()
    return False


def _still_on(bh: BufferHead, jh: JournalHead, commit_transaction: Transaction, jlist: JList) -> bool:
    """Say whether the buffer is where it was before j_list_lock was dropped; `jh` may be freed if it is not.

    Needs BH_State and j_list_lock.  The order of the tests keeps a freed journal head from being read.
    """
    return jbd.buffer_jbd(bh) and jbd.bh2jh(bh) is jh and jh.b_transaction is commit_transaction and jh.b_jlist == jlist


# -- the commit, phase by phase ------------------------------------------------------------------------------


def journal_commit_transaction(journal: Journal) -> int:
    """Commit the running transaction; returns its tid.  Sleeps.  Source: fs/jbd/commit.c, v3.3."""
    commit_transaction = _lock_transaction(journal)
    tid = commit_transaction.t_tid
    _publish_committing(journal, commit_transaction)
    # An error of ordered data is only reported: the mapping and the page carry it, the commit goes on.
    journal_submit_data_buffers(journal, commit_transaction)
    _wait_locked_list(journal, commit_transaction)
    revoke.journal_write_revoke_records(journal, commit_transaction)
    rt.bug_on(bool(commit_transaction.t_sync_datalist), "ordered data left behind", tid=tid)
    _set_state(journal, commit_transaction, TState.T_FLUSH, TState.T_COMMIT)
    _write_metadata(journal, commit_transaction)
    err = _wait_for_iobuf(journal, commit_transaction)
    err = _wait_for_ctlbuf(journal, commit_transaction) or err
    if err:
        journal_.journal_abort(journal, err)
    _set_state(journal, commit_transaction, TState.T_COMMIT, TState.T_COMMIT_RECORD)
    err = journal_write_commit_record(journal, commit_transaction) or err
    if err:
        journal_.journal_abort(journal, err)
    _process_forget(journal, commit_transaction)
    rt.note("commit-end", journal, tid)
    rt.wake_up(journal.j_wait_done_commit)
    return tid


def _set_state(journal: Journal, commit_transaction: Transaction, old: TState, new: TState) -> None:
    """Move the transaction on by one state.  Takes j_state_lock."""
    rt.spin_lock(journal.j_state_lock)
    rt.bug_on(commit_transaction.t_state != old, "transaction in the wrong state", expected=old, wanted=new)
    commit_transaction.t_state = new
    rt.spin_unlock(journal.j_state_lock)


def _lock_transaction(journal: Journal) -> Transaction:
    """Close the running transaction to new handles and wait for the open ones.

    Returns with j_state_lock held.  Source: journal_commit_transaction, phase 0, in fs/jbd/commit.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    commit_transaction = journal.j_running_transaction
    rt.bug_on(commit_transaction is None, "nothing to commit")
    assert commit_transaction is not None
    rt.bug_on(journal.j_committing_transaction is not None, "two commits at once")
    running = commit_transaction.t_state == TState.T_RUNNING
    rt.bug_on(not running, "committed twice", transaction=commit_transaction)
    commit_transaction.t_state = TState.T_LOCKED
    commit_transaction.committer = rt.current()
    rt.note("commit-begin", journal, commit_transaction.t_tid)
    handle_lock = commit_transaction.t_handle_lock

    def drop() -> None:
        rt.reached("commit: waited for T_LOCKED updates")
        rt.spin_unlock(handle_lock)
        rt.spin_unlock(journal.j_state_lock)

    def retake() -> None:
        rt.spin_lock(journal.j_state_lock)
        rt.spin_lock(handle_lock)

    rt.spin_lock(handle_lock)
    rt.wait_event(
        journal.j_wait_updates,
        lambda: commit_transaction.t_updates == 0,
        before_sleep=drop,
        after_sleep=retake,
        holds=lambda: rt.peek(commit_transaction, "t_updates") == 0,
        holder=lambda: commit_transaction.users,
    )
    rt.spin_unlock(handle_lock)
    return commit_transaction


def _publish_committing(journal: Journal, commit_transaction: Transaction) -> None:
    """Sort out reserved buffers, clean old checkpoint lists, publish as committing, let handles start again.

    Needs j_state_lock, which it releases.  Source: journal_commit_transaction, phases 0 and 1, fs/jbd/commit.c, v3.3.
    """
    while reserved := commit_transaction.t_reserved_list:
        rt.reached("commit: reserved buffer refiled")
        jh = reserved[0]
        committed = jh.b_committed_data
        if committed is not None:
            bh = jbd.jh2bh(jh)
            jbd.jbd_lock_bh_state(bh)
            jbd.jbd_free(committed)
            jh.b_committed_data = None
            jbd.jbd_unlock_bh_state(bh)
        transaction.journal_refile_buffer(journal, jh)
    rt.spin_lock(journal.j_list_lock)
    checkpoint.__journal_clean_checkpoint_list(journal)
    rt.spin_unlock(journal.j_list_lock)
    revoke.journal_clear_buffer_revoked_flags(journal)
    revoke.journal_switch_revoke_table(journal)
    commit_transaction.t_state = TState.T_FLUSH
    journal.j_committing_transaction = commit_transaction
    journal.j_running_transaction = None
    commit_transaction.t_log_start = journal.j_head
    rt.wake_up(journal.j_wait_transaction_locked)
    rt.spin_unlock(journal.j_state_lock)


# -- ordered data --------------------------------------------------------------------------------------------


def journal_do_submit_data(wbuf: list[BufferHead]) -> None:
    """Start the I/O of every buffer of the batch and empty it; the end handler unlocks and releases them.

    Source: fs/jbd/commit.c, v3.3.
    """
    for bh in wbuf:
        bh.b_end_io = buffer.end_buffer_write_sync
        bh.b_count.rename("commit", "io")  # The count from the list walk is the one that the I/O drops.
        buffer.submit_bh(device.WRITE, bh)
    wbuf.clear()


def _wait_for_buffer_lock(journal: Journal, bh: BufferHead, wbuf: list[BufferHead]) -> None:
    """Take a buffer lock that somebody holds: list lock dropped, batch submitted, only then sleep.

    Needs j_list_lock, taken again.  The flush is what keeps us from sleeping while we hold locks that nobody but us
    would ever release.  Source: journal_submit_data_buffers in fs/jbd/commit.c, v3.3.
    """
    rt.reached("commit: buffer lock busy, batch flushed")
    if wbuf:
        rt.reached("commit: flush had buffers")
    rt.spin_unlock(journal.j_list_lock)
    journal_do_submit_data(wbuf)
    buffer.lock_buffer(bh)
    rt.spin_lock(journal.j_list_lock)


def journal_submit_data_buffers(journal: Journal, commit_transaction: Transaction) -> int:
    """Write the ordered data of the transaction: each buffer ends on BJ_Locked or unfiled; 0 or -EIO.

    Source: fs/jbd/commit.c, v3.3.
    """
    wbuf: list[BufferHead] = []
    err, restart = 0, True
    while restart:
        rt.cond_resched()
        rt.spin_lock(journal.j_list_lock)
        restart, pass_err = _submit_data_pass(journal, commit_transaction, wbuf)
        err = err or pass_err
    journal_do_submit_data(wbuf)
    return err


def _submit_data_pass(journal: Journal, commit_transaction: Transaction, wbuf: list[BufferHead]) -> tuple[bool, int]:
    """Walk BJ_SyncData from its head: (start over, 0 or -EIO).  Needs j_list_lock, which it releases.

    Source: journal_submit_data_buffers in fs/jbd/commit.c, v3.3.
    """
    err = 0
    while jhs := commit_transaction.t_sync_datalist:
        jh = jhs[0]
        bh = jbd.jh2bh(jh)
        locked = False
        buffer.get_bh(bh, "commit")
        if buffer_head.buffer_dirty(bh):
            if not buffer.trylock_buffer(bh):
                _wait_for_buffer_lock(journal, bh, wbuf)
            locked = True
        if not inverted_lock(journal, bh):
            rt.reached("commit: BH_State contended")
            jbd.jbd_lock_bh_state(bh)
            rt.spin_lock(journal.j_list_lock)
        if not _still_on(bh, jh, commit_transaction, JList.BJ_SyncData):
            rt.reached("commit: jh moved while lock dropped")
            jbd.jbd_unlock_bh_state(bh)
            if locked:
                buffer.unlock_buffer(bh)
            release_data_buffer(bh)
            continue
        if locked and buffer_head.test_clear_buffer_dirty(bh):
            wbuf.append(bh)
            transaction.__journal_file_buffer(jh, commit_transaction, JList.BJ_Locked)
            jbd.jbd_unlock_bh_state(bh)
            if len(wbuf) == journal.j_wbufsize:
                rt.reached("commit: batch full")
                rt.spin_unlock(journal.j_list_lock)
                journal_do_submit_data(wbuf)
                return True, err
        else:
            err = _settle_clean_buffer(bh, jh, commit_transaction, locked) or err
        if journal.resched and rt.choose(2, "need-resched"):
            if wbuf:
                rt.reached("commit: resched with a locked batch")
            rt.spin_unlock(journal.j_list_lock)
            return True, err
    rt.spin_unlock(journal.j_list_lock)
    return False, err


def _settle_clean_buffer(bh: BufferHead, jh: JournalHead, commit_transaction: Transaction, locked: bool) -> int:
    """Settle a data buffer that needs no write: BJ_Locked if another has it locked, else unfiled; 0 or -EIO.

    Needs BH_State, which it releases, and j_list_lock.  `locked`: we hold the buffer lock; it is released.
    Source: journal_submit_data_buffers in fs/jbd/commit.c, v3.3.
    """
    if not locked and buffer_head.buffer_locked(bh):
        # Taken for I/O under way; it may be anybody's lock, and then the wait is only longer.
        rt.reached("commit: buffer already locked")
        transaction.__journal_file_buffer(jh, commit_transaction, JList.BJ_Locked)
        jbd.jbd_unlock_bh_state(bh)
        buffer.put_bh(bh, "commit")
        return 0
    rt.reached("commit: cleaned while waiting for the lock" if locked else "commit: clean buffer unfiled")
    err = 0
    if not buffer_head.buffer_uptodate(bh):
        rt.reached("commit: data not uptodate")
        err = -Errno.EIO
    transaction.__journal_unfile_buffer(jh)
    jbd.jbd_unlock_bh_state(bh)
    if locked:
        buffer.unlock_buffer(bh)
    release_data_buffer(bh)
    return err


def _wait_locked_list(journal: Journal, commit_transaction: Transaction) -> int:
    """Wait for the ordered data under I/O, from the tail of BJ_Locked, and unfile it; 0 or -EIO.

    Source: journal_commit_transaction, phase 2, in fs/jbd/commit.c, v3.3.
    """
    err = 0
    rt.spin_lock(journal.j_list_lock)
    while jhs := commit_transaction.t_locked_list:
        jh = jhs[-1]
        bh = jbd.jh2bh(jh)
        buffer.get_bh(bh, "commit")
        if buffer_head.buffer_locked(bh):
            rt.reached("locked-list: waited for a buffer")
            rt.spin_unlock(journal.j_list_lock)
            buffer.wait_on_buffer(bh)
            rt.spin_lock(journal.j_list_lock)
        if not buffer_head.buffer_uptodate(bh):
            _mark_write_error(journal, bh)
            err = -Errno.EIO
        if not inverted_lock(journal, bh):
            rt.reached("locked-list: BH_State contended")
            buffer.put_bh(bh, "commit")
            rt.spin_lock(journal.j_list_lock)
            continue
        if _still_on(bh, jh, commit_transaction, JList.BJ_Locked):
            transaction.__journal_unfile_buffer(jh)
        else:
            rt.reached("locked-list: jh moved while lock dropped")
        jbd.jbd_unlock_bh_state(bh)
        release_data_buffer(bh)
        if journal.resched and rt.choose(2, "need-resched"):
            rt.spin_unlock(journal.j_list_lock)
            rt.cond_resched()
            rt.spin_lock(journal.j_list_lock)
    rt.spin_unlock(journal.j_list_lock)
    return err


def _mark_write_error(journal: Journal, bh: BufferHead) -> None:
    """Mark page and mapping of a data buffer whose write failed.

    Needs j_list_lock, dropped if the page is locked.  b_page is read anew at each use and nothing but b_count is held:
    whoever moves the buffer to another page meanwhile makes us unlock a page that we never locked.
    Source: journal_commit_transaction, fs/jbd/commit.c, v3.3.
    """
    rt.reached("locked-list: write error")
    locked = buffer._page_of(bh)
    if not filemap.trylock_page(locked):
        rt.reached("locked-list: page lock busy")
        rt.spin_unlock(journal.j_list_lock)
        locked = buffer._page_of(bh)
        filemap.lock_page(locked)
        rt.spin_lock(journal.j_list_lock)
    if buffer._page_of(bh).mapping is not None:
        mapping = buffer._page_of(bh).mapping
        rt.bug_on(mapping is None, "NULL mapping followed in the write-error path of the commit", bh=bh)
        assert mapping is not None
        rt.set_bit(mapping.flags, fs.AS_EIO)
    page = buffer._page_of(bh)
    if page is not locked:
        rt.reached("locked-list: b_page changed after the page lock")
    filemap.unlock_page(page)
    page_flags.SetPageError(buffer._page_of(bh))


# -- metadata ------------------------------------------------------------------------------------------------


def _write_metadata(journal: Journal, commit_transaction: Transaction) -> None:
    """Write the metadata of the transaction to the log: for each batch a descriptor, then the copies.

    t_buffers is read without a lock: nobody but the commit changes that list of a committing transaction.
    Source: journal_commit_transaction, phase 3, in fs/jbd/commit.c, v3.3.
    """
    wbuf: list[BufferHead] = []
    tags: _Tags | None = None
    while jhs := commit_transaction.t_buffers:
        jh = jhs[0]
        if journal_.is_journal_aborted(journal):
            rt.reached("commit: aborted, metadata let go")
            jbd.clear_buffer_jbddirty(jbd.jh2bh(jh))
            transaction.journal_refile_buffer(journal, jh)
            if not commit_transaction.t_buffers:
                _start_journal_io(wbuf)  # a descriptor that was begun before
            continue
        if tags is None:
            descriptor = _start_descriptor(journal, commit_transaction)
            tags = _Tags(descriptor, commit_transaction.t_tid)
            wbuf.append(descriptor)
        blocknr = journal_.journal_next_log_block(journal)
        commit_transaction.t_outstanding_credits = commit_transaction.t_outstanding_credits - 1
        bh = jbd.jh2bh(jh)
        buffer.get_bh(bh, "commit")
        jbd.set_buffer_jwrite(bh)
        new_jh, flags = journal_.journal_write_metadata_buffer(commit_transaction, jh, blocknr)
        new_bh = jbd.jh2bh(new_jh)
        jbd.set_buffer_jwrite(new_bh)
        wbuf.append(new_bh)
        tags.add(bh.b_blocknr, flags)
        full = len(wbuf) == journal.j_wbufsize or len(tags.tags) == journal.j_tags_max
        if full or not commit_transaction.t_buffers:
            tags.close()
            tags = None
            _start_journal_io(wbuf)


def _start_descriptor(journal: Journal, commit_transaction: Transaction) -> BufferHead:
    """Begin a descriptor block and file it on BJ_LogCtl; returns its buffer.

    Source: journal_commit_transaction, phase 3, in fs/jbd/commit.c, v3.3.
    """
    descriptor = journal_.journal_get_descriptor_buffer(journal)
    bh = jbd.jh2bh(descriptor)
    jbd.set_buffer_jwrite(bh)
    buffer_head.set_buffer_dirty(bh)
    transaction.journal_file_buffer(descriptor, commit_transaction, JList.BJ_LogCtl)
    return bh


class _Tags:
    """What is stored in a descriptor, tag by tag, through an address that is taken once: the kernel's `tagp`.

    Whatever page the buffer belongs to by the next tag, the words go where b_data pointed at the first.
    Source: journal_commit_transaction, phase 3, in fs/jbd/commit.c, v3.3.
    """

    __slots__ = ("blocknr", "offset", "page", "tags", "tid")

    def __init__(self, bh: BufferHead, tid: int) -> None:
        self.page, self.offset = buffer._data_of(bh)
        self.blocknr = rt.peek(bh, "b_blocknr")
        self.tid = tid
        self.tags: tuple[tuple[int, int], ...] = ()
        self.page.words.write(self.offset, jbd.JFS_MAGIC_NUMBER)
        self._store()

    def add(self, blocknr: int, flags: int) -> None:
        """Say which home block the next copy is of."""
        self.tags = (*self.tags, (blocknr, flags))
        self._store()

    def close(self) -> None:
        """Mark the last tag."""
        blocknr, flags = self.tags[-1]
        self.tags = (*self.tags[:-1], (blocknr, flags | jbd.JFS_FLAG_LAST_TAG))
        self._store()
        rt.note("log-block", self.blocknr, "descriptor", self.tid, tuple(home for home, _ in self.tags))

    def _store(self) -> None:
        """Store header and tags: one word has them all (see `jbd.log_header`)."""
        self.page.words.write(self.offset + 1, jbd.log_header(jbd.JFS_DESCRIPTOR_BLOCK, self.tid, self.tags))


def _start_journal_io(wbuf: list[BufferHead]) -> None:
    """Start the I/O of a descriptor and its copies, and empty the batch.

    The lock is that of the log's buffer; the original of a copy is never locked.
    Source: journal_commit_transaction, phase 3, in fs/jbd/commit.c, v3.3.
    """
    for bh in wbuf:
        buffer.lock_buffer(bh)
        buffer_head.clear_buffer_dirty(bh)
        buffer_head.set_buffer_uptodate(bh)
        bh.b_end_io = journal_end_buffer_io_sync
        buffer.submit_bh(device.WRITE, bh)
    rt.cond_resched()
    wbuf.clear()


def _wait_for_iobuf(journal: Journal, commit_transaction: Transaction) -> int:
    """Wait for the copies, free them, and move each original from shadow to forget; 0 or -EIO.

    Source: journal_commit_transaction, phase 4, in fs/jbd/commit.c, v3.3.
    """
    err = 0
    while jhs := commit_transaction.t_iobuf_list:
        jh = jhs[-1]
        bh = jbd.jh2bh(jh)
        if buffer_head.buffer_locked(bh):
            rt.reached("commit: waited for log I/O")
            buffer.wait_on_buffer(bh)
            continue
        if not buffer_head.buffer_uptodate(bh):
            err = -Errno.EIO
        jbd.clear_buffer_jwrite(bh)
        transaction.journal_unfile_buffer(journal, jh)
        journal_.journal_put_journal_head(jh)
        buffer.__brelse(bh, "commit")
        rt.bug_on(bh.b_count.read() != 0, "somebody counts a temporary log buffer", bh=bh)
        buffer.free_buffer_head(bh)
        _release_shadow(commit_transaction)
    left = bool(commit_transaction.t_shadow_list)
    rt.bug_on(left, "shadow buffers without copies", transaction=commit_transaction)
    return err


def _release_shadow(commit_transaction: Transaction) -> None:
    """Move the original of the copy just freed to BJ_Forget and wake who waits to change it.

    Source: journal_commit_transaction, phase 4, in fs/jbd/commit.c, v3.3.
    """
    shadow = commit_transaction.t_shadow_list
    rt.bug_on(not shadow, "log copy without its original", transaction=commit_transaction)
    jh = shadow[-1]
    bh = jbd.jh2bh(jh)
    jbd.clear_buffer_jwrite(bh)
    rt.bug_on(not jbd.buffer_jbddirty(bh), "logged metadata is not dirty for the journal", bh=bh)
    transaction.journal_file_buffer(jh, commit_transaction, JList.BJ_Forget)
    rt.wake_up_bit(bh.b_state, BufferState.BH_Unshadow)
    buffer.__brelse(bh, "commit")


def _wait_for_ctlbuf(journal: Journal, commit_transaction: Transaction) -> int:
    """Wait for the descriptors and release them; 0 or -EIO.

    Source: journal_commit_transaction, phase 5, in fs/jbd/commit.c, v3.3.
    """
    err = 0
    while jhs := commit_transaction.t_log_list:
        jh = jhs[-1]
        bh = jbd.jh2bh(jh)
        if buffer_head.buffer_locked(bh):
            rt.reached("commit: waited for control I/O")
            buffer.wait_on_buffer(bh)
            continue
        if not buffer_head.buffer_uptodate(bh):
            err = -Errno.EIO
        jbd.clear_buffer_jwrite(bh)
        transaction.journal_unfile_buffer(journal, jh)
        journal_.journal_put_journal_head(jh)
        buffer.__brelse(bh, "commit")
    return err


def journal_write_commit_record(journal: Journal, commit_transaction: Transaction) -> int:
    """Write the commit block and wait: everything else of the transaction is on disk by now; 0 or -EIO.

    With j_barrier it is a flush-and-FUA write.  In an aborted journal none is written.  Source: fs/jbd/commit.c, v3.3.
    """
    if journal_.is_journal_aborted(journal):
        rt.reached("commit: aborted, no commit block")
        return 0
    descriptor = journal_.journal_get_descriptor_buffer(journal)
    bh = jbd.jh2bh(descriptor)
    header = jbd.log_header(jbd.JFS_COMMIT_BLOCK, commit_transaction.t_tid)
    journal_._write_words(bh, (jbd.JFS_MAGIC_NUMBER, header))
    rt.note("log-block", rt.peek(bh, "b_blocknr"), "commit", commit_transaction.t_tid, ())
    buffer_head.set_buffer_dirty(bh)
    err = buffer.sync_dirty_buffer(bh, device.WRITE_FLUSH_FUA if journal.j_barrier else device.WRITE)
    buffer.put_bh(bh, "commit")
    journal_.journal_put_journal_head(descriptor)
    return err


# -- forget list and end -------------------------------------------------------------------------------------


def _drop_copies(jh: JournalHead) -> None:
    """Free the copies kept of a buffer; a frozen copy becomes the committed one if there was one.

    Needs BH_State.  Source: journal_commit_transaction, phase 7, in fs/jbd/commit.c, v3.3.
    """
    committed, frozen = jh.b_committed_data, jh.b_frozen_data
    if committed is not None:
        jbd.jbd_free(committed)
        jh.b_committed_data = None
        if frozen is not None:
            jh.b_committed_data = frozen
            jh.b_frozen_data = None
    elif frozen is not None:
        jbd.jbd_free(frozen)
        jh.b_frozen_data = None


def _forget_buffer(journal: Journal, commit_transaction: Transaction, jh: JournalHead) -> None:
    """Take one buffer off BJ_Forget: to the checkpoint list if dirty, then refile it.

    Returns with j_list_lock held.  Source: journal_commit_transaction, phase 7, in fs/jbd/commit.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    # Our own count: the journal head may go, and its count on the buffer with it.
    buffer.get_bh(bh, "commit")
    jbd.jbd_lock_bh_state(bh)
    owner = jh.b_transaction
    if owner is not commit_transaction:
        rt.bug_on(owner is not journal.j_running_transaction, "forget list of another transaction", jh=jh)
    _drop_copies(jh)
    rt.spin_lock(journal.j_list_lock)
    if jh.b_cp_transaction is not None:
        rt.reached("commit: left an older checkpoint")
        checkpoint.__journal_remove_checkpoint(jh)
    if jbd.buffer_freed(bh):
        if jh.b_next_transaction is None:
            rt.reached("commit: forgotten buffer freed")
            jbd.clear_buffer_freed(bh)
            jbd.clear_buffer_jbddirty(bh)
        else:
            # The truncation is part of the next transaction: until that one is committed, the block counts as it was.
            rt.reached("commit: freed buffer left to the next transaction")
    try_to_free = False
    if jbd.buffer_jbddirty(bh):
        checkpoint.__journal_insert_checkpoint(jh, commit_transaction)
        if journal_.is_journal_aborted(journal):
            jbd.clear_buffer_jbddirty(bh)
    else:
        rt.bug_on(buffer_head.buffer_dirty(bh), "dirty buffer on the forget list", bh=bh)
        # The page may have been truncated under the buffer; then it is ours to free.
        try_to_free = jh.b_next_transaction is None
    transaction.__journal_refile_buffer(jh)
    jbd.jbd_unlock_bh_state(bh)
    if try_to_free:
        release_buffer_page(bh)
    else:
        buffer.__brelse(bh, "commit")


def _process_forget(journal: Journal, commit_transaction: Transaction) -> None:
    """Empty the forget list, then finish the transaction; starts over if a truncate files one more buffer.

    Source: journal_commit_transaction, phases 7 and 8, in fs/jbd/commit.c, v3.3.
    """
    while True:
        rt.spin_lock(journal.j_list_lock)
        while jhs := commit_transaction.t_forget:
            rt.spin_unlock(journal.j_list_lock)
            _forget_buffer(journal, commit_transaction, jhs[0])
        rt.spin_unlock(journal.j_list_lock)
        # j_state_lock first: with it held no truncate can file another buffer on us.
        rt.spin_lock(journal.j_state_lock)
        rt.spin_lock(journal.j_list_lock)
        if not commit_transaction.t_forget:
            break
        rt.reached("commit: forget list refilled")
        rt.spin_unlock(journal.j_list_lock)
        rt.spin_unlock(journal.j_state_lock)
    _finish_transaction(journal, commit_transaction)


def _finish_transaction(journal: Journal, commit_transaction: Transaction) -> None:
    """End the transaction: it goes away, or waits for its checkpoint.  Needs both locks, which it releases.

    Source: journal_commit_transaction, phase 8, in fs/jbd/commit.c, v3.3.
    """
    commit_transaction.t_state = TState.T_FINISHED
    rt.bug_on(journal.j_committing_transaction is not commit_transaction, "committing transaction replaced")
    journal.j_commit_sequence = commit_transaction.t_tid
    journal.j_committing_transaction = None
    rt.spin_unlock(journal.j_state_lock)
    if commit_transaction.t_checkpoint_list or commit_transaction.t_checkpoint_io_list:
        journal.j_checkpoint_transactions = (*journal.j_checkpoint_transactions, commit_transaction)
    else:
        checkpoint.__journal_drop_transaction(journal, commit_transaction)
    rt.spin_unlock(journal.j_list_lock)
