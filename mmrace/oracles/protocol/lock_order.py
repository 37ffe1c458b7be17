"""Lock order: as for any program, with writeback and what a journal adds: handles, and commits that wait for them.

A transaction that closes waits for its handles, and who then wants one waits for the transaction: as lockdep's map of
jbd's handle has it, a handle is held from journal_start to journal_stop, and asked for at the start.  Its committer
owes three things: from T_LOCKED to T_FLUSH that it lets new handles in; the copies in the log, from T_COMMIT until they
are written, to who wants to change a buffer that is being copied (BH_Unshadow); and the commit, from its begin on until
j_commit_sequence has its number, to who waits for that (log_wait_commit).

Invariant: transactions are instances: who has a handle on the next one may wait for the commit of this one.  Not here:
that any start of a handle may have to wait for space in the log: that counts where it happened.  An allocation enters
no reclaim in this model (`mm/page_alloc.py`), so that nobody waits for reclaim.
Source: fs/jbd/transaction.c, fs/jbd/journal.c, fs/jbd/commit.c, v3.3; jbd2_might_wait_for_commit in v4.7.
"""

from __future__ import annotations

from collections import defaultdict

from mmrace.oracles.general import lock_order
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.general.waits import Deed, Told, Waits, first_free
from mmrace.runtime.kinds import NOTE, QUEUE, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = lock_order.NAME
_OWED = ("commit of", "closing of", "log copies of")
"""What a committer owes, in words, each with a lane of its own."""
_COMMIT, _CLOSING, _COPIES = range(len(_OWED))
NOTES = frozenset({"commit-begin", "commit-end", "writeback-wait", "commit-wait"})


def judge(record: Record) -> Judgement:
    """Look for rings of locks, handles and commits."""
    return lock_order.judge_with(record, _Journals(record).waits())


class _Journals:
    """Reads off a record what its transactions are waited for."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.updates = record.lanes("Transaction", "t_updates")
        self.counts = {name: lane for lane, name in self.updates.items()}
        self.spinning = {*record.lanes("Journal", "j_state_lock"), *record.lanes("Transaction", "t_handle_lock")}
        self.states = record.lanes("Transaction", "t_state")
        self.sequences = record.lanes("Journal", "j_commit_sequence")
        self.shadows = record.queue_lanes("BufferHead", "b_state", "BH_Unshadow")
        self.queues = {
            key: [*record.lanes("Journal", key)]
            for key in ("j_wait_updates", "j_wait_done_commit", "j_wait_transaction_locked")
        }
        self.writeback = {name: lane for lane, name in record.bit_lane("Page", "flags", "PG_writeback").items()}
        self.numbered: dict[str, int] = {}
        self.committing: dict[int, str] = {}  # task -> the transaction that it commits
        self.told: defaultdict[int, list[Told]] = defaultdict(list)

    def waits(self) -> Waits:
        """Return what the judge of any program has to know."""
        self.read()
        names = {lane: f"handle on {name}" for lane, name in self.updates.items()}
        for name, first in self.numbered.items():
            names.update({first - i: f"{what} {name}" for i, what in enumerate(_OWED)})
        return Waits(dict.fromkeys(self.updates, self.spinning), self.told, [*self.writeback.values()], names)

    def owed(self, name: str, what: int) -> int:
        """Return the lane of what is owed for a transaction."""
        first = self.numbered.get(name)
        if first is None:
            first = self.numbered[name] = first_free(self.record) - len(_OWED) * len(self.numbered)
        return first - what

    def says(self, step: int, task: int, deed: Deed, lane: int, queue: str = "") -> None:
        """Tell of an event."""
        queues = self.queues.get(queue, ())
        dropped = self.spinning if deed is Deed.WANTS else ()
        self.told[step].append(Told(task, deed, lane, queues[0] if len(queues) == 1 else -1, dropped))

    def read(self) -> None:
        """Go through the events that tell."""
        events = self.record.events
        watched = {*self.updates, *self.states, *self.sequences, *self.shadows}
        for step in self.record.steps_on(watched, WRITE, QUEUE, notes=NOTES):
            task, op, a, b = events[step]
            lane = op >> SHIFT
            if op == NOTE:
                self.note(step, task, a, b)
            elif lane in self.updates:
                if b > a:
                    self.says(
                        step, task, Deed.WANTS, self.owed(self.updates[lane], _CLOSING), "j_wait_transaction_locked"
                    )
            elif lane in self.states:
                self.state(step, task, self.states[lane], str(self.record.name(b)))
            elif lane in self.sequences:
                self.committed(step, task)
            elif lane in self.shadows and self.committing:
                name = next(reversed(self.committing.values()))
                self.told[step].append(Told(task, Deed.WANTS, self.owed(name, _COPIES), lane))

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        """A commit begins or ends, or somebody waits for one."""
        if kind == "commit-begin":
            name = self.committing[task] = f"transaction:{facts[1]}"
            self.says(step, task, Deed.OWES, self.owed(name, _COMMIT))
            self.says(step, task, Deed.OWES, self.owed(name, _CLOSING))
            if name in self.counts:
                self.says(step, task, Deed.WANTS, self.counts[name], "j_wait_updates")
        elif kind == "commit-end":
            self.committed(step, task)
        elif kind == "writeback-wait":
            lane = self.writeback.get(str(self.record.name(facts[0])))
            if lane is not None:
                self.told[step].append(Told(task, Deed.WANTS, lane))
        elif kind == "commit-wait":
            self.says(step, task, Deed.WANTS, self.owed(f"transaction:{facts[1]}", _COMMIT), "j_wait_done_commit")

    def state(self, step: int, task: int, name: str, state: str) -> None:
        """A transaction goes on."""
        if state == "T_FLUSH":
            self.says(step, task, Deed.BRINGS, self.owed(name, _CLOSING))
        elif state == "T_COMMIT":
            self.says(step, task, Deed.OWES, self.owed(name, _COPIES))
        elif state == "T_COMMIT_RECORD":
            self.says(step, task, Deed.BRINGS, self.owed(name, _COPIES))

    def committed(self, step: int, task: int) -> None:
        """What a task commits is committed."""
        name = self.committing.pop(task, None)
        if name is not None:
            for what in range(len(_OWED)):
                self.says(step, task, Deed.BRINGS, self.owed(name, what))
