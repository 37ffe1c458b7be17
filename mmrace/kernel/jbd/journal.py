"""The journal itself: journal heads, log blocks, the copy that goes to the log, kjournald and its requests.

Invariant: BH_JBD is set exactly while b_private is a journal head, and the buffer is counted once for it; b_jcount is
the number of those who count on the head, and the last one detaches it.  All of that under BH_JournalHead.
Not modelled: a log that is marked as clean.
Source: fs/jbd/journal.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import commit, jbd, transaction
from mmrace.kernel.jbd.jbd import JList, Journal, JournalHead, TState

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.jbd.jbd import Transaction
    from mmrace.kernel.mm.mm_types import Page

MARKS: tuple[tuple[str, str], ...] = (
    ("journal_head: made by another meanwhile", "two tasks wanted to attach one; ours was not needed"),
    ("write_metadata: frozen copy used", "the log gets the copy made at a write access, not the page"),
    ("write_metadata: escaped", "a block that begins with the magic was copied out for the log"),
    ("write_metadata: copied out by another", "a frozen copy appeared meanwhile: started over"),
    ("kjournald: slept", "the journal's thread had nothing to do"),
    ("log_wait_commit: slept", "somebody waited for a commit to end"),
    ("journal: aborted", "the log of a commit could not be written"),
)


def journal_init_dev(dev: BlockDevice, first: int, blocks: int, **settings: object) -> Journal:
    """Make the journal that lives on `blocks` blocks of `dev` from `first` on.  For set-up.

    Source: fs/jbd/journal.c, v3.3.
    """
    journal = Journal("journal", dev, first, blocks, **settings)
    journal_reset(journal)
    return journal


def journal_reset(journal: Journal) -> None:
    """Begin an empty log, and say so in the superblock on the disk.  For set-up: it was there before the run.

    Source: fs/jbd/journal.c, v3.3.
    """
    values = rt.peek(journal.j_dev.block(journal.j_sb_block), "words").values
    content = jbd.superblock(rt.peek(journal, "j_tail"), rt.peek(journal, "j_tail_sequence"))
    values[: len(content)] = content[: len(values)]


# -- journal heads -------------------------------------------------------------------------------------------


def journal_alloc_journal_head() -> JournalHead:
    """Allocate a journal head.  May sleep.  Source: fs/jbd/journal.c, v3.3."""
    rt.might_sleep()
    return JournalHead(rt.fresh("jh"))


def journal_free_journal_head(jh: JournalHead) -> None:
    """Free a journal head: any later touch is a use after free.  Source: fs/jbd/journal.c, v3.3."""
    rt.poison(jh)


def journal_add_journal_head(bh: BufferHead) -> JournalHead:
    """Return the buffer's journal head, attached now if need be, with one count more.  May sleep.

    Needs a count on the buffer, or its page in a mapping.  Source: fs/jbd/journal.c, v3.3.
    """
    new_jh: JournalHead | None = None
    while True:
        if not jbd.buffer_jbd(bh) and new_jh is None:
            new_jh = journal_alloc_journal_head()
        jbd.jbd_lock_bh_journal_head(bh)
        if jbd.buffer_jbd(bh):
            jh = jbd.bh2jh(bh)
            assert jh is not None, "BH_JBD without a journal head"
            if new_jh is not None:
                rt.reached("journal_head: made by another meanwhile")
                journal_free_journal_head(new_jh)
            break
        if bh.b_count.read() == 0:
            page = bh.b_page
            rt.bug_on(page is None or page.mapping is None, "journal head for a stray buffer", bh=bh)
        if new_jh is None:  # The head that we saw went away before the lock was ours.
            jbd.jbd_unlock_bh_journal_head(bh)
            continue
        jh = new_jh
        rt.set_bit(bh.b_state, BufferState.BH_JBD)
        bh.b_private = jh
        jh.b_bh = bh
        buffer.get_bh(bh, "jh")
        break
    jh.b_jcount = jh.b_jcount + 1
    jbd.jbd_unlock_bh_journal_head(bh)
    return jh


def journal_grab_journal_head(bh: BufferHead) -> JournalHead | None:
    """Return the buffer's journal head with one count more, or None if there is none.  Never sleeps.

    Source: fs/jbd/journal.c, v3.3.
    """
    jh: JournalHead | None = None
    jbd.jbd_lock_bh_journal_head(bh)
    if jbd.buffer_jbd(bh):
        jh = jbd.bh2jh(bh)
        assert jh is not None, "BH_JBD without a journal head"
        jh.b_jcount = jh.b_jcount + 1
    jbd.jbd_unlock_bh_journal_head(bh)
    return jh


def __journal_remove_journal_head(bh: BufferHead) -> None:
    """Detach and free a journal head that nobody counts on.  Needs BH_JournalHead.

    Source: fs/jbd/journal.c, v3.3.
    """
    jh = jbd.bh2jh(bh)
    assert jh is not None, "no journal head to remove"
    rt.bug_on(jh.b_transaction is not None, "journal head dropped by its transaction's back", jh=jh)
    rt.bug_on(jh.b_next_transaction is not None, "journal head dropped with a next transaction", jh=jh)
    rt.bug_on(jh.b_cp_transaction is not None, "journal head dropped on a checkpoint list", jh=jh)
    rt.bug_on(jh.b_jlist != JList.BJ_None, "journal head dropped on a list", jh=jh)
    for copy in (jh.b_frozen_data, jh.b_committed_data):
        if copy is not None:
            jbd.jbd_free(copy)
    bh.b_private = None
    jh.b_bh = None
    rt.clear_bit(bh.b_state, BufferState.BH_JBD)
    journal_free_journal_head(jh)


def journal_put_journal_head(jh: JournalHead) -> None:
    """Drop one count; the last detaches and frees the head and drops its count on the buffer.  Never sleeps.

    Source: fs/jbd/journal.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    jbd.jbd_lock_bh_journal_head(bh)
    count = jh.b_jcount - 1
    rt.bug_on(count < 0, "journal head dropped more often than taken", jh=jh)
    jh.b_jcount = count
    if count:
        jbd.jbd_unlock_bh_journal_head(bh)
        return
    __journal_remove_journal_head(bh)
    jbd.jbd_unlock_bh_journal_head(bh)
    buffer.__brelse(bh, "jh")


