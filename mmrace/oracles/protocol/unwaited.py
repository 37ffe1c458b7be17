"""Attempts at pages under writeback: who finds PG_writeback set waits for it or gives up, and tries no move.

A migrator has the page lock, so the bit cannot come back once it saw it clear; that it is clear at the move without a
second look, or that a reference stops the move, is luck.
Not checked: others who must wait before they change a page; what they do then shows in other rules.
"""

from __future__ import annotations

from typing import NamedTuple

from mmrace.runtime.kinds import COUNT, FREEZE, KIND_MASK, NOTE, SHIFT, TEST
from mmrace.runtime.record import Record

_TRIES = frozenset({COUNT, FREEZE})
"""What a move begins with: it compares the page's count with what it expects."""


class Unwaited(NamedTuple):
    """A move that was tried at `step`, after a look at `since` that found the page under writeback."""

    step: int
    since: int
    task: int
    page: str


def unwaited_moves(record: Record) -> tuple[int, list[Unwaited]]:
    """Return how often a task found a page under writeback, and each move that it tried all the same."""
    writeback = record.bit_lane("Page", "flags", "PG_writeback")
    counts = {page: lane for lane, page in record.lanes("Page", "_count").items()}
    looks = [step for step in record.steps_on(writeback, TEST) if record.events[step][2]]
    tried = (_tried(record, step, counts) for step in looks)
    return len(looks), [one for one in tried if one is not None]


def _tried(record: Record, since: int, counts: dict[str, int]) -> Unwaited | None:
    """Follow a task that found a page under writeback: to its next look, or to the end of its attempt."""
    task, look, _, _ = record.events[since]
    page = record.bit_lane("Page", "flags", "PG_writeback")[look >> SHIFT]
    tried: Unwaited | None = None
    for step in range(since + 1, len(record.events)):
        who, op, a, facts = record.events[step]
        if who != task:
            continue
        if op == NOTE:
            if a == "migrate-end":
                return tried if record.name(facts[0]) == page else None
            if a == "migrate-begin":
                return None
        elif op == look:
            return None
        elif tried is None and op & KIND_MASK in _TRIES and op >> SHIFT == counts.get(page):
            tried = Unwaited(step, since, task, page)
    return None
