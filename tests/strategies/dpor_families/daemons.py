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


def _tries_and_keeps(b: Box) -> None:
    if rt.mutex_trylock(b.mutex):
        b.y = b.x


def _waits_for_ever(b: Box) -> None:
    rt.spin_lock(b.spin)


def main_has_an_idle_daemon() -> None:
    """The daemon can do nothing; that it lives must not matter to those who stand still or do not."""
    with rt.fixed_order():
        b = box()
        rt.spin_lock(b.spin)
        rt.spawn(_waits_for_ever, b, name="daemon", cpu=None, daemon=True)
        for number, body in enumerate((_locks_and_counts, _tries_and_keeps, _locks_and_counts)):
            rt.spawn(body, b, name=f"t{number}", cpu=None)
    rt.join_others()


def _sets_y(b: Box) -> None:
    b.y = 1


def _spawns(b: Box) -> None:
    rt.spawn(sets_x, b, name="child", cpu=None)


def _spawns_a_sleeper(b: Box) -> None:
    rt.spawn(_sleeps, b, name="child", cpu=None)


def _sleeps(b: Box) -> None:
    rt.sleep_on(rt.prepare_to_wait(b.queue, None))


def main_waits_for_a_daemons_child() -> None:
    """A child that a daemon spawns in time is waited for, by who joins and by the end of the run."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_spawns, b, name="daemon", cpu=None, daemon=True)
    rt.spawn(_sets_y, b, name="t1", cpu=None)
    rt.join_others()
    _ = b.x


def main_works_before_it_joins() -> None:
    """If the child, which never ends, is born before main looks who lives, main waits for it and never reads."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_spawns_a_sleeper, b, name="daemon", cpu=None, daemon=True)
    b.y = 1
    rt.join_others()
    _ = b.x


def main_does_not_join() -> None:
    """The last exit ends the run, unless a daemon's child, which never ends, is born before it."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_spawns_a_sleeper, b, name="daemon", cpu=None, daemon=True)
        rt.spawn(_sets_y, b, name="t1", cpu=1)


def main_waits_in_vain() -> None:
    """The daemon's child never ends: only a join before its birth comes to an end."""
    with rt.fixed_order():
        b = box()
        rt.spawn(_spawns_a_sleeper, b, name="daemon", cpu=None, daemon=True)
        rt.spawn(_sets_y, b, name="t1", cpu=1)
    rt.join_others()


def main_reads_in_fixed_order() -> None:
    """What the daemon does after the join, main does not see."""
    with rt.fixed_order():
        b = box()
        rt.spawn(sets_x, b, name="daemon", cpu=1, daemon=True)
        rt.spawn(sets_waiters, b, name="t1", cpu=2)
    rt.join_others()
    with rt.fixed_order():
        _ = b.x


def main_reads_after_join() -> None:
    """A join of all others does not wait for the daemon."""
    with rt.fixed_order():
        b = box()
        rt.spawn(sets_x, b, name="daemon", cpu=1, daemon=True)
        rt.spawn(sets_waiters, b, name="t1", cpu=2)
    rt.join_others()
    _ = b.x


def _reads_and_spawns_a_daemon(b: Box) -> None:
    if b.x:
        rt.spawn(_sets_y, b, name="daemon", cpu=None, daemon=True)


PROGRAMS: dict[str, Program] = {
    "daemon || task": played(sets_x, sets_waiters, daemons=(0,)),
    "daemon, main reads after join": main_reads_after_join,
    "daemon, main reads in fixed order": main_reads_in_fixed_order,
    "daemon spawns, main joins and reads": main_waits_for_a_daemons_child,
    "daemon spawns, main works, joins and reads": main_works_before_it_joins,
    "daemon spawns, main does not join": main_does_not_join,
    "daemon spawns, main waits for it in vain": main_waits_in_vain,
    "daemon spawned perhaps": played(_reads_and_spawns_a_daemon, sets_x, cpus=(1, 2)),
    "idle daemon || mutex || try, kept || mutex": main_has_an_idle_daemon,
    "daemon || mutex kept || mutex || mutex": played(
        _sets_y, _locks_and_keeps, _locks_and_counts, _locks_and_counts, daemons=(0,), cpus=(None, 1, 2, 3)
    ),
    "daemon || mutex kept || mutex": played(
        _sets_y, _locks_and_keeps, _locks_and_counts, daemons=(0,), cpus=(None, 1, 2)
    ),
}

AT_ONCE = {"daemon || mutex kept || mutex || mutex", "idle daemon || mutex || try, kept || mutex"}

CLASSES = [name for name in PROGRAMS if name.endswith(("mutex", "perhaps"))]
"""Programs in which the class is a matter of lanes and daemons alone."""
