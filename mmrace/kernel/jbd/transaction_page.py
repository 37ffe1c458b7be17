"""The journal's part in reclaim and truncation: how the buffers of a whole page leave their transactions.

This is the page half of fs/jbd/transaction.c, which would be too long in one piece; the other half is in `transaction`.
The kernel has no file of this name.
Invariant: a buffer that a transaction still needs keeps its journal head, and its page keeps its ring: the caller is
told so, and tries again later or leaves it to the commit.  That the journal was aborted makes no difference here.
Source: fs/jbd/transaction.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.jbd import checkpoint, jbd, transaction
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList
from mmrace.kernel.mm import page_flags

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.jbd.jbd import Journal, JournalHead, Transaction
    from mmrace.kernel.mm.mm_types import Page

MARKS: tuple[tuple[str, str], ...] = (
    ("try_to_free_buffers: written data unfiled", "releasepage took an ordered buffer from its transaction"),
    ("try_to_free_buffers: checkpointed buffer removed", "releasepage took it off its checkpoint list"),
    ("try_to_free_buffers: buffer locked or dirty", "releasepage left the buffer alone"),
    ("try_to_free_buffers: still in the journal", "releasepage failed: a journal head remains"),
    ("unmap_buffer: in the running transaction", "truncate took the buffer from the running transaction"),
    ("unmap_buffer: on a checkpoint list only", "truncate met a buffer that waits for its checkpoint"),
    ("unmap_buffer: on the locked list", "truncate took the buffer from the committing transaction"),
    ("unmap_buffer: left to commit", "truncate set BH_Freed and kept the buffer"),
)


def __journal_try_to_free_buffer(journal: Journal, bh: BufferHead, jh: JournalHead) -> None:
    """Take a written buffer away from its transaction or checkpoint list, if nothing else holds it.

    Needs BH_State, the page lock, and a count on jh.  Source: fs/jbd/transaction.c, v3.3.
    """
    if buffer_head.buffer_locked(bh) or buffer_head.buffer_dirty(bh):
        rt.reached("try_to_free_buffers: buffer locked or dirty")
        return
    if jh.b_next_transaction is not None:
        return
    rt.spin_lock(journal.j_list_lock)
    owner, cp_transaction = jh.b_transaction, jh.b_cp_transaction
    if owner is not None and cp_transaction is None:
        if jh.b_jlist in (JList.BJ_SyncData, JList.BJ_Locked):
            rt.reached("try_to_free_buffers: written data unfiled")
            transaction.__journal_unfile_buffer(jh)
    elif cp_transaction is not None and owner is None and jh.b_jlist == JList.BJ_None:
        rt.reached("try_to_free_buffers: checkpointed buffer removed")
        checkpoint.__journal_remove_checkpoint(jh)
    rt.spin_unlock(journal.j_list_lock)


def journal_try_to_free_buffers(journal: Journal, page: Page) -> bool:
    """Strip a page of its buffers if the journal is done with all of them.  Needs the page lock; never sleeps.

    Source: fs/jbd/transaction.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "journal_try_to_free_buffers on an unlocked page", page=page)
    for bh in buffer.ring(buffer.page_buffers(page)):
        jh = journal_.journal_grab_journal_head(bh)
        if jh is None:
            continue
        jbd.jbd_lock_bh_state(bh)
        __journal_try_to_free_buffer(journal, bh, jh)
        journal_.journal_put_journal_head(jh)
        jbd.jbd_unlock_bh_state(bh)
        if jbd.buffer_jbd(bh):
            rt.reached("try_to_free_buffers: still in the journal")
            return False
    return buffer.try_to_free_buffers(page)


def __dispose_buffer(jh: JournalHead, owner: Transaction) -> bool:
    """Drop a truncated buffer from a transaction; False if it must stay for its checkpoint (on BJ_Forget).

    Needs BH_State and j_list_lock.  Source: fs/jbd/transaction.c, v3.3.
    """
    bh = jbd.jh2bh(jh)
    if jh.b_cp_transaction is not None:
        transaction.__journal_temp_unlink_buffer(jh)
        # Nobody may write it any more, and filing must not mistake the bit for the journal's.
        buffer_head.clear_buffer_dirty(bh)
        transaction.__journal_file_buffer(jh, owner, JList.BJ_Forget)
        return False
    transaction.__journal_unfile_buffer(jh)
    return True


