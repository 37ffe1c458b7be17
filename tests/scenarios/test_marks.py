"""Excuses are for marks that exist, and each mark has one reason."""

from __future__ import annotations

from collections import Counter

import pytest

from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.param import Value
from mmrace.scenarios import marks

ROTATED = "rotate: page reclaimed after writeback"


def test_every_excuse_is_for_a_mark_that_the_model_declares() -> None:
    assert sorted(marks.EXCUSED.keys() - marks.declared().keys()) == []


def test_no_mark_is_excused_twice() -> None:
    times = Counter(mark for excused in marks._REASONS.values() for mark in excused)
    assert [mark for mark, n in times.items() if n > 1] == []


@pytest.mark.slow
def test_pages_that_reclaim_marked_are_rotated_when_their_writeback_ends() -> None:
    """The mark must be reached often in a cast of writers, flusher and reclaimer: no excuse is needed for it."""
    params: dict[str, Value] = {"pages": 4, "rounds": 4, "idle": 60, "without": "reader", "batch": 1, "migrations": 2}
    runs = [RunSpec("four", tuple(sorted(params.items())), engine="fiber", seed=seed) for seed in range(20)]
    rotated = [ROTATED in run_one(spec).marks for spec in runs]
    assert sum(rotated) >= len(runs) // 10
