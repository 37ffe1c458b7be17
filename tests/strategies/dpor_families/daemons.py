"""Daemons: the run does not wait for them, but a standstill comes only when they too can do no more."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program, box
from tests.strategies.dpor_families.bits import sets_waiters
from tests.strategies.dpor_families.plain import sets_x
from tests.strategies.dpor_programs import played


def _locks_and_counts(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    b.x = b.x + 1
    rt.mutex_unlock(b.mutex)


def _locks_and_keeps(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    b.x = b.x + 10


def _sets_y(b: Box) -> None:
    b.y = 1


def main_reads_after_join() -> None:
    """A join of all others does not wait for the daemon."""
    with rt.fixed_order():
        b = box()
        rt.spawn(sets_x, b, name="daemon", cpu=1, daemon=True)
        rt.spawn(sets_waiters, b, name="t1", cpu=2)
    rt.join_others()
    _ = b.x


def main_reads_in_fixed_order() -> None:
    """What the daemon does after the join, main does not see."""
    with rt.fixed_order():
        b = box()
        rt.spawn(sets_x, b, name="daemon", cpu=1, daemon=True)
        rt.spawn(sets_waiters, b, name="t1", cpu=2)
    rt.join_others()
    with rt.fixed_order():
        _ = b.x


PROGRAMS: dict[str, Program] = {
    "daemon || task": played(sets_x, sets_waiters, daemons=(0,)),
    "daemon, main reads after join": main_reads_after_join,
    "daemon, main reads in fixed order": main_reads_in_fixed_order,
    "daemon || mutex kept || mutex || mutex": played(
        _sets_y, _locks_and_keeps, _locks_and_counts, _locks_and_counts, daemons=(0,), cpus=(None, 1, 2, 3)
    ),
    "daemon || mutex kept || mutex": played(
        _sets_y, _locks_and_keeps, _locks_and_counts, daemons=(0,), cpus=(None, 1, 2)
    ),
}

AT_ONCE = {"daemon || mutex kept || mutex || mutex"}