def _dispose_checkpointed(journal: Journal, bh: BufferHead, jh: JournalHead) -> tuple[bool, bool]:
    """Truncate a buffer that is on a checkpoint list at most: (may be freed, may be unmapped now).

    Needs j_state_lock, BH_State and j_list_lock.  Part of journal_unmap_buffer.  Source: fs/jbd/transaction.c, v3.3.
    """
    if jh.b_cp_transaction is None or not buffer_head.buffer_dirty(bh):
        return True, True
    rt.reached("unmap_buffer: on a checkpoint list only")
    running = journal.j_running_transaction
    if running is not None:
        # It must not be forgotten before the truncation itself is committed.
        return __dispose_buffer(jh, running), False
    committing = journal.j_committing_transaction
    if committing is not None:
        return __dispose_buffer(jh, committing), False
    # The truncation is committed already: the journal lets go of the buffer, and the zap cleans it.
    jbd.clear_buffer_jbddirty(bh)
    return True, True


def journal_unmap_buffer(journal: Journal, bh: BufferHead) -> bool:
    """Truncate one buffer: forget it, or set BH_Freed and leave it to the commit; says whether it may be freed.

    Needs the page lock and the buffer lock.  Source: fs/jbd/transaction.c, v3.3.
    """
    may_free = True
    if jbd.buffer_jbd(bh):
        rt.spin_lock(journal.j_state_lock)
        jbd.jbd_lock_bh_state(bh)
        rt.spin_lock(journal.j_list_lock)
        zap = True
        jh = journal_.journal_grab_journal_head(bh)
        if jh is not None:
            owner = jh.b_transaction
            if owner is None:
                may_free, zap = _dispose_checkpointed(journal, bh, jh)
            elif owner is not journal.j_committing_transaction:
                rt.reached("unmap_buffer: in the running transaction")
                stray = owner is not journal.j_running_transaction
                rt.bug_on(stray, "truncated buffer of a stray transaction", jh=jh)
                may_free = __dispose_buffer(jh, owner)
            elif jh.b_jlist == JList.BJ_Locked:
                rt.reached("unmap_buffer: on the locked list")
                may_free = __dispose_buffer(jh, owner)
            else:
                rt.reached("unmap_buffer: left to commit")
                jbd.set_buffer_freed(bh)
                if journal.j_running_transaction is not None and jbd.buffer_jbddirty(bh):
                    jh.b_next_transaction = journal.j_running_transaction
                may_free, zap = False, False
            journal_.journal_put_journal_head(jh)
        rt.spin_unlock(journal.j_list_lock)
        jbd.jbd_unlock_bh_state(bh)
        rt.spin_unlock(journal.j_state_lock)
        if not zap:
            return may_free
    buffer_head.clear_buffer_dirty(bh)
    rt.bug_on(jbd.buffer_jbddirty(bh), "unmapped buffer is still dirty for the journal", bh=bh)
    for bit in (BufferState.BH_Mapped, BufferState.BH_Req, BufferState.BH_New):
        rt.clear_bit(bh.b_state, bit)
    bh.b_bdev = None
    return may_free


def journal_invalidatepage(journal: Journal, page: Page, offset: int) -> None:
    """Truncate the buffers of a page from word `offset` on; a whole page loses its buffers if it can.

    Needs the page lock; sleeps on buffer locks.  Source: fs/jbd/transaction.c, v3.3.
    """
    rt.bug_on(not page_flags.PageLocked(page), "journal_invalidatepage on an unlocked page", page=page)
    if not buffer.page_has_buffers(page):
        return
    curr_off, may_unmap = 0, True
    for bh in buffer.ring(buffer.page_buffers(page)):
        if offset <= curr_off:
            buffer.lock_buffer(bh)
            may_unmap = journal_unmap_buffer(journal, bh) and may_unmap
            buffer.unlock_buffer(bh)
        curr_off += bh.b_size
    if offset == 0 and may_unmap and buffer.try_to_free_buffers(page):
        rt.bug_on(buffer.page_has_buffers(page), "page keeps its private bit without buffers", page=page)
