"""Make a failing list smaller: shrinkers that know neither engines nor schedules.

Each takes a tuple of items and a test that says whether the failure is still there, and returns a tuple that fails too
and is no worse.  Whoever tests decides what failing means, and remembers what was tried: a shrinker may ask twice.
Invariant: what comes back failed when it was tested, if what went in does; a shrinker that ends has tried all that it
says it tries.  A test may raise to stop everything; what failed last is then known to whoever tests.

Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002 (ddmin); the shape is that of
Hypothesis' `conjecture/shrinking`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Fails: TypeAlias = Callable[[tuple[T, ...]], bool]
"""Says whether a list still fails."""


def fewer(items: tuple[T, ...], fails: Fails[T]) -> tuple[T, ...]:
    """Leave out as many items as possible: none at all, then large runs of them, then single ones.

    Later ones are tried first, for what comes after the failure costs nothing to leave out, and what comes before it
    moves all that follows.  At the end no single item can be left out.
    """
    if not items or fails(()):
        return ()
    size = max(len(items) // 2, 1)
    while True:
        smaller = _without_runs(items, size, fails)
        if size > 1:
            size = min(size, max(len(smaller), 2)) // 2
        elif len(smaller) == len(items):
            return smaller
        items = smaller


def _without_runs(items: tuple[T, ...], size: int, fails: Fails[T]) -> tuple[T, ...]:
    """Leave out runs of `size` items, from the last one on, where that still fails."""
    end = len(items)
    while end > 0:
        begin = max(end - size, 0)
        rest = items[:begin] + items[end:]
        if rest and fails(rest):  # nothing at all was tried already
            items = rest
        end = begin
    return items


def without_groups(items: tuple[T, ...], fails: Fails[T], size: int = 2) -> tuple[T, ...]:
    """Leave out any `size` items at once, wherever they stand: those that only make sense together."""
    again = True
    while again and len(items) >= size:
        again = False
        for left_out in combinations(range(len(items)), size):
            rest = tuple(item for place, item in enumerate(items) if place not in left_out)
            if fails(rest):
                items, again = rest, True
                break
    return items


def merged(items: tuple[T, ...], merges: Callable[[T, T], Iterable[T]], fails: Fails[T]) -> tuple[T, ...]:
    """Put one item in place of two, where that still fails.  Args: merges: what could stand for two neighbours."""
    place = 0
    while place + 1 < len(items):
        for one in merges(items[place], items[place + 1]):
            rest = (*items[:place], one, *items[place + 2 :])
            if fails(rest):
                items = rest
                break
        else:
            place += 1
    return items


def replaced(items: tuple[T, ...], others: Callable[[T], Iterable[T]], fails: Fails[T]) -> tuple[T, ...]:
    """Put the first other item that still fails in the place of each.  Args: others: simpler ones, the best first."""
    for place in range(len(items)):
        for other in others(items[place]):
            rest = (*items[:place], other, *items[place + 1 :])
            if fails(rest):
                items = rest
                break
    return items


def lower(value: int, low: int, fails: Callable[[int], bool]) -> int:
    """Return a number from `low` to `value` that still fails, such that the next lower one does not.

    The lowest one is tried first; then the distance is halved, as if all above some number failed.
    """
    if value <= low or fails(low):
        return min(value, low)
    passes = low
    while value - passes > 1:
        middle = (value + passes) // 2
        if fails(middle):
            value = middle
        else:
            passes = middle
    return value
