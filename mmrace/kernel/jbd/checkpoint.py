"""Checkpoint lists: committed metadata that has not reached its home block yet.

Invariant: a buffer on a checkpoint list has b_cp_transaction set and one count of its journal head for it; a finished
transaction goes away with its last checkpoint buffer.  All of it under j_list_lock.
Not modelled: log_do_checkpoint (writing the buffers home to win back log space).
Source: fs/jbd/checkpoint.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.jbd import jbd
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import JList, JournalHead, TState

if TYPE_CHECKING:
    from mmrace.kernel.jbd.jbd import Journal, Transaction

MARKS: tuple[tuple[str, str], ...] = (
    ("checkpoint: written buffer left the list", "a buffer was found clean on a checkpoint list"),
    ("checkpoint: buffer busy", "dirty, locked or in a transaction again: it stays on its checkpoint list"),
    ("checkpoint: BH_State contended", "the trylock under j_list_lock failed: buffer skipped"),
    ("checkpoint: transaction dropped", "the last checkpoint buffer took its transaction along"),
    ("checkpoint: committing transaction kept", "its last buffer left, but the commit still needs it"),
)


def __buffer_unlink(jh: JournalHead, transaction: Transaction) -> None:
    """Take a buffer off its checkpoint list.  Needs j_list_lock.  Source: fs/jbd/checkpoint.c, v3.3."""
    waiting = transaction.t_checkpoint_list
    if jh in waiting:
        transaction.t_checkpoint_list = tuple(other for other in waiting if other is not jh)
        return
    under_io = transaction.t_checkpoint_io_list
    rt.bug_on(jh not in under_io, "buffer is not on its checkpoint list", jh=jh)
    transaction.t_checkpoint_io_list = tuple(other for other in under_io if other is not jh)


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
