"""Actor committer: the age of transactions.  Each round the running one has run long enough, if there is one.

The kernel's thread sleeps until its timer ends or a task asks for a commit.  In a cast where somebody asks, kjournald
is a task of its own and a round wakes it as the timer does; elsewhere the committer is kjournald, and commits.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.jbd import commit
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.jbd.jbd import DEFAULT_WBUFSIZE
from mmrace.runtime.param import Number

WBUF = Number("wbuf", DEFAULT_WBUFSIZE, 1, 64, says="data buffers that a commit locks and then submits in one batch")
RESCHED = Number("resched", 0, 0, 1, says="1: a commit may be asked to give way with a batch in hand")
PARAMS = (*LOOP, WBUF, RESCHED)


def committer(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        commit_running(stage)
        rt.note("round", "committer", i)


def commit_running(stage: Stage) -> bool:
    """Commit the running transaction, or have kjournald begin to; return False if there was none."""
    journal = stage.journal
    if journal.j_task is not None:
        return journal_.journal_start_commit(journal) is not None
    rt.spin_lock(journal.j_state_lock)
    running = journal.j_running_transaction is not None
    rt.spin_unlock(journal.j_state_lock)
    if running:
        commit.journal_commit_transaction(journal)
    return running


ACTOR = Actor("committer", committer, PARAMS, commits=True)