# -- the log -------------------------------------------------------------------------------------------------


def __log_space_left(journal: Journal) -> int:
    """Say how many blocks of the log are free for credits.  Needs j_state_lock.  Source: fs/jbd/journal.c, v3.3."""
    return max(0, journal.j_free - jbd.MIN_LOG_RESERVED_BLOCKS)


def journal_update_superblock(journal: Journal) -> None:
    """Write to the disk where the log begins, and wait.

    Simplified: the kernel keeps the superblock's buffer since it mounted.  Source: fs/jbd/journal.c, v3.3.
    """
    bh = buffer.__getblk(journal.j_dev, journal.j_sb_block, "journal")
    rt.spin_lock(journal.j_state_lock)
    tail, sequence = journal.j_tail, journal.j_tail_sequence
    _write_words(bh, jbd.superblock(tail, sequence))
    rt.note("log-block", journal.j_sb_block, "superblock", sequence, (tail,))
    rt.spin_unlock(journal.j_state_lock)
    buffer_head.set_buffer_uptodate(bh)
    buffer.mark_buffer_dirty(bh)
    buffer.sync_dirty_buffer(bh)
    buffer.brelse(bh, "journal")


def journal_next_log_block(journal: Journal) -> int:
    """Take the next free block of the log; returns its number on the device.

    Source: fs/jbd/journal.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    free = journal.j_free
    rt.bug_on(free <= 1, "the log is full", free=free)
    blocknr = journal.j_head
    for waiting in rt.peek(journal, "j_checkpoint_transactions"):
        begins = rt.peek(waiting, "t_log_start")
        rt.bug_on(begins == blocknr, "log block reused that its transaction still needs", transaction=waiting)
    journal.j_head = blocknr + 1 if blocknr + 1 < journal.j_last else journal.j_first
    journal.j_free = free - 1
    rt.spin_unlock(journal.j_state_lock)
    return blocknr


def _write_words(bh: BufferHead, values: tuple[int, ...]) -> None:
    """Store the first words of a buffer, zeroing the rest.  Needs whatever keeps its page."""
    page, offset = buffer._data_of(bh)
    for i in range(bh.b_size):
        page.words.write(offset + i, values[i] if i < len(values) else 0)


def journal_get_descriptor_buffer(journal: Journal) -> JournalHead:
    """Return a zeroed buffer on the next log block, with a count on it and on its journal head.  Sleeps.

    Source: fs/jbd/journal.c, v3.3.
    """
    blocknr = journal_next_log_block(journal)
    bh = buffer.__getblk(journal.j_dev, blocknr, "commit")
    buffer.lock_buffer(bh)
    _write_words(bh, ())
    buffer_head.set_buffer_uptodate(bh)
    buffer.unlock_buffer(bh)
    return journal_add_journal_head(bh)


def _copy_out(bh_in: BufferHead, jh_in: JournalHead, data: Page) -> None:
    """Copy a buffer's live data, word by word, and make that its frozen copy.  Needs BH_State of `bh_in`.

    Part of journal_write_metadata_buffer.  Source: fs/jbd/journal.c, v3.3.
    """
    jh_in.b_frozen_data = data
    page, offset = buffer._data_of(bh_in)
    for i in range(bh_in.b_size):
        data.words.write(i, page.words.read(offset + i))


def _choose_log_source(journal: Journal, bh_in: BufferHead, jh_in: JournalHead) -> tuple[Page, int, bool]:
    """Choose what the log write reads: (page, offset, escaped).  Takes BH_State of `bh_in` and keeps it.

    May sleep.  The frozen copy if there is one, else the live page, whatever b_page is now; a block that begins with
    the magic is copied out.  BH_Lock is not taken.  Part of journal_write_metadata_buffer.
    Source: fs/jbd/journal.c, v3.3.
    """
    jbd.jbd_lock_bh_state(bh_in)
    while True:
        frozen = jh_in.b_frozen_data
        copied = frozen is not None
        if frozen is not None:
            rt.reached("write_metadata: frozen copy used")
            new_page, new_offset = frozen, 0
        else:
            new_page, new_offset = buffer._data_of(bh_in)
        escape = new_page.words.read(new_offset) == jbd.JFS_MAGIC_NUMBER
        if escape and not copied:
            jbd.jbd_unlock_bh_state(bh_in)
            data = jbd.jbd_alloc(journal, bh_in.b_size)
            jbd.jbd_lock_bh_state(bh_in)
            if jh_in.b_frozen_data is not None:
                rt.reached("write_metadata: copied out by another")
                jbd.jbd_free(data)
                continue
            _copy_out(bh_in, jh_in, data)
            new_page, new_offset = data, 0
        if escape:
            rt.reached("write_metadata: escaped")
            new_page.words.write(new_offset, 0)
        return new_page, new_offset, escape


def journal_write_metadata_buffer(
    commit_transaction: Transaction, jh_in: JournalHead, blocknr: int
) -> tuple[JournalHead, int]:
    """Make the temporary buffer that copies `jh_in`'s data to a log block; returns (its head, tag flags).

    The temporary buffer is on no page's ring: log I/O reads the page through an alias that the ring does not contain.
    Leaves the original on BJ_Shadow and the temporary one, counted once, on BJ_IO.  Sleeps.
    Source: fs/jbd/journal.c, v3.3.
    """
    journal = commit_transaction.t_journal
    bh_in = jbd.jh2bh(jh_in)
    new_bh = buffer.alloc_buffer_head(rt.fresh("logbh"), bh_in.b_size)
    buffer.get_bh(new_bh, "commit")
    new_jh = journal_add_journal_head(new_bh)
    new_page, new_offset, escape = _choose_log_source(journal, bh_in, jh_in)
    buffer.set_bh_page(new_bh, new_page, new_offset)
    new_bh.b_bdev = journal.j_dev
    new_bh.b_blocknr = blocknr
    rt.set_bit(new_bh.b_state, BufferState.BH_Mapped)
    buffer_head.set_buffer_dirty(new_bh)
    # Shadow inside the BH_State section that chose the source: else a write access could slip in between.
    rt.spin_lock(journal.j_list_lock)
    transaction.__journal_file_buffer(jh_in, commit_transaction, JList.BJ_Shadow)
    rt.spin_unlock(journal.j_list_lock)
    jbd.jbd_unlock_bh_state(bh_in)
    transaction.journal_file_buffer(new_jh, commit_transaction, JList.BJ_IO)
    return new_jh, jbd.JFS_FLAG_ESCAPE if escape else 0


# -- requests and the thread ---------------------------------------------------------------------------------


def __log_start_commit(journal: Journal, target: int) -> bool:
    """Ask for the commit of transaction `target` if it is the running one, and wake kjournald, each time.

    Needs j_state_lock.  Source: fs/jbd/journal.c, v3.3.
    """
    running = journal.j_running_transaction
    if running is None or running.t_tid != target:
        return False
    journal.j_commit_request = target
    rt.wake_up(journal.j_wait_commit)
    return True


def log_start_commit(journal: Journal, tid: int) -> bool:
    """Ask for a commit, lock included; True if the transaction was the running one.

    Source: fs/jbd/journal.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    asked = __log_start_commit(journal, tid)
    rt.spin_unlock(journal.j_state_lock)
    return asked


