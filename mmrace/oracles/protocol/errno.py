"""Errno: a user is told an error only if there was one.

Rules: -EIO needs a transfer that failed before, and each failure is told at most `TOLD_MAX` times; -ENOMEM needs an
allocation that found no free page (a mark of the run); read(2), write(2) and fsync(2) return no other errno.  Nor does
the kernel go where a failed transfer leads it (marks of the run: FAILURES) if none failed.  Each call that returned was
looked at.  A commit ends with j_errno set if a block of its log could not be written: all later fsyncs are to be told.
Invariant: who is told is not asked: in 3.3 an error belongs to the mapping and the page, for whoever looks first.
Not checked: that every other failure is told to somebody; the kernel loses some.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.register import Formatted
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "errno"
EIO, ENOMEM = 5, 12
LOG = "log"  # the region of the disk
NO_PAGE = "alloc: no free page"
FAILURES = ("buffer: read error", "buffer: write error", "ext3: inode block unreadable")
TOLD_MAX = 3
"""Places that remember one failed transfer until somebody is told: the mapping, the page, the buffer."""
RETURNS = {
    "read-end": "read", "read-failed": "read", "write-end": "write", "write-failed": "write", "fsync-end": "fsync",
}  # fmt: skip
RC = {"read-failed": 2, "write-failed": 2, "fsync-end": 1}
"""Where a note of a return has what was returned; the others tell success."""


def judge(record: Record) -> Judgement:
    """Compare what calls returned with what failed."""
    evidence = Evidence(NAME)
    checked = failed = told = 0
    for step in record.steps(NOTE):
        task, _, kind, facts = record.events[step]
        if kind == "io-end":
            failed += bool(facts[2])
        if kind not in RETURNS:
            continue
        checked += 1
        rc = facts[RC[kind]] if kind in RC else 0
        if not isinstance(rc, int) or rc >= 0:
            continue
        told += rc == -EIO
        rule = ""
        if rc == -EIO:
            rule = "error out of nothing" if not failed else "error told too often" if told > TOLD_MAX * failed else ""
        elif rc == -ENOMEM:
            rule = "" if record.marks.get(NO_PAGE) else "error out of nothing"
        else:
            rule = "errno of another call"
        if rule:
            who, call = record.task_name(task), RETURNS[kind]
            text = f"{who}'s {call} returned {rc}; {failed} transfers had failed, and errors were told {told} times"
            evidence.add(rule, text, (who, call, str(rc)), step=step, task=who, rc=rc, failed=failed, told=told)
    for mark in FAILURES if not failed else ():
        if record.marks.get(mark):
            evidence.add(
                "failure out of nothing", f"the kernel came to {mark!r}; no transfer had failed", (mark,), mark=mark
            )
    return evidence.judgement(checked + _log_errors(record, evidence))


def _log_errors(record: Record, evidence: Evidence) -> int:
    """Judge the end of each commit whose log could not be written; count them."""
    remembered, formatted = record.lanes("Journal", "j_errno"), Formatted()
    failed: dict[int, int] = {}  # task that commits -> block of the log whose write failed meanwhile
    committing: set[int] = set()
    errno, checked = 0, 0
    for step in record.steps(NOTE, WRITE):
        task, op, a, b = record.events[step]
        if op != NOTE:
            if op >> SHIFT in remembered and op & KIND_MASK == WRITE:
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
                text = f"{who} ended a commit whose block {blocknr}, of the log, could not be written; j_errno is 0"
                evidence.add("error of the log forgotten", text, (who,), step=step, task=who, block=blocknr)
    return checked
