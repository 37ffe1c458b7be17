"""What a value says of itself is a text, whatever its class does; what comes from outside meanwhile goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import NoReturn

import pytest

from mmrace.runtime.errors import Abort, UsageError, Violation, is_failure
from mmrace.runtime.leftover import GivenUp
from mmrace.runtime.said import named, said, shown


class Text(str):
    """BUGGY: a text with a mind of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"

    def __format__(self, _: str) -> NoReturn:
        raise ValueError


def _raises(error: BaseException) -> Callable[[], str]:
    def ask() -> str:
        raise error

    return ask


def _recurses() -> str:
    return _recurses()


SAID = {
    "a text": (lambda: "text", "text"),
    "a text of its own class": (lambda: Text("text"), "text"),
    "no text": (lambda: None, "(its text cannot be made: TypeError)"),
    "an exception": (_raises(ValueError()), "(its text cannot be made: ValueError)"),
    "an exit": (_raises(SystemExit(0)), "(its text cannot be made: SystemExit)"),
    "an interrupt of its own": (_raises(KeyboardInterrupt()), "(its text cannot be made: KeyboardInterrupt)"),
    "the end of the run": (_raises(Abort()), "(its text cannot be made: Abort)"),
    "no end": (_recurses, "(its text cannot be made: RecursionError)"),
}


class Asked(Exception):
    """Answers as it is told."""

    def __init__(self, ask: Callable[[], str]) -> None:
        super().__init__()
        self.ask = ask

    def __str__(self) -> str:
        return self.ask()

    __repr__ = __str__


@pytest.mark.parametrize(("ask", "text"), SAID.values(), ids=SAID)
def test_an_exception_has_a_text_whatever_it_does_when_asked(ask: Callable[[], str], text: str) -> None:
    found = said(Asked(ask))
    assert found == text and type(found) is str
    assert named(Asked(ask)) == f"Asked: {text}"
    assert shown(Asked(ask)) == text.replace("its text", "the repr of a Asked")


@pytest.mark.parametrize("outside", [GivenUp((), 0), lambda: signal.raise_signal(signal.SIGINT)])
def test_what_comes_from_outside_while_a_value_is_asked_goes_on(outside: object) -> None:
    ask = _raises(outside) if isinstance(outside, BaseException) else outside
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises((GivenUp, KeyboardInterrupt)):
            said(Asked(ask))  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)


def test_errors_name_values_that_cannot_be_shown() -> None:
    wrong = Asked(_raises(ValueError()))
    assert "got (the repr of a Asked cannot be made: ValueError)" in str(UsageError(expected="a task", got=wrong))
    assert "value=(the repr of a Asked cannot be made" in str(Violation("judge", "rule", value=wrong))


def test_a_failure_is_what_code_does_by_itself() -> None:
    assert all(map(is_failure, [ValueError(), SystemExit(0), BaseException()]))
    assert not any(map(is_failure, [Abort(), GivenUp((), 0), KeyboardInterrupt()]))
