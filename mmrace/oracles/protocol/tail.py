"""The log's tail: when all is at rest, the superblock on the medium says where the log begins.

A tail that moved gives blocks of the log back; recovery that begins at the old one finds what overwrote them.
Invariant: a superblock counts once its write has ended; one whose write failed excuses, for the kernel asks no more.
Not checked: that it is there before the blocks are used again; in 3.3 it need not be.
"""

from __future__ import annotations

from typing import NamedTuple

from mmrace.runtime.kinds import NOTE, WRITE
from mmrace.runtime.record import Record

SUPERBLOCK = "superblock"  # what a note "log-block" calls it


class Untold(NamedTuple):
    """The tail moved at `step` to transaction `tid`, and the newest superblock on the medium names `told`."""

    step: int
    task: int
    tid: int
    told: int | None


def untold_tail(record: Record) -> tuple[int, Untold | None]:
    """Return how often the tail moved, and the last time if the superblock does not say so in the end."""
    tails = record.lanes("Journal", "j_tail_sequence")
    moved: list[tuple[int, int, int]] = []
    composed: dict[int, int] = {}  # block -> tid that it names, until its write ends
    told: int | None = None
    judged = bool(tails) and record.end.get("how") == "finished"
    for step in record.steps_on(tails, WRITE, notes=("log-block", "io-end")) if judged else ():
        task, op, a, b = record.events[step]
        if op == NOTE:
            if a == "log-block" and b[1] == SUPERBLOCK:
                composed[b[0]] = b[2]
            elif a == "io-end" and b[0] == "write" and b[1] in composed:
                told = composed.pop(b[1])
                if b[2]:
                    return len(moved), None
        elif a != b:
            moved.append((step, task, b))
    if not moved or told == moved[-1][2]:
        return len(moved), None
    return len(moved), Untold(*moved[-1], told)
