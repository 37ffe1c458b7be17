"""Being asked to stop from outside: by Ctrl-C, SIGTERM, SIGHUP, or because nobody reads what is printed any more.

The command line takes these signals (`handled`); a program that calls `mmrace.explore` keeps its own handlers, and then
nothing here does anything.  What a signal does depends on where it arrives:

- by default it raises `Stopped`;
- in `held`, the first one is only noted: whoever makes runs asks (`check`) between two of them, and what is saved,
  counted or printed is so whole;
- in `interruptible`, inside that, it raises again: a run of this process may never end by itself.

A further one, `AGAIN_SECONDS` after the last, raises wherever it arrives: then a person has lost patience.  One that
was ignored when the program began stays ignored (`nohup`, and what a shell starts in the background); but SIGINT is
taken where there is no terminal that could send it to such a background job by accident.
Workers leave signals to their parent; what it wants no more of them, they ask between two runs that only prepare
another one (`while_wanted`).
Not here: what is told (`report/`), exit codes (`runtime/errors.py`).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 1.0
"""A signal this soon after another is the same wish: `make` passes on what its whole group got already."""


class Stopped(KeyboardInterrupt):
    """Somebody asked to stop.  `number`: of the signal that says so."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class Unwanted(BaseException):
    """The run that is being prepared is not wanted any more; nothing is wrong."""


class _Asked:
    """What was asked of this process.  `number` 0: nothing.  `told`: it was raised, and caught or not."""

    def __init__(self) -> None:
        self.number = 0
        self.told = False
        self.at = 0.0
        self.held = self.open = False

    def raise_(self, number: int) -> NoReturn:
        """Raise; who is on the way out of `interruptible` is not met by a second one."""
        self.told, self.open = True, False
        raise Stopped(number)


_asked = _Asked()


def asked() -> int:
    """Return the number of the signal that asked to stop, 0 if none did."""
    return _asked.number


def ask(number: int) -> None:
    """Ask to stop at the next `check`."""
    _asked.number = _asked.number or number


def check() -> None:
    """Raise `Stopped` if that was asked and not told yet."""
    if _asked.number and not _asked.told:
        _asked.raise_(_asked.number)


def number_of(error: KeyboardInterrupt) -> int:
    """Return the number of the signal that an interrupt stands for."""
    return error.number if isinstance(error, Stopped) else signal.SIGINT


@contextmanager
def held() -> Iterator[None]:
    """For the length of the block, note a signal instead of raising."""
    before, _asked.held = _asked.held, True
    try:
        yield
    finally:
        _asked.held = before


class interruptible:
    """For the length of the block, inside `held`, raise when a signal arrives, or did before."""

    def __enter__(self) -> None:
        self.before, _asked.open = _asked.open, True
        check()

    def __exit__(self, *error: object) -> None:
        _asked.open = self.before


_wanted: list[Callable[[], bool]] = []


@contextmanager
def while_wanted(wanted: Callable[[], bool]) -> Iterator[None]:
    """For the length of the block, let what prepares a run end as `Unwanted` when this says no."""
    _wanted.append(wanted)
    try:
        yield
    finally:
        _wanted.pop()


def check_wanted() -> None:
    """Raise `Unwanted` if somebody said so.  Called between two runs that prepare another one."""
    if not all(wanted() for wanted in _wanted):
        raise Unwanted


def _arrived(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    again = _asked.number and now - _asked.at >= AGAIN_SECONDS
    first = not _asked.number
    _asked.at = now
    ask(number)
    if again or (first and (_asked.open or not _asked.held)):
        _asked.raise_(number)


@contextmanager
def handled(at_once: Callable[[int], None] | None = None) -> Iterator[None]:
    """Take the signals for the length of the block, begin with a clean slate, and put back handlers and slate.

    Args: at_once: called with the number, instead of all that is said above, until `begin`.
    """
    global _asked  # noqa: PLW0603
    outside, _asked = _asked, _Asked()

    def begin_with(number: int, frame: FrameType | None) -> None:
        assert at_once is not None
        at_once(number)

    taken = [number for number in NUMBERS if _is_ours(number)]
    before = {number: signal.signal(number, begin_with if at_once else _arrived) for number in taken}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = outside  # what was noted in here and told to nobody is no wish of who goes on


def begin() -> None:
    """Go over from `at_once` to raising."""
    for number in NUMBERS:
        if signal.getsignal(number) not in (signal.SIG_IGN, signal.SIG_DFL):
            signal.signal(number, _arrived)


def _is_ours(number: int) -> bool:
    ignored = signal.getsignal(number) == signal.SIG_IGN
    return not ignored or (number == signal.SIGINT and not _has_terminal())


def _has_terminal() -> bool:
    """Say whether a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
