"""What is said of classes that nobody met.  A false alarm of the drawn test has a chance below one in a million."""

from __future__ import annotations

import random

from mmrace.report.night.estimates import classes_of
from mmrace.search.ledger.sketch import ClassSketch


def test_nothing_is_said_of_classes_that_nobody_noted() -> None:
    assert classes_of(None) is None
    assert classes_of(ClassSketch()) is None


def test_one_run_says_nothing_of_the_next() -> None:
    found = classes_of(ClassSketch.of([7]))
    assert found is not None
    assert found.next_new is None


def test_classes_that_all_came_often_leave_little_unseen() -> None:
    found = classes_of(ClassSketch.of([1, 2, 3] * 100))
    assert found is not None
    assert found.next_new is not None
    assert (found.met, found.once, found.next_new.value) == (3, 0, 0.0)
    assert 0 < found.next_new.high <= 0.01 + 0.05


def test_the_interval_has_the_chance_of_a_new_class_in_about_95_of_100_samples() -> None:
    """Of 400 samples more than 340 (85 %): with 95 % coverage, fewer have a chance below 1e-12; seed fixed."""
    draw, held = random.Random(5), 0
    for _ in range(400):
        sketch = ClassSketch.of(draw.randrange(300) for _ in range(200))
        truth = 1 - len(sketch.times) / 300
        found = classes_of(sketch)
        assert found is not None
        assert found.next_new is not None
        held += found.next_new.low <= truth <= found.next_new.high
    assert held > 340
