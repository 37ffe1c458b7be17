"""Errno: a user is told an error only if there was one.

Rules: -EIO needs a transfer that failed before, and each failure is told at most `TOLD_MAX` times; -ENOMEM needs an
allocation that found no free page (a mark of the run); read(2), write(2) and fsync(2) return no other errno.  Nor does
the kernel go where a failed transfer leads it (marks of the run: FAILURES) if none failed.  Each call that returned was
looked at.
Invariant: who is told is not asked: in 3.3 an error belongs to the mapping and the page, for whoever looks first.
Not checked: that every failure is told to somebody; the kernel loses some.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record

NAME = "errno"
EIO, ENOMEM = 5, 12
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
    return evidence.judgement(checked)
