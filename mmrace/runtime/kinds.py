"""Op codes: what a task can be about to do at a point.

An op is one integer, ``lane << SHIFT | kind``.  A lane is one thing that two tasks can meet on (a field, a flag bit,
a word of data, a lock); odd kinds are write-like, so that two ops of different tasks are dependent exactly if
``(a ^ b) < 64 and (a | b) & 1``.  LOAD and STORE of a flag word concern every bit of it and
have a lane of their own: `Record` and searchers widen them.  Invariant: the numbers never change, records hold them.
"""

from __future__ import annotations

from enum import IntEnum

SHIFT = 6
KIND_MASK = (1 << SHIFT) - 1
NOTE = -1  # "op" of an event that is a remark, not an op


class Kind(IntEnum):
    """Kinds of op; odd ones write."""

    READ = 0
    WRITE = 1
    TEST = 2
    SET = 3
    LOAD = 4
    CLEAR = 5
    JOIN = 6
    TEST_AND_SET = 7
    YIELD = 8
    TEST_AND_CLEAR = 9
    CHOOSE = 10
    STORE = 11
    RETRY = 12
    ACQUIRE = 13
    COUNT = 14
    TRY = 15
    RELEASE = 17
    GET = 19
    PUT = 21
    GET_UNLESS_ZERO = 23
    FREEZE = 25
    UNFREEZE = 27
    QUEUE = 29
    SLEEP = 31
    WAKE = 33
    DEQUEUE = 35
    SPAWN = 37
    BEGIN = 39
    EXIT = 41
    IRQ = 43
    PREEMPT = 45
    ADD = 47


# The same as plain ints: arithmetic and comparison with an enum member cost several times as much, and every op does
# both.
READ, WRITE = int(Kind.READ), int(Kind.WRITE)
TEST, SET, CLEAR = int(Kind.TEST), int(Kind.SET), int(Kind.CLEAR)
TEST_AND_SET, TEST_AND_CLEAR = int(Kind.TEST_AND_SET), int(Kind.TEST_AND_CLEAR)
SETS, CLEARS = (SET, TEST_AND_SET), (CLEAR, TEST_AND_CLEAR)
LOAD, STORE = int(Kind.LOAD), int(Kind.STORE)
ACQUIRE, TRY, RELEASE = int(Kind.ACQUIRE), int(Kind.TRY), int(Kind.RELEASE)
COUNT, GET, PUT, GET_UNLESS_ZERO = int(Kind.COUNT), int(Kind.GET), int(Kind.PUT), int(Kind.GET_UNLESS_ZERO)
FREEZE, UNFREEZE = int(Kind.FREEZE), int(Kind.UNFREEZE)
QUEUE, SLEEP, WAKE, DEQUEUE = int(Kind.QUEUE), int(Kind.SLEEP), int(Kind.WAKE), int(Kind.DEQUEUE)
SPAWN, BEGIN, EXIT, JOIN = int(Kind.SPAWN), int(Kind.BEGIN), int(Kind.EXIT), int(Kind.JOIN)
YIELD, CHOOSE, RETRY = int(Kind.YIELD), int(Kind.CHOOSE), int(Kind.RETRY)
IRQ, PREEMPT, ADD = int(Kind.IRQ), int(Kind.PREEMPT), int(Kind.ADD)
OF_LIFE = sum(1 << kind for kind in (SPAWN, BEGIN, EXIT, JOIN, CHOOSE))
"""The kinds that a task has to itself, as a mask: it starts, joins or leaves others, or draws a value.  Whatever is
pending beside such an op commutes with it, unless a daemon may run: the end of a run does not wait for that."""


def dependent(a: int, b: int) -> bool:
    """Say whether two ops of different tasks touch the same lane and are not both reads."""
    return (a ^ b) <= KIND_MASK and bool((a | b) & 1)
