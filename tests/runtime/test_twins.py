"""`gate.py` and `fiber.py` have the same `point` and `gated`, but for the lines that hand the floor over.

A call for what they share would cost a tenth of a point, so it stands there twice, and this keeps it equal.
"""

from __future__ import annotations

import inspect

import pytest

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.gate import GateEngine

HANDS_OVER = {
    GateEngine: ["wait = task.baton.acquire", "chosen.baton.release()", "wait()"],
    FiberEngine: ["chosen.baton.switch()"],
}


def shared_lines(engine: type[Controlled], method: str) -> list[str]:
    """Return a method's lines; those that hand the floor over, which must be there once and together, as one."""
    lines = [line.strip() for line in inspect.getsource(getattr(engine, method)).splitlines()]
    own = HANDS_OVER[engine]
    (at,) = [i for i in range(len(lines)) if lines[i : i + len(own)] == own]
    return [*lines[:at], "(hand over)", *lines[at + len(own) :]]


@pytest.mark.parametrize("method", ["point", "gated"])
def test_both_engines_have_the_same_lines(method: str) -> None:
    assert shared_lines(GateEngine, method) == shared_lines(FiberEngine, method)
