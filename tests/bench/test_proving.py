"""The benchmark of proofs: its table, its bar, and that it has every planted bug."""

from __future__ import annotations

import pytest

from mmrace.history.canaries import canaries
from stress.bench.proving import Row, bugs, complaint, line
from stress.planted import PLANTED


def row(
    proved: bool = True,
    *,
    canary: bool = True,
    step: int | None = 229,
    classes: int | None = 7,
    since: int | None = 229,
) -> Row:
    return Row("no-freeze", canary, 852, step, classes, proved, since, 2, 1, 0.13, 306, 4.9)


def test_a_row_says_where_and_whether_it_is_proved() -> None:
    assert " ".join(line(row()).split()) == "no-freeze 852 229 7 yes 1 of 2 13% 306 4.9"
    assert " 664 " in line(row(False, classes=None, since=664))
    assert "failure" in line(row(step=853))
    assert line(row(False, step=None, classes=None, since=None)).split()[2:5] == ["-", "-", "no"]


@pytest.mark.parametrize(
    ("rows", "few"),
    [
        ([row(), row(False)], 0),
        ([row(), row(False), row(False)], 2),
        ([row(), row(False, canary=False), row(False, canary=False)], 1),
    ],
)
def test_half_of_the_canaries_and_of_all_is_enough(rows: list[Row], few: int) -> None:
    assert complaint(rows).count("TOO FEW") == few


def test_every_planted_bug_has_a_name_of_its_own() -> None:
    names = [bug.name for bug in bugs()]
    assert len(names) == len(set(names)) == len(canaries()) + sum(row.bug.variant not in canaries() for row in PLANTED)
