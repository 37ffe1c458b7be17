"""Claim C4: the journal commit takes at least the buffer lock.

Four parts, for it does so for some buffers only: data that it writes; data that need no write, which it moves between
its lists; metadata, whose log I/O reads the original's page through another buffer; and what makes the claim good
enough: what a commit's I/O reads of a file's pages it reads under the lock of the buffer that the words belong to.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.scene import scene
from mmrace.runtime.kinds import READ, SHIFT, WRITE
from mmrace.runtime.record import Record


def check_submits(record: Record) -> Instances:
    """Look at each data buffer that a commit submits: did the commit lock it?"""
    seen, found = scene(record), Instances()
    for submit in seen.submits:
        if not (submit.commit and submit.data):
            continue
        found.test()
        if seen.buffer_locked_by(submit.buffer, submit.step) != submit.task:
            who = seen.who(submit.task)
            title = f"{who} submits {submit.buffer} without having locked it"
            found.decide(title, submit.step, task=who, buffer=submit.buffer, page=submit.page)
    return found


def check_moves(record: Record) -> Instances:
    """Look at each buffer that a commit takes off the list of data: is it locked by the commit?"""
    seen, found = scene(record), Instances()
    lists, buffers = record.lanes("JournalHead", "b_jlist"), record.lanes("JournalHead", "b_bh")
    of: dict[str, str] = {}  # journal head -> buffer
    for step in record.steps(WRITE):
        task, op, old, new = record.events[step]
        lane = op >> SHIFT
        if lane in buffers:
            of[buffers[lane]] = str(record.name(new))
        elif lane in lists and record.name(old) == "BJ_SyncData" and seen.in_commit(task, step):
            found.test()
            buffer = of.get(lists[lane], "")
            if seen.buffer_locked_by(buffer, step) != task:
                who = seen.who(task)
                title = f"{who} takes {buffer} off the list of data without its lock"
                found.decide(title, step, task=who, buffer=buffer, journal_head=lists[lane])
    return found


def check_metadata(record: Record) -> Instances:
    """Look at each submit of a log buffer that stands for another one: did the commit lock that page's own buffers?"""
    seen, found = scene(record), Instances()
    for submit in seen.submits:
        if not submit.commit or not submit.ring or submit.buffer in submit.ring:
            continue
        found.test()
        locked = [bh for bh in submit.ring if seen.buffer_locked_by(bh, submit.step) == submit.task]
        if not locked:
            who = seen.who(submit.task)
            found.decide(
                f"{who} has {submit.page} written to the log through {submit.buffer}; it locked none of its ring",
                submit.step, task=who, alias=submit.buffer, page=submit.page, ring=list(submit.ring),
            )  # fmt: skip
    return found


def check_data(record: Record) -> Instances:
    """Look at each data word that a commit, or its I/O of a file's buffer, reads: is that buffer's lock held?"""
    seen, found = scene(record), Instances()
    ios = {submit.io: submit for submit in seen.submits if submit.commit and submit.data and submit.io >= 0}
    for step in record.steps(READ):
        task, op, _, _ = record.events[step]
        submit = ios.get(task)
        word = seen.words.get(op >> SHIFT) if submit is not None else None
        if submit is None or word is None:
            continue
        found.test()
        span = seen.holds.at(seen.buffer_lock.get(submit.buffer, -1), step)
        if span is None or span.handed > step:
            who = seen.who(task)
            title = f"{who} reads word {word[1]} of {word[0]} though {submit.buffer} is not locked for it"
            found.decide(title, submit.step, step, task=who, buffer=submit.buffer, page=word[0])
    return found


CLAIM = Claim("C4", (
    Part(
        "C4", "the commit takes the buffer lock of the data that it writes",
        "a data buffer that a commit hands to its I/O is locked by the commit; instance: a submit", check_submits,
    ),
    Part(
        "C4b", "... and of every data buffer that it handles",
        "a buffer that a commit takes off the list of data is locked by the commit; instance: a move", check_moves,
        expected="false",
    ),
    Part(
        "C4c", "... and of the metadata that it logs",
        "where a log buffer reads another buffer's page, the commit has that one locked; instance: a submit",
        check_metadata, expected="false",
    ),
    Part(
        "C4+", "good enough: file data are read by the commit's I/O under the lock of their buffer only",
        "each data word read by I/O of a commit is read while the lock of its buffer is that I/O's; instance: a word",
        check_data,
    ),
))  # fmt: skip
