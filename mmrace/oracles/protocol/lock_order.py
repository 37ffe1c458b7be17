"""Lock order: as for any program, with handles: who starts one may have to wait for all that are open.

A transaction that closes waits for its handles, and who then wants one waits for the transaction: as lockdep's map of
jbd's handle has it, a handle is held from journal_start to journal_stop, and asked for at the start.
Not here: who waits for a commit with a handle open on that transaction; that is a standstill each time.
Source: fs/jbd/transaction.c, v3.3.
"""

from __future__ import annotations

from mmrace.oracles.general import lock_order
from mmrace.oracles.general.judgement import Judgement
from mmrace.runtime.record import Record

NAME = lock_order.NAME


def judge(record: Record) -> Judgement:
    """Look for rings of locks and handles."""
    spinning = {*record.lanes("Journal", "j_state_lock"), *record.lanes("Transaction", "t_handle_lock")}
    return lock_order.judge_with(record, dict.fromkeys(record.lanes("Transaction", "t_updates"), spinning))
