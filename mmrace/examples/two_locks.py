"""Two locks, taken in either order: a deadlock in few schedules, predicted from any.

mmrace explore mmrace/examples/two_locks.py:main --until-found       # BUGGY: ends in FAIL
mmrace explore mmrace/examples/two_locks.py:mended --exhaustive
"""

from __future__ import annotations

from mmrace import runtime as rt


class Table(rt.Struct):
    """A table with two forks."""

    left = rt.mutex()
    right = rt.mutex()


def eat(first: rt.Mutex, second: rt.Mutex) -> None:
    """Take two forks, one after the other; put them back."""
    rt.mutex_lock(first)
    rt.mutex_lock(second)
    rt.mutex_unlock(second)
    rt.mutex_unlock(first)


def main() -> None:
    """BUGGY: each takes the fork at hand first."""
    table = Table("table")
    rt.spawn(eat, table.left, table.right, name="one")
    rt.spawn(eat, table.right, table.left, name="other")
    rt.join_others()


def mended() -> None:
    """Both take the left fork first."""
    table = Table("table")
    rt.spawn(eat, table.left, table.right, name="one")
    rt.spawn(eat, table.left, table.right, name="other")
    rt.join_others()
