"""How runs end: children, daemons, bugs."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program, box
from tests.strategies.dpor_families.bits import sets_waiters
from tests.strategies.dpor_families.plain import increment, reads_x, sets_x, y_then_x
from tests.strategies.dpor_programs import played


def _spawns(b: Box) -> None:
    child = rt.spawn(increment, b, name="child", cpu=2)
    b.x = b.x + 1
    rt.join(child)
    b.y = b.x


def _bugs(b: Box) -> None:
    rt.bug_on(b.x == 0, "x is 0")


def main_reads_after_join() -> None:
    """A join of all others does not wait for the daemon."""
    with rt.fixed_order():
        b = box()
        rt.spawn(sets_x, b, name="daemon", cpu=1, daemon=True)
        rt.spawn(sets_waiters, b, name="t1", cpu=2)
    rt.join_others()
    _ = b.x


PROGRAMS: dict[str, Program] = {
    "spawn, join": played(_spawns, reads_x),
    "bug || write, write": played(_bugs, y_then_x),
    "daemon || task": played(sets_x, sets_waiters, daemons=(0,)),
    "daemon, main reads after join": main_reads_after_join,
}

AT_ONCE = {"spawn, join"}
