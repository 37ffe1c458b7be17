"""An exploration whose workers are killed comes to what it comes to undisturbed; and the benchmark would see if not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from stress.killing import Came, differences, drawn, explored

MOMENTS, SCHEDULES = 4, 60


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["portfolio", "feedback:generation=16"])
def test_killed_workers_change_no_schedule_no_class_and_no_finding(strategy: str) -> None:
    calm, _ = explored(strategy, SCHEDULES, 2, 3, [])
    wild, result = explored(strategy, SCHEDULES, 2, 3, drawn(MOMENTS, SCHEDULES, 3))
    assert differences(calm, wild) == []
    assert calm.seen.keys() == set(range(SCHEDULES)) and calm.findings and calm.since
    assert result.losses and all(how.endswith("from outside") for how in result.losses)


def test_moments_come_in_order_the_first_before_anything_has_come_back() -> None:
    moments = drawn(20, 300, 1)
    assert [moment.reported for moment in moments] == sorted(moment.reported for moment in moments)
    assert (moments[0].reported, len(moments)) == (0, 20)
    assert moments == drawn(20, 300, 1) != drawn(20, 300, 2)


def test_each_difference_is_named() -> None:
    came = Came({0: (1, "PASS")}, Counter([1]), {"abc123": 1}, {4: ("Box.x",)}, "PASS")
    others: dict[str, Any] = {"seen": {}, "classes": Counter([2]), "findings": {}, "since": {}, "verdict": "FAIL"}
    assert differences(came, replace(came)) == []
    for name, value in others.items():
        assert differences(came, replace(came, **{name: value})) == [name]
