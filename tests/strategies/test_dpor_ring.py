"""A ring of bounded mailboxes with an assertion: DPOR meets every outcome, however few of its classes have it.

A run that an assertion ends early is one class, whatever could have come after it; one that goes on is as many as its
rest has orders.  So the share of classes says nothing of the chance of a schedule.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runs.chosen import Chosen
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.play import Play, play
from mmrace.runs.spec import RunSpec
from mmrace.search.explore.walk import Walk
from mmrace.strategies import registry
from mmrace.strategies.random_walk import RandomWalk

TASKS = 3
RUNS = 200
Outcome = tuple[str, tuple[int, ...]]


class Box(rt.Struct):
    items: rt.Field[tuple[int, ...]] = rt.shared(())
    lock = rt.mutex()
    line = rt.wait_queue()

    def wait(self, low: int, high: int) -> None:
        rt.wait_event(
            self.line,
            lambda: low <= len(self.items) <= high,
            before_sleep=lambda: rt.mutex_unlock(self.lock),
            after_sleep=lambda: rt.mutex_lock(self.lock),
            exclusive=True,
        )


def put(box: Box, item: int) -> None:
    rt.mutex_lock(box.lock)
    box.wait(0, 0)
    box.items = (item,)
    rt.wake_up(box.line, 1)
    rt.mutex_unlock(box.lock)


def take(box: Box) -> int:
    rt.mutex_lock(box.lock)
    box.wait(1, 1)
    [item] = box.items
    box.items = ()
    rt.wake_up(box.line, 1)
    rt.mutex_unlock(box.lock)
    return item


def ring(
    tokens: int, laps: int, asserts: Callable[[int, tuple[int, ...]], bool], seen: list[int]
) -> Callable[[], None]:
    """Make a ring that passes tokens on; each task says when it begins, and asserts something of who did before."""

    def node(number: int, boxes: list[Box], roll: Box) -> None:
        rt.mutex_lock(roll.lock)
        before = roll.items
        roll.items = (*before, number)
        rt.mutex_unlock(roll.lock)
        seen.append(number)
        assert asserts(number, before)
        for _ in range(laps):
            put(boxes[(number + 1) % TASKS], take(boxes[number]) + 1)

    def main() -> None:
        seen.clear()
        boxes = [Box(f"box:{number}") for number in range(TASKS)]
        for number in range(tokens):
            boxes[number].items = (number,)
        roll = Box("roll")
        for number in range(TASKS):
            rt.spawn(node, number, boxes, roll)
        rt.join_others()

    return main


def counted(program: Callable[[], None], seen: list[int]) -> tuple[Counter[Outcome], Counter[Outcome]]:
    """Return the outcomes of a walk by classes, and of random walks by runs."""
    maker = FunctionMaker(here={"ring": program})
    classes: Counter[Outcome] = Counter()
    runs: Counter[Outcome] = Counter()

    def outcome(played: Play) -> Outcome:
        return played.how, tuple(seen)

    spec = RunSpec("ring", maker="function", engine="fiber", strategy="dpor")
    for visit in Walk(maker.program(spec), spec, registry.walk("dpor")):
        assert not visit.restarted
        classes[outcome(visit.played)] += visit.counts
    for seed in range(RUNS):
        with play(maker.program(spec), spec, Chosen(RandomWalk(random.Random(seed).random))) as played:
            runs[outcome(played)] += 1
    return classes, runs


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "laps"), [(1, 1), (2, 1), (2, 2)])
def test_a_walk_meets_every_outcome_of_a_ring_though_few_classes_have_it(tokens: int, laps: int) -> None:
    seen: list[int] = []
    last_comes_last = ring(tokens, laps, lambda number, before: number < TASKS - 1 or len(before) == TASKS - 1, seen)
    classes, runs = counted(last_comes_last, seen)
    assert {how for how, _ in runs} == {"crash", "finished"}
    assert runs.keys() <= classes.keys()
    failed = sum(count for (how, _), count in runs.items() if how == "crash")
    assert failed > RUNS / 3, "most schedules are of the classes that fail"
    if laps == 2:
        of_classes = sum(count for (how, _), count in classes.items() if how == "crash")
        assert of_classes < classes.total() / 20, "which are few, since nothing comes after"
