"""Waits that are no locks, and who has to act before they end: what a judge of lock order needs to know of a record.

Somebody who waits for the end of a task, for a completion, for a lock that its I/O will drop, for a bit such as "under
writeback", waits for a task that is to bring that.  It *owes* it, as the holder of a lock owes its release: a task its
end, from its start on; who completes a completion that, from its start or from the last time it was begun anew; who
clears a bit that another set or handed over, from then on, or from its own start if that comes later.  A program has
more of them: it tells who owes what, and who waits, step by step (`Told`).

Invariant: who owes is read off the record: it is whoever brought it.  Of a wait that nobody ended nobody is known.  Not
here: a plain wait queue, whose condition may be anything; interrupts that wait for their CPU.
Source: Documentation/locking/crossrelease.txt, v4.14.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from mmrace.oracles.general.locks import lock_bits
from mmrace.runtime.kinds import CLEAR, QUEUE, TEST_AND_CLEAR, WRITE
from mmrace.runtime.record import Record


class Deed(Enum):
    """What a task does about a wait that is no lock."""

    OWES = "owes"
    BRINGS = "brings"
    WANTS = "wants"


class Told(NamedTuple):
    """A program says what an event means.

    `lane`: a number below `first_free`, or the lane of a count or a bit in `Waits`.  `queue`: where the task would
    sleep (-1: unknown).  `dropped`: locks that it does not hold while it sleeps.
    """

    task: int
    deed: Deed
    lane: int
    queue: int = -1
    dropped: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Waits:
    """What a program says of its own waits.

    Attributes:
        opened: lane of a count of those who hold something open -> lanes of the locks that who has to wait for them
            drops first.  A task that counts itself in might have had to wait for the others; it holds until it counts
            itself out.
        told: step -> what that event means, in order, before what every program means by it.
        bits: lanes of bits that somebody may wait for, though nobody slept.
        names: of the lanes that are told of, for people.
    """

    opened: Mapping[int, Collection[int]] = field(default_factory=dict)
    told: Mapping[int, Sequence[Told]] = field(default_factory=dict)
    bits: Collection[int] = ()
    names: Mapping[int, str] = field(default_factory=dict)


NO_MORE = Waits()


TURN = 1 << 40  # more than there are lanes: what tells the times apart for which a completion is waited for


def end_of(task: int) -> int:
    """Return the lane of a task's end."""
    return -1 - task


def first_free(record: Record) -> int:
    """Return the number from which on, downwards, a program numbers what it tells of."""
    return -1 - len(record.tasks)


class Promises:
    """Who will bring what, in one record.

    Attributes: bits: lanes of the bits, no locks, that somebody slept for on their own queue, or that a program tells
    of (`waited`).  completions: lane of each completion -> its name.  queues: lane of a completion's queue -> that of
    the completion.
    """

    def __init__(self, record: Record, waited: Collection[int] = ()) -> None:
        self.record = record
        self.waited = waited
        self.completions = record.lanes("Completion", "done")
        by_name = {name: lane for lane, name in self.completions.items()}
        queues = record.lanes("Completion", "queue") if by_name else {}
        self._steps: dict[int, list[int]] = {}
        self.queues = {queue: by_name[name] for queue, name in queues.items() if name in by_name}

    @cached_property
    def bits(self) -> frozenset[int]:
        """See the class."""
        record, found = self.record, set(self.waited)
        for queue in record.steps_by_lane(QUEUE):
            cls, owner, key, sub = record.lane(queue) or ("", "", "", "")
            bit, dot, _ = sub.rpartition(".queue")
            if dot:
                found |= {lane for lane, name in record.bit_lane(cls, key, bit).items() if name == owner}
        return frozenset(found) - lock_bits(record).lanes

    def bringer(self, lane: int, step: int) -> int | None:
        """Return who is the next to clear or to complete `lane` after `step`; None if nobody did."""
        steps = self._brought(lane)
        i = bisect_right(steps, step)
        return self.record.events[steps[i]][0] if i < len(steps) else None

    def _brought(self, lane: int) -> list[int]:
        """Return the steps at which somebody cleared or completed `lane`."""
        found = self._steps.get(lane)
        if found is None:
            record, events = self.record, self.record.events
            completed = record.steps_on((lane,), WRITE) if lane in self.completions else ()
            found = [step for step in record.steps_on((lane,), CLEAR, TEST_AND_CLEAR) if events[step][2]]
            found = self._steps[lane] = sorted([*found, *(step for step in completed if events[step][3])])
        return found
