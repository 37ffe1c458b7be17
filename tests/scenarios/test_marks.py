"""Excuses are for marks that exist, and each mark has one reason."""

from __future__ import annotations

from collections import Counter

from mmrace.scenarios import marks


def test_every_excuse_is_for_a_mark_that_the_model_declares() -> None:
    assert sorted(marks.EXCUSED.keys() - marks.declared().keys()) == []


def test_no_mark_is_excused_twice() -> None:
    times = Counter(mark for excused in marks._REASONS.values() for mark in excused)
    assert [mark for mark, n in times.items() if n > 1] == []