def journal_start_commit(journal: Journal) -> int | None:
    """Ask for the commit of what runs; returns the tid to wait for, that of what commits if nothing runs, or None.

    Source: fs/jbd/journal.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    transaction_ = journal.j_running_transaction
    if transaction_ is not None:
        __log_start_commit(journal, transaction_.t_tid)
    else:
        transaction_ = journal.j_committing_transaction
    tid = None if transaction_ is None else transaction_.t_tid
    rt.spin_unlock(journal.j_state_lock)
    return tid


def log_wait_commit(journal: Journal, tid: int) -> int:
    """Sleep until transaction `tid` is committed, or given up; -EIO if the journal was aborted, whenever.

    Source: fs/jbd/journal.c, v3.3.
    """
    rt.note("commit-wait", journal, tid)
    rt.spin_lock(journal.j_state_lock)
    while tid > journal.j_commit_sequence:
        rt.reached("log_wait_commit: slept")
        rt.wake_up(journal.j_wait_commit)
        rt.spin_unlock(journal.j_state_lock)
        rt.wait_event(
            journal.j_wait_done_commit,
            lambda: tid <= journal.j_commit_sequence,
            holds=lambda: bool(tid <= rt.peek(journal, "j_commit_sequence")),
            holder=lambda: transaction.committers(journal, tid),
        )
        rt.spin_lock(journal.j_state_lock)
    rt.spin_unlock(journal.j_state_lock)
    return -Errno.EIO if is_journal_aborted(journal) else 0


def journal_trans_will_send_data_barrier(journal: Journal, tid: int) -> bool:
    """Say whether a commit that is still to come will flush the disk's cache for `tid`.

    Source: fs/jbd/journal.c, v3.3.
    """
    if not journal.j_barrier:
        return False
    rt.spin_lock(journal.j_state_lock)
    will = journal.j_commit_sequence < tid
    committing = journal.j_committing_transaction
    if will and committing is not None and committing.t_tid == tid:
        will = committing.t_state < TState.T_COMMIT_RECORD
    rt.spin_unlock(journal.j_state_lock)
    return will


def is_journal_aborted(journal: Journal) -> bool:
    """Say whether the journal was given up.  Needs no lock.  Source: include/linux/jbd.h, v3.3."""
    return bool(journal.j_flags & jbd.JFS_ABORT)


def journal_abort(journal: Journal, errno: int) -> None:
    """Give the journal up for the first error of its log: from now on no handle starts and no commit block is written.

    What runs is committed, which then writes nothing.  Simplified: the error is kept under the lock that sets the flag,
    and is not written into the superblock.  Source: fs/jbd/journal.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    if not journal.j_flags & jbd.JFS_ABORT:
        rt.reached("journal: aborted")
        rt.note("journal-abort", errno)
        journal.j_errno = errno
        journal.j_flags = journal.j_flags | jbd.JFS_ABORT
        running = journal.j_running_transaction
        if running is not None:
            __log_start_commit(journal, running.t_tid)
    rt.spin_unlock(journal.j_state_lock)


