"""Neighbours of a schedule: they meet what it only just misses, and leave alone what the program fixes."""

from __future__ import annotations

import random

import pytest

from mmrace import runtime as rt
from mmrace.strategies.guided import Guided, Preemption, preemptions_of
from mmrace.strategies.near import Near
from tests.runtime.engines import Outcome, Program, box, fiber

NEIGHBOURS = 40


def half_mended(rounds: int) -> Program:
    """BUGGY: in its first round the task `a` is safe, in each later one it is seen half way."""

    def main() -> None:
        shared = box()

        def careful() -> None:
            for i in range(rounds):
                shared.y = i
                shared.y = 0

        def hasty() -> None:
            rt.bug_on(shared.y > 0, "seen half way")

        with rt.fixed_order():
            shared.x = 1
            shared.x = 2
        rt.spawn(careful, name="a", cpu=1)
        rt.spawn(hasty, name="b", cpu=2)

    return main


TURNS = [Preemption("main", "BEGIN", 7, "a"), Preemption("a", "careful:y", 1, "b")]
"""It was seen in the first round, before that was mended."""


def neighbour(seed: int, main: Program) -> Outcome:
    return fiber(main, Near(random.Random(seed).random, TURNS), sites=True)


def test_a_bug_that_the_schedule_itself_misses_now_is_met_beside_it() -> None:
    assert fiber(half_mended(2), Guided(TURNS), sites=True).how == "finished"
    hows = [neighbour(seed, half_mended(2)).how for seed in range(NEIGHBOURS)]
    assert set(hows) == {"finished", "violation"}


def test_without_the_bug_no_neighbour_fails() -> None:
    assert {neighbour(seed, half_mended(1)).how for seed in range(NEIGHBOURS)} == {"finished"}


def test_the_same_draws_give_the_same_neighbour_and_others_others() -> None:
    def events(seed: int) -> list[object]:
        return list(neighbour(seed, half_mended(1)).record.events)

    assert events(1) == events(1)
    assert len({str(events(seed)) for seed in range(NEIGHBOURS)}) > 2


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_added_where_the_program_fixes_the_order(seed: int) -> None:
    def main() -> None:
        shared = box()

        def touch() -> None:
            for _ in range(20):
                _ = shared.x

        with rt.fixed_order():
            for name in "abc":
                rt.spawn(touch, name=name, cpu=1)
            rt.join_others()

    outcome = fiber(main, Near(random.Random(seed).random, TURNS), sites=True)
    assert preemptions_of(outcome.record) == []


def test_a_neighbour_claims_to_follow_nothing() -> None:
    assert Near(random.Random(1).random, TURNS).followed() is None
