"""Whether a compaction could help an allocation, reckoned again from what somebody looked at: `compaction_suitable`.

Invariant: only the looks of who decided count, in their order, so that what others did meanwhile excuses.  Not checked:
anything; `slowpath.py` judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

EXTFRAG_THRESHOLD = 500
"""From this fragmentation index on compaction helps more than reclaim does."""
NONE_FAILS = -1000
"""The index of a zone in which a block that is large enough is free."""
CONTINUE, SKIPPED, PARTIAL, UNSEEN = "continue", "skipped", "partial", "unseen"


class Look(NamedTuple):
    """A number that was read.  `order`: of free blocks of this order; -1: of free pages in all."""

    order: int
    number: int


class _Missing(Exception):
    """Somebody did not look at what decides."""


def suitable(looks: Sequence[Look], order: int, low: int, max_order: int) -> tuple[str, int]:
    """Say what these looks say of a compaction for blocks of `order`, and how many of them it takes to say so.

    CONTINUE: it could help; SKIPPED: it could not; PARTIAL: a block is free; UNSEEN: too little was looked at.
    Args: low: the watermark; max_order: of the largest blocks.
    """
    rest = iter(looks)
    left = list(looks)

    def next_of(kind: int) -> int:
        look = next(rest, None)
        if look is None or look.order != kind:
            raise _Missing
        left.pop(0)
        return look.number

    mark = low + (2 << order)
    try:
        if next_of(-1) <= mark:
            return SKIPPED, len(looks) - len(left)
        index = _index(order, [next_of(number) for number in range(max_order + 1)])
        if 0 <= index <= EXTFRAG_THRESHOLD:
            said = SKIPPED
        elif index != NONE_FAILS:
            said = CONTINUE
        else:
            below = map(next_of, range(order))
            said = PARTIAL if _leaves(order, mark, next_of(-1), below) else CONTINUE
    except _Missing:
        return UNSEEN, len(looks)
    return said, len(looks) - len(left)


def _index(order: int, free: list[int]) -> int:
    """Return the fragmentation index of a zone with so many free blocks of each order."""
    blocks = sum(free)
    if not blocks:
        return 0
    if any(free[order:]):
        return NONE_FAILS
    pages = sum(number << below for below, number in enumerate(free))
    return 1000 - (1000 + pages * 1000 // (1 << order)) // blocks


def _leaves(order: int, mark: int, free: int, below: Iterator[int]) -> bool:
    """Say whether an allocation leaves what is kept, and enough of it in large blocks."""
    left = free - (1 << order) + 1
    for number in range(order):
        if left <= mark:
            return False
        left -= next(below) << number
        mark >>= 1
    return left > mark