def journal_force_commit_nested(journal: Journal) -> bool:
    """Commit what runs, or with a handle open wait for what commits; False if there was nothing.  Sleeps.

    Source: fs/jbd/journal.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    transaction_ = journal.j_running_transaction
    if transaction_ is not None and transaction.journal_current_handle() is None:
        __log_start_commit(journal, transaction_.t_tid)
    else:
        transaction_ = journal.j_committing_transaction
    if transaction_ is None:
        rt.spin_unlock(journal.j_state_lock)
        return False
    tid = transaction_.t_tid
    rt.spin_unlock(journal.j_state_lock)
    log_wait_commit(journal, tid)
    return True


def kjournald(journal: Journal) -> None:
    """The journal's thread: commit when asked, for ever.  Runs as a daemon.

    An abort does not end it: whoever waits for a commit is woken all the same.  Simplified: it commits no transaction
    for its age, and never stops.  Source: fs/jbd/journal.c, v3.3.
    """
    rt.spin_lock(journal.j_state_lock)
    while True:
        if journal.j_commit_sequence != journal.j_commit_request:
            journal.nothing_asked = False
            rt.spin_unlock(journal.j_state_lock)
            commit.journal_commit_transaction(journal)
            rt.spin_lock(journal.j_state_lock)
            continue
        journal.nothing_asked = True
        rt.wake_up(journal.j_wait_done_commit)
        rt.reached("kjournald: slept")
        rt.wait_event(
            journal.j_wait_commit,
            lambda: journal.j_commit_sequence != journal.j_commit_request,
            before_sleep=lambda: rt.spin_unlock(journal.j_state_lock),
            after_sleep=lambda: rt.spin_lock(journal.j_state_lock),
            holds=lambda: bool(rt.peek(journal, "j_commit_sequence") != rt.peek(journal, "j_commit_request")),
        )


def journal_start_thread(journal: Journal, cpu: int) -> None:
    """Start kjournald, before anything was committed.  For set-up: the kernel does so when it mounts.

    Source: fs/jbd/journal.c, v3.3.
    """
    journal.j_task = rt.spawn(kjournald, journal, name="kjournald", cpu=cpu, daemon=True)
