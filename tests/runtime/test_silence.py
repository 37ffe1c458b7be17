"""A worker is silent while somebody looks and nothing moves; neither a clock nor a stop makes it so."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import pytest

from mmrace.runtime import allotted
from mmrace.runtime.allotted import Allotted, Times
from mmrace.runtime.silence import SHORT_SECONDS, STEP_SECONDS_MAX, Silence


def told(times: Callable[[], Times]) -> type[Allotted]:
    """Return an `Allotted` that reads what a process had and waited for here."""

    class Told(Allotted):
        def __init__(self, pid: int | None = None, read: Callable[[int | None], Times] | None = None) -> None:
            super().__init__(pid, lambda pid: times())

    return Told


def test_what_does_not_move_is_silent_for_as_long_as_somebody_looks() -> None:
    silence = Silence(0.0)
    assert [silence.look(now, "same") for now in (0.25, 0.5, 1.0, 1.75)] == [0.0, 0.25, 0.75, 1.5]


def test_what_moves_is_never_silent_however_long_it_takes() -> None:
    silence = Silence(0.0)
    assert {silence.look(float(now), (1, now)) for now in range(10_000)} == {0.0}


def test_a_clock_that_jumps_and_an_onlooker_that_was_stopped_add_one_step() -> None:
    silence = Silence(0.0)
    silence.allotted = told(dict)  # it had all of the time
    silence.look(0.0, "same")
    assert silence.look(125.0, "same") == STEP_SECONDS_MAX
    assert silence.look(-1e9, "same") == STEP_SECONDS_MAX
    assert silence.look(1e9, "same") == 2 * STEP_SECONDS_MAX


def test_what_could_not_move_is_forgiven() -> None:
    silence = Silence(0.0)
    silence.look(0.0, "same")
    silence.look(0.5, "same")
    silence.forgive()
    assert silence.look(0.75, "same") == 0.25


def silent_for(seconds: int, per_second: tuple[float, float]) -> float:
    """Return for how long somebody is silent who does nothing visible.  Args: per_second: as it runs, as it waits."""
    looks = [(0.0, 0.0), *accumulate([per_second] * seconds, lambda sum_, more: (sum_[0] + more[0], sum_[1] + more[1]))]
    now = 0

    silence = Silence(0.0)
    silence.allotted = told(lambda: {"1": looks[now]})
    silence.look(0.0, "same")
    for now in range(1, seconds + 1):
        silence.look(float(now), "same")
    return silence.seconds


@pytest.mark.parametrize(
    ("per_second", "seconds"),
    [
        ((0.0, 0.0), 1000.0),  # it sleeps
        ((1.0, 0.0), 1000.0),  # it computes without end
        ((0.25, 0.75), SHORT_SECONDS + 0.25 * 999),  # the same, beside three others
        ((0.0, 1.0), SHORT_SECONDS),
    ],
)
def test_a_slow_machine_makes_nobody_silent(per_second: tuple[float, float], seconds: float) -> None:
    """BUG once: behind other processes a worker hung after two minutes, and a task blocked after five seconds."""
    assert silent_for(1000, per_second) == pytest.approx(seconds)


def test_who_moved_is_not_asked_for_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(pid: int | None) -> Times:
        raise AssertionError("for nothing")

    monkeypatch.setattr(allotted, "times", asked)
    silence = Silence(0.0)
    assert silence.look(1.0, 1) == silence.look(1.5, 2) == 0.0
    assert silence.look(2.0, 2) == 0.5
