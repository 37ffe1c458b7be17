"""A step of an exploration leaves nothing to the garbage collector: walks make hundreds of runs a second."""

from __future__ import annotations

import pytest

from mmrace.installed import MAKERS
from mmrace.runs.spec import RunSpec
from mmrace.search.explore.one import explore_one, judge_visit
from mmrace.search.explore.walk import Walk
from mmrace.strategies import registry
from mmrace.strategies.contract import Systematic
from tests.garbage import garbage

SHORT = {"pages": 1, "buffers": 1, "words": 1, "rounds": 1, "migrations": 1, "passes": 3}
SPEC = RunSpec("async-vs-commit", tuple(sorted(SHORT.items())), engine="fiber")
STEPS = 5


def walk(text: str) -> None:
    """Make the first steps of a walk."""
    strategy, options = registry.parse(text)
    search: Systematic = strategy.make(options)  # type: ignore[assignment]
    steps = 0
    for visit in Walk(MAKERS.program(SPEC), SPEC, search):
        if visit.counts:
            judge_visit(visit, ())
        steps += 1
        if steps == STEPS:
            break
    assert steps == STEPS


@pytest.mark.parametrize("text", ["dpor", "preemption", "delay"])
def test_a_walk_leaves_no_garbage(text: str) -> None:
    walk(text)
    assert garbage(lambda: walk(text)) == 0


def test_a_drawn_schedule_with_its_class_leaves_no_garbage() -> None:
    explore_one(SPEC, makers=MAKERS)
    assert garbage(lambda: explore_one(SPEC, makers=MAKERS)) == 0
