"""Claim C0: the journal commit works on data buffers while their page is not locked by it."""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look at each data buffer that a commit submits: does the commit hold its page's lock?"""
    seen, found = scene(record), Instances()
    for submit in seen.submits:
        if not (submit.commit and submit.data):
            continue
        found.test()
        holder = seen.locked_by(submit.page, submit.step)
        if holder == submit.task:
            continue
        who = seen.who(submit.task)
        locked = "nobody has it locked" if holder is None else f"{seen.who(holder)} has it locked"
        found.decide(
            f"{who} submits {submit.buffer} of {submit.page}; {locked}",
            submit.step,
            task=who, buffer=submit.buffer, page=submit.page,
            page_locked_by=None if holder is None else seen.who(holder),
            under_writeback=seen.under_writeback(submit.page, submit.step),
        )  # fmt: skip
    return found


CLAIM = Claim("C0", (
    Part(
        "C0", "the commit locks data buffers and works on them without the page lock",
        "a data buffer that a commit submits while it does not hold the lock of the buffer's page; instance: a submit",
        check, exists=True,
    ),
))  # fmt: skip
