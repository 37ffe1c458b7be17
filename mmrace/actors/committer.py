"""Actor committer: kjournald.  Each round it commits the running transaction, if there is one.

The kernel's thread sleeps until its timer ends or a task asks for a commit; here each round is such a wake-up.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.jbd import commit
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
    """Commit the running transaction; return False if there was none."""
    journal = stage.journal
    rt.spin_lock(journal.j_state_lock)
    running = journal.j_running_transaction is not None
    rt.spin_unlock(journal.j_state_lock)
    if running:
        commit.journal_commit_transaction(journal)
    return running


ACTOR = Actor("committer", committer, PARAMS, commits=True)
