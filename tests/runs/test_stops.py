"""Being asked to stop: where a signal raises, where it is noted, and which ones are left alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from mmrace.runs import stops

SIGNALS = pytest.mark.parametrize("number", stops.NUMBERS)


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The handlers of the command line; a further signal always counts as a new one."""
    monkeypatch.setattr(stops, "AGAIN_SECONDS", 0.0)
    with stops.handled():
        yield


@SIGNALS
def test_a_signal_raises_with_its_number(handled: None, number: int) -> None:
    with pytest.raises(stops.Stopped) as caught:
        signal.raise_signal(number)
    assert stops.number_of(caught.value) == stops.asked() == number
    stops.check()  # once is enough


@SIGNALS
def test_held_notes_a_signal_and_the_next_check_raises_it_once(handled: None, number: int) -> None:
    with stops.held():
        signal.raise_signal(number)
        with pytest.raises(stops.Stopped):
            stops.check()
        stops.check()
    assert stops.asked() == number


def test_a_run_inside_held_is_interrupted(handled: None) -> None:
    with stops.held():
        with pytest.raises(stops.Stopped), stops.interruptible():
            signal.raise_signal(signal.SIGTERM)
        with stops.interruptible():
            pass


def test_what_was_noted_raises_before_the_next_run_begins(handled: None) -> None:
    with stops.held():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(stops.Stopped), stops.interruptible():
            pytest.fail("the run began")


def test_after_a_run_signals_are_noted_again(handled: None) -> None:
    with stops.held():
        with stops.interruptible():
            pass
        signal.raise_signal(signal.SIGHUP)
    assert stops.asked() == signal.SIGHUP


def test_a_second_signal_raises_even_in_held_and_the_first_one_gives_the_number(handled: None) -> None:
    with stops.held():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(stops.Stopped):
            signal.raise_signal(signal.SIGINT)
    assert stops.asked() == signal.SIGTERM


def test_a_signal_that_came_twice_at_once_is_one_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "AGAIN_SECONDS", float("inf"))
    with stops.handled(), stops.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


def test_before_it_begins_a_signal_is_answered_at_once() -> None:
    seen: list[int] = []
    with stops.handled(at_once=seen.append):
        signal.raise_signal(signal.SIGHUP)
        assert (seen, stops.asked()) == ([signal.SIGHUP], 0)
        stops.begin()
        with pytest.raises(stops.Stopped):
            signal.raise_signal(signal.SIGHUP)


@pytest.fixture
def ignored() -> Iterator[None]:
    """A process that was started with all of them ignored."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in stops.NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("terminal", "taken"), [(True, set()), (False, {signal.SIGINT})], ids=["terminal", "no terminal"]
)
def test_what_was_ignored_stays_ignored_but_ctrl_c_where_no_terminal_sends_it(
    ignored: None, monkeypatch: pytest.MonkeyPatch, terminal: bool, taken: set[int]
) -> None:
    monkeypatch.setattr(stops, "_has_terminal", lambda: terminal)
    with stops.handled():
        assert {number for number in stops.NUMBERS if signal.getsignal(number) != signal.SIG_IGN} == taken
        stops.begin()
        assert {number for number in stops.NUMBERS if signal.getsignal(number) != signal.SIG_IGN} == taken


def test_handlers_are_put_back_and_what_was_asked_is_forgotten() -> None:
    before = [signal.getsignal(number) for number in stops.NUMBERS]
    with stops.handled(), stops.held():
        signal.raise_signal(signal.SIGTERM)
    assert not stops.asked()
    stops.check()  # the runs of a program that goes on
    with stops.handled():
        assert not stops.asked()
    assert [signal.getsignal(number) for number in stops.NUMBERS] == before
