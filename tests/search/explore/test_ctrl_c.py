"""Ctrl-C at any moment of a walk is Ctrl-C: no bug of mmrace, no finding, nobody who hears nothing of it.

Python takes a signal where a function begins and after a call.  There profile functions are called too, and so each
such moment of a run has its turn here.
"""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from types import FrameType

import pytest

from mmrace import runtime as rt
from mmrace.installed import MAKERS
from mmrace.runs import foreign
from mmrace.runs.functions import KIND, FunctionMaker
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.search.explore.walk import Walk
from mmrace.strategies import registry

WALK = "dpor"
MOMENTS_MIN = 50  # in a run worth the name


class Bits(IntEnum):
    """Bits of a cell."""

    LOCKED = 0


class Cell(rt.Struct):
    """What is made piece by piece."""

    x = rt.shared(0)
    flags = rt.flag_word(Bits, waitable=(Bits.LOCKED,))
    lock = rt.mutex()


def _add(cell: Cell) -> None:
    rt.mutex_lock(cell.lock)
    cell.x += 1
    rt.set_bit(cell.flags, Bits.LOCKED)
    rt.mutex_unlock(cell.lock)


def passes() -> None:
    """Two tasks, in one order or the other."""
    cell = Cell("cell")
    rt.spawn(_add, cell)
    _add(cell)
    rt.join_others()


def fails() -> None:
    """BUGGY: the assertion is wrong in every schedule."""
    cell = Cell("cell")
    rt.spawn(_add, cell)
    _add(cell)
    rt.join_others()
    if cell.x:
        raise AssertionError  # without pytest's words for an `assert`: they ask the environment, by a generator


def moments(program: Program, spec: RunSpec, at: int = -1) -> int:
    """Make two runs of a walk, and let Ctrl-C come at a moment of the second; return how many it has."""
    visits = iter(Walk(program, spec, registry.walk(WALK)))
    next(visits)
    numbers = count()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        yields = event == "return" and frame.f_code.co_flags & inspect.CO_GENERATOR
        last = frame.f_code.co_qualname == "remove"  # in a `finally`: after it there is nothing left to interrupt
        if event != "c_call" and not yields and not last and next(numbers) == at:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(profile)
    try:
        next(visits, None)
    finally:
        sys.setprofile(None)
    return next(numbers)


def interrupted_everywhere(program: Program, spec: RunSpec, step: int) -> None:
    moments(program, spec)  # what is made once only
    number, raised = moments(program, spec), 0
    for at in range(0, number, step):
        try:
            assert moments(program, spec, at) <= at, "it came, and nobody heard of it"
        except KeyboardInterrupt:
            raised += 1
        assert foreign._watch.engine is None
    assert raised > 0.9 * number / step > MOMENTS_MIN, "a run that greenlets are made for anew has some moments less"
    moments(program, spec)


@pytest.mark.slow
@pytest.mark.parametrize("main", [passes, fails])
def test_ctrl_c_at_any_moment_of_a_function_is_raised(main: Callable[[], None]) -> None:
    spec = RunSpec("here:main", engine="fiber", strategy=WALK, promote="all", maker=KIND)
    interrupted_everywhere(FunctionMaker({"here:main": main}).program(spec), spec, step=3)


@pytest.mark.slow
def test_ctrl_c_at_a_moment_of_the_protocol_is_raised() -> None:
    params = (("idle", 0), ("migrations", 1), ("pages", 1), ("rounds", 1))
    spec = RunSpec("async-vs-commit", params, engine="fiber", strategy=WALK, promote="all")
    interrupted_everywhere(MAKERS.program(spec), spec, step=1499)
