"""Values that the search chooses."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program
from tests.strategies.dpor_families.plain import reads_x
from tests.strategies.dpor_programs import played


def _chooses(b: Box) -> None:
    b.x = 1 + rt.choose(3)


PROGRAMS: dict[str, Program] = {
    "choose": played(_chooses, reads_x, _chooses),
}

AT_ONCE = {"choose"}
