"""How much smaller a schedule became, in a line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace.report.minimal import shrunk_line
from mmrace.runs.minimal import Shrunk, Size

BEFORE = Size(3, 1, 40, 3, {})


def told(turns: int, choices: int, fewest: bool | None) -> str:
    return shrunk_line(Shrunk(7, 0.25, BEFORE, replace(BEFORE, turns=turns, choices=choices), fewest=fewest))


@pytest.mark.parametrize("fewest", [True, None, False])
def test_of_no_turning_points_and_no_choices_it_is_not_told_that_none_has_fewer(fewest: bool | None) -> None:
    assert told(0, 0, fewest) == "minimised: 3 -> 0 turning points, 1 -> 0 choices, in 7 runs, 0.2s"


@pytest.mark.parametrize(("turns", "choices"), [(1, 0), (0, 1)])
def test_of_others_it_is_told_what_is_known_of_fewer(turns: int, choices: int) -> None:
    assert "(no schedule of this program with fewer fails)" in told(turns, choices, True)
    assert "(not shown that none has fewer)" in told(turns, choices, None)
    assert "fewer" not in told(turns, choices, False)
