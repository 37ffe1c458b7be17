"""Errno: a user is told an error only if there was one.

Rules: -EIO needs a transfer that failed before, and each failure is told at most `TOLD_MAX` times; -ENOMEM needs an
allocation that found no free page (a mark of the run); -EROFS of a write, a truncation or an fsync needs a journal that
was aborted (a note), and an abort a transfer that failed; after it those calls may return -EIO any number of times, and
no write(2) or fsync(2) that begins then succeeds.  SIGBUS for an access through a mapping needs a truncation, or a
transfer that failed.  No other errno is returned.  Nor does the kernel go where a failed transfer leads it (marks of
the run: FAILURES) if none failed.  Each call that returned was looked at.  A commit ends in an aborted journal if a
block of its log could not be written: all later fsyncs are told by that.
Invariant: who is told is not asked: in 3.3 an error belongs to the mapping and the page, for whoever looks first.
Not checked: that every other failure is told to somebody; the kernel loses some.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.names import ABORT, LOG, PAGE_WRITE_ERROR, UNREADABLE, WRITE_ERROR, without_journal
from mmrace.oracles.protocol.register import Formatted
from mmrace.runtime.kinds import NOTE, WRITE
from mmrace.runtime.record import Record

NAME = "errno"
EIO, ENOMEM, EROFS = 5, 12, 30
NO_PAGE = "alloc: no free page"
FAILURES = ("buffer: read error", "mpage: read error", WRITE_ERROR, PAGE_WRITE_ERROR, UNREADABLE)
TOLD_MAX = 3
"""Places that remember one failed transfer until somebody is told: the mapping, the page, the buffer."""
RETURNS = {
    "read-end": "read", "read-failed": "read", "write-end": "write", "write-failed": "write", "fsync-end": "fsync",
    "truncate-end": "truncate",
}  # fmt: skip
RC = {"read-failed": 2, "write-failed": 2, "fsync-end": 1, "truncate-end": 2}
"""Where a note of a return has what was returned; the others tell success."""
KILLED = frozenset({"load-failed", "store-failed"})
"""A program's access through a mapping that ended in a signal; the last fact names the fault."""
OOM = "VM_FAULT_OOM"
BEGINS = frozenset({"write-begin", "fsync-begin"})
"""Calls that an aborted journal lets nobody make: they want a handle, or a commit."""
REFUSED = frozenset({"write", "truncate", "fsync"})


class _Audit:
    """The calls of one record, and what had failed by then."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.aborted = self.checked = self.cuts = self.failed = self.told = 0
        self.late: set[int] = set()  # tasks whose call began in an aborted journal
        self.plain = without_journal(record)

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "io-end":
            self.failed += bool(facts[2])
        elif kind == ABORT:
            self.aborted += 1
            if not self.failed:
                self.caught("failure out of nothing", "the journal was aborted", step, task, ABORT)
        elif kind == "truncate-begin":
            self.cuts += 1
        elif kind in KILLED:
            self.killed(step, task, kind, str(facts[-1]))
        elif kind in BEGINS:
            late = self.aborted and str(facts[0]) not in self.plain
            (self.late.add if late else self.late.discard)(task)
        elif kind in RETURNS:
            rc = facts[RC[kind]] if kind in RC else 0
            if isinstance(rc, int):
                self.returned(step, task, RETURNS[kind], rc)

    def killed(self, step: int, task: int, kind: str, fault: str) -> None:
        """Judge a fault that killed a program."""
        self.checked += 1
        caused = self.record.marks.get(NO_PAGE) if fault == OOM else self.cuts or self.failed
        if not caused:
            text = f"{self.record.task_name(task)}'s access ended with {fault}; nothing was truncated"
            self.caught("error out of nothing", text, step, task, kind, fault)

    def returned(self, step: int, task: int, call: str, rc: int) -> None:
        """Judge what a call returned."""
        self.checked += 1
        self.told += rc == -EIO
        rule = self.fault(call, rc, task in self.late)
        if call in REFUSED:
            self.late.discard(task)
        if rule:
            self.caught(rule, f"{self.record.task_name(task)}'s {call} returned {rc}", step, task, call, str(rc), rc=rc)

    def fault(self, call: str, rc: int, late: bool) -> str:
        """Say which rule a return breaks, "" if none.  Args: late: the call began in an aborted journal."""
        if rc >= 0:
            return "success in an aborted journal" if late and call in REFUSED else ""
        if rc == -EIO:
            if not self.failed:
                return "error out of nothing"
            limited = not (self.aborted and call in REFUSED)
            return "error told too often" if limited and self.told > TOLD_MAX * self.failed else ""
        if rc == -ENOMEM:
            return "" if self.record.marks.get(NO_PAGE) else "error out of nothing"
        if rc == -EROFS and call in REFUSED:
            return "" if self.aborted else "refused without an abort"
        return "errno of another call"

    def caught(self, rule: str, what: str, step: int, task: int, *points: str, **facts: int) -> None:
        who = self.record.task_name(task)
        told = f"{self.failed} transfers had failed, and errors were told {self.told} times"
        aborted = ", the journal was aborted" if self.aborted else ""
        self.evidence.add(
            rule, f"{what}; {told}{aborted}", (who, *points), step=step, task=who, failed=self.failed, told=self.told,
            **facts,
        )  # fmt: skip


def judge(record: Record) -> Judgement:
    """Compare what calls returned with what failed."""
    audit = _Audit(record)
    for step in record.steps(NOTE):
        task, _, kind, facts = record.events[step]
        audit.note(step, task, kind, facts)
    for mark in FAILURES if not audit.failed else ():
        if record.marks.get(mark):
            audit.evidence.add(
                "failure out of nothing", f"the kernel came to {mark!r}; no transfer had failed", (mark,), mark=mark
            )
    return audit.evidence.judgement(audit.checked + _log_errors(record, audit.evidence))


def _log_errors(record: Record, evidence: Evidence) -> int:
    """Judge the end of each commit whose log could not be written; count them."""
    remembered = record.lanes("Journal", "j_flags") or record.lanes("Journal", "j_errno")  # of before it had flags
    formatted = Formatted()
    failed: dict[int, int] = {}  # task that commits -> block of the log whose write failed meanwhile
    committing: set[int] = set()
    errno, checked = 0, 0
    for step in record.steps_on(remembered, WRITE, notes=("layout", "commit-begin", "io-end", "commit-end")):
        task, op, a, b = record.events[step]
        if op != NOTE:
            errno = b
        elif a == "layout":
            formatted.note(a, b)
        elif a == "commit-begin":
            committing.add(task)
        elif a == "io-end" and b[0] == "write" and b[2] and formatted.where(b[1])[0] == LOG:
            failed.update(dict.fromkeys(committing, b[1]))
        elif a == "commit-end":
            committing.discard(task)
            blocknr = failed.pop(task, None)
            checked += blocknr is not None
            if blocknr is not None and not errno:
                who = record.task_name(task)
                text = f"{who} ended a commit, could not write block {blocknr} of its log, and the journal goes on"
                evidence.add("error of the log forgotten", text, (who,), step=step, task=who, block=blocknr)
    return checked
