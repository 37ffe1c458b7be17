"""The heart tells how many ops the run in progress has done, under every engine, and costs no run anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.search.pool.heart import OPS, Heart
from tests.runtime.engines import Outcome, box, fiber, free, gate


@pytest.mark.parametrize("on", [fiber, gate, free])
def test_each_op_of_a_run_moves_what_the_heart_tells(on: Callable[..., Outcome]) -> None:
    pulse = [0, 0, 0, 0]
    heart, told = Heart(pulse), []

    def main() -> None:
        shared = box()
        for number in range(3):
            shared.x = number
            rt.schedule()
            heart.beat()
            told.append(pulse[OPS])

    on(main)
    assert told == sorted(set(told)) and len(told) == 3


def test_without_a_run_it_tells_nothing_new() -> None:
    pulse = [0, 0, 0, 7]
    Heart(pulse).beat()
    assert pulse == [0, 0, 0, 7]
