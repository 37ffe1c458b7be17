"""How tasks and runs end: children that are joined, bugs."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program
from tests.strategies.dpor_families.plain import increment, reads_x, y_then_x
from tests.strategies.dpor_programs import played


def _spawns(b: Box) -> None:
    child = rt.spawn(increment, b, name="child", cpu=2)
    b.x = b.x + 1
    rt.join(child)
    b.y = b.x


def _bugs(b: Box) -> None:
    rt.bug_on(b.x == 0, "x is 0")


def _mutex_twice(b: Box) -> None:
    """BUGGY on purpose: waits for itself."""
    rt.mutex_lock(b.mutex)
    rt.mutex_lock(b.mutex)


def _mutex_and_write(b: Box) -> None:
    rt.mutex_lock(b.mutex)
    b.x = 1


PROGRAMS: dict[str, Program] = {
    "spawn, join": played(_spawns, reads_x),
    "bug || mutex twice || mutex, write": played(_bugs, _mutex_twice, _mutex_and_write),
    "bug || write, write": played(_bugs, y_then_x),
}

AT_ONCE = {"spawn, join"}
