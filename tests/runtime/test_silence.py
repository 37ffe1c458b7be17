"""A worker is silent while somebody looks and nothing moves; neither a clock nor a stop makes it so."""

from __future__ import annotations

from mmrace.runtime.silence import STEP_SECONDS_MAX, Silence


def test_what_does_not_move_is_silent_for_as_long_as_somebody_looks() -> None:
    silence = Silence(0.0)
    assert [silence.look(now, "same") for now in (0.25, 0.5, 1.0, 1.75)] == [0.0, 0.25, 0.75, 1.5]


def test_what_moves_is_never_silent_however_long_it_takes() -> None:
    silence = Silence(0.0)
    assert {silence.look(float(now), (1, now)) for now in range(10_000)} == {0.0}


def test_a_clock_that_jumps_and_an_onlooker_that_was_stopped_add_one_step() -> None:
    silence = Silence(0.0)
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
