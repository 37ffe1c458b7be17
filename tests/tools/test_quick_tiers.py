"""Which further Pythons have the quick tests."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tools import quick_tiers
from tools.pythons import Found

OLD, NEW, BROKEN = Found("python3.12", "/a/python3.12"), Found("python3.13", "/a/python3.13"), Found("p", None, "no")


def test_each_that_starts_is_chosen_or_the_newest_of_them() -> None:
    assert quick_tiers.chosen([OLD, NEW, BROKEN], newest=False) == [OLD, NEW]
    assert quick_tiers.chosen([OLD, NEW, BROKEN], newest=True) == [NEW]
    assert quick_tiers.chosen([BROKEN], newest=True) == []


def test_one_that_fails_does_not_hide_the_next_and_those_left_out_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []
    asked: set[str] = set()

    def passes(executable: str, places: Sequence[str]) -> bool:
        tried.append(executable)
        asked.update(places)
        return executable == NEW.executable

    monkeypatch.setattr(quick_tiers, "others", lambda environment: iter((OLD, NEW, BROKEN)))
    monkeypatch.setattr(quick_tiers, "passes", passes)
    assert quick_tiers.main([]) == 1
    told = capsys.readouterr()
    assert tried == [OLD.executable, NEW.executable]
    assert "p left out: no" in told.out and told.err == "quick tests failed under python3.12\n"
    assert not asked
    assert quick_tiers.main(["--newest"]) == 0
    assert "tests/runtime" in asked and all((quick_tiers.ROOT / place).is_dir() for place in asked)
    assert "python3.12 left out: not the newest" in capsys.readouterr().out
