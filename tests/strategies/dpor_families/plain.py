"""Plain accesses only."""

from __future__ import annotations

from tests.runtime.engines import Box, Program
from tests.strategies.dpor_programs import played


def increment(b: Box) -> None:
    """Read x, write one more."""
    b.x = b.x + 1


def sets_x(b: Box) -> None:
    """Write x."""
    b.x = 1


def reads_x(b: Box) -> None:
    """Read x."""
    _ = b.x


def y_then_x(b: Box) -> None:
    """Write y, then x."""
    b.y = 1
    b.x = 1


def _w_z_w_y(b: Box) -> None:
    b.link = 1
    b.y = 1


def _r_z_r_y_r_x(b: Box) -> None:
    if b.link and b.y == 0:
        _ = b.x


PROGRAMS: dict[str, Program] = {
    "lost update": played(increment, increment),
    "Wx || Wz;Wy || if Rz: if Ry==0: Rx": played(sets_x, _w_z_w_y, _r_z_r_y_r_x),
}

AT_ONCE = {"Wx || Wz;Wy || if Rz: if Ry==0: Rx"}
