"""The benchmark of conversions holds what it counted to its bar."""

from __future__ import annotations

import pytest

from mmrace.runs.conversion import FOLLOWED, NEITHER, REFOUND
from stress.bench.converting import Converted, below_the_bar, counts, line


def rows(followed: int, refound: int, neither: int) -> list[Converted]:
    hows = [FOLLOWED] * followed + [REFOUND] * refound + [NEITHER] * neither
    return [Converted("lost-get", seed, "s1", how, 900, 90, 100, "", 0, 5, 0.5) for seed, how in enumerate(hows)]


def test_each_end_is_counted_apart() -> None:
    assert counts(rows(3, 2, 1)) == {FOLLOWED: 3, REFOUND: 2, NEITHER: 1}
    cells = line("lost-get", rows(3, 2, 1), "40").split()
    assert cells == ["lost-get", "40", "3/6", "2/6", "1/6", "90.0%", "900", "0.50", "0.50"]
    assert line("lost-get", [], "600").split() == ["lost-get", "600", "0/0", "0/0", "0/0"]


@pytest.mark.parametrize(
    ("counted", "missed"),
    [
        ((15, 4, 1), ""),
        ((20, 0, 0), ""),
        ((14, 6, 0), "14 of 20 followed, wanted 75%"),
        ((18, 0, 2), "18 of 20 came again, wanted 95%"),
        ((0, 0, 0), "no failure"),
    ],
)
def test_the_bar_is_of_what_came_again_and_of_what_was_followed(counted: tuple[int, int, int], missed: str) -> None:
    assert below_the_bar(rows(*counted)) == missed
