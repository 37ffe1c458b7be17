"""The benchmark of minimal schedules: its bar, and its table."""

from __future__ import annotations

import pytest

from stress.bench.minimal import Row, line, met


def row(seconds: float = 1.0, same: int = 4, fewest: bool | None = True) -> Row:
    return Row("double-put", (10, 0), (1, 0), (458, 200), fewest, 2, True, 67, seconds, same, 4)


def test_a_row_says_what_came_of_a_canary() -> None:
    assert " ".join(line(row()).split()) == "double-put 10 -> 0 1 -> 0 458 -> 200 shown 2 67 1.0s 4 of 4"
    assert "not shown" in line(row(fewest=None))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row()], True),
        ([row(1.0), row(9.9), row(60.0)], True),
        ([row(1.0), row(10.1), row(60.0)], False),
        ([row(), row(same=3)], False),
        ([], False),
    ],
)
def test_the_bar_is_the_median_and_every_replay(rows: list[Row], expected: bool) -> None:
    assert met(rows) == expected
