"""The benchmark of hunts finds an easy canary, counts what it did, and shows it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, islice

import pytest

from mmrace.history.canaries import canaries
from mmrace.runtime.errors import UsageError
from stress.bench import hunts
from stress.bench.hunts import Cell, Hunt, Limits

EASY = "double-put"
LONG = Limits(seconds=1e9, cap=200)
"""Schedules: the canary shows in more than a third of them, so that a hunt misses it with a chance below 1e-35."""


@pytest.fixture
def clock() -> hunts.Clock:
    """A clock that goes one second on whenever somebody looks."""
    ticks = count()
    return lambda: float(next(ticks))


@pytest.mark.slow
def test_each_seed_finds_an_easy_canary_and_has_its_line(
    clock: hunts.Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = hunts.table([EASY], ["portfolio", "pos"], "fiber", 2, LONG, clock)
    assert [(cell.strategy, cell.found, len(cell.hunts)) for cell in cells] == [("portfolio", 2, 2), ("pos", 2, 2)]
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["canary", "strategy", "found", "censored", "schedules", "seconds", "slowest"]
    assert [line.split()[:6] for line in lines] == [
        [EASY, "portfolio", "2", "of", "2", "0"], [EASY, "pos", "2", "of", "2", "0"],
    ]  # fmt: skip


def test_the_same_seed_hunts_the_same_schedules(clock: hunts.Clock) -> None:
    first = hunts.spec_of(canaries()[EASY], "random", "fiber", 5)
    one, two = (
        [[finding.signature for finding in findings] for findings in islice(hunts.runs_of(first), 6)] for _ in "ab"
    )
    assert one == two


@pytest.mark.slow
@pytest.mark.parametrize("text", ["feedback:base=pos,generation=2", "delay", "preemption", "dpor"])
def test_loops_and_trees_are_walked_run_by_run(text: str, clock: hunts.Clock) -> None:
    canary = canaries()[EASY]
    never = Limits(seconds=1e9, cap=5)
    runs = hunts.runs_of(hunts.spec_of(canary, text, "fiber", 1))
    assert len(list(islice(runs, 5))) == 5
    runs.close()
    cell = hunts.hunts(canary, text, "fiber", 2, never, 0.0, clock)
    assert len(cell.hunts) == (2 if text.startswith("feedback") else 1)


def test_a_hunt_that_finds_nothing_is_censored_at_its_cap_or_its_time(clock: hunts.Clock) -> None:
    canary = canaries()[EASY]
    twin = replace(hunts.spec_of(canary, "random", "fiber", 1), variant="")
    assert hunts.hunt(canary, twin, Limits(1e9, 2), 0.0, clock) == Hunt(False, 2, 3.0)
    assert hunts.hunt(canary, twin, Limits(3.0), 0.0, clock).schedules == 3
    assert hunts.hunt(canary, twin, Limits(3.0), 2.0, clock).schedules == 1, "what was spent before counts"


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(UsageError):
        hunts.is_systematic("poss")


# -- figures -----------------------------------------------------------------------------------------------------


def cell(*done: Hunt) -> Cell:
    return Cell(EASY, "portfolio", done)


def test_a_median_counts_the_censored_hunts_as_more_than_any_other() -> None:
    mixed = cell(Hunt(True, 9, 0.9), Hunt(False, 5, 10.0), Hunt(True, 3, 0.3))
    assert (mixed.found, mixed.median(lambda hunt: hunt.schedules)) == (2, (9, False))
    assert "> " not in hunts.line(mixed)


def test_a_median_among_the_censored_is_shown_as_more_than_the_least_of_them() -> None:
    lost = cell(Hunt(True, 3, 0.3), Hunt(False, 50, 10.0), Hunt(False, 40, 10.5))
    assert lost.median(lambda hunt: hunt.schedules) == (40, True)
    assert "1 of 3" in hunts.line(lost) and "> 40" in hunts.line(lost) and "> 10.00" in hunts.line(lost)


def test_the_bar_is_met_by_twenty_quick_hunts_only() -> None:
    quick, slow, lost = Hunt(True, 9, 0.9), Hunt(True, 9, 10.5), Hunt(False, 9, 0.9)
    assert "not measured: 2 of 2" in hunts.bar(cell(quick, quick))
    assert f"{EASY:24}met: 20 of 20, slowest 0.90 s" == hunts.bar(cell(*[quick] * 20))
    assert "NOT met" in hunts.bar(cell(*[quick] * 19, slow))
    assert "NOT met: 19 of 20" in hunts.bar(cell(*[quick] * 19, lost))
