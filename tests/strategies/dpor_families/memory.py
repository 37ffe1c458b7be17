"""Memory that is freed while others look."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program
from tests.strategies.dpor_families.bits import bit_spun
from tests.strategies.dpor_families.plain import reads_x
from tests.strategies.dpor_programs import played


def _frees_perhaps(b: Box) -> None:
    if rt.choose(2) == 0:
        rt.poison(b)


def frees(b: Box) -> None:
    """Free the box."""
    rt.poison(b)


PROGRAMS: dict[str, Program] = {
    "choose frees || read": played(_frees_perhaps, reads_x),
    "shared CPU, bit spinlock || free": played(bit_spun, frees, cpus=(1, 1)),
    "free || read": played(frees, reads_x),
}
