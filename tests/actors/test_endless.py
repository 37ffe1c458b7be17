"""Endless actors: they play on until who is waited for is done, and no longer."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.actors import endless
from mmrace.actors.actor import Actor
from mmrace.actors.stage import Stage
from tests.runtime.engines import random_walk
from tests.scenarios.staged import play


def _turn(stage: Stage) -> None:
    for _ in range(3):
        rt.schedule()
    rt.note("round", "other", 0)


def _work(stage: Stage) -> None:
    for _ in range(60):
        rt.schedule()
    rt.note("round", "awaited", 0)


def test_an_endless_actor_ends_within_a_round_after_the_one_that_is_waited_for() -> None:
    awaited = endless.awaited(Actor("awaited", _work))
    other = endless.endless(Actor("other", _turn))

    def body(stage: Stage) -> None:
        for i, actor in enumerate((awaited, other)):
            rt.spawn(actor.play, stage, name=actor.name, cpu=i)
        rt.join_others()

    for seed in range(5):
        played = play(body, strategy=random_walk(seed), seed=seed)
        rounds = [name for name, _ in played.notes("round")]
        assert rounds.count("awaited") == 1
        assert rounds.count("other") > 3
        assert rounds[::-1].index("awaited") <= 1


def test_an_actor_that_is_waited_for_lets_the_others_end_also_if_it_fails() -> None:
    def broken(stage: Stage) -> None:
        raise ValueError("by this test")

    stage = Stage({})
    with pytest.raises(ValueError, match="by this test"):
        endless.awaited(Actor("broken", broken)).play(stage)
    assert stage.over


def test_an_endless_actor_stays_what_its_parameters_and_duties_say() -> None:
    actor = Actor("other", _turn, commits=True)
    assert endless.endless(actor).commits and endless.endless(actor).name == "other"
