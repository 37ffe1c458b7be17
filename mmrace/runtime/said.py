"""What a value or an exception says of itself, whatever its class does when it is asked.

`__str__` and `__repr__` of a user's class are code of a user's: they raise, recurse, exit, return a text that is none.
Invariant: nothing here raises, but for what came from outside meanwhile (a signal, a watch that gave the run up); what
comes back is a plain str.  Not here: what a terminal may have of it (`visible.py`), and how much (`errors.py`).
"""

from __future__ import annotations

import dis
import signal
import traceback
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
"""Signals whose handlers raise KeyboardInterrupt, if any does."""
_RAISE = dis.opmap["RAISE_VARARGS"]


class FromOutside(BaseException):
    """Base of what mmrace raises in the middle of whatever code runs: nothing that this code did."""


def is_interrupt(error: BaseException | None) -> bool:
    """Say whether an exception is Ctrl-C or the like: it came from outside, and not by a `raise` of the program."""
    if not isinstance(error, KeyboardInterrupt) or error.__traceback__ is None:
        return isinstance(error, KeyboardInterrupt)
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in SIGNALS}
    if any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__)):
        return True
    origin = error.__traceback__
    while origin.tb_next is not None:
        origin = origin.tb_next
    return origin.tb_frame.f_code.co_code[origin.tb_lasti] != _RAISE


def is_from_outside(error: BaseException) -> bool:
    """Say whether an exception is none of the code that it was raised in."""
    return isinstance(error, FromOutside) or is_interrupt(error)


def said(error: BaseException) -> str:
    """Return the text of an exception."""
    return _asked(str, error, "its text")


def named(error: BaseException) -> str:
    """Return an exception's type and text, if it has one, as a traceback ends."""
    text = said(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shown(value: object) -> str:
    """Return the repr of a value."""
    return _asked(repr, value, f"the repr of a {type(value).__name__}")


def _asked(ask: Callable[[object], str], value: object, what: str) -> str:
    try:
        return str.__str__(ask(value))
    except BaseException as error:
        if is_from_outside(error):
            raise
        return f"({what} cannot be made: {type(error).__name__})"
